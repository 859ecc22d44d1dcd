"""The server's side of a WebSocket (RFC 6455), and the channels of Kubernetes on it."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
from collections.abc import Iterator, Mapping
from io import BufferedIOBase
from typing import Final

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
ERROR: Final = 3
CLOSE: Final = 255
#: What is spoken on it, the preferred first.
PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io")

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _END, _PING, _PONG = 1, 2, 8, 9, 10


def handshake(key: str, offered: str) -> tuple[str | None, dict[str, str]]:
    """Return the chosen protocol and the headers that accept the connection."""
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()
    wanted = [one.strip() for one in offered.split(",")]
    chosen = next((one for one in PROTOCOLS if one in wanted), None)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
    return chosen, headers | ({"Sec-WebSocket-Protocol": chosen} if chosen else {})


class Channels:
    """Several streams in both directions on one WebSocket: the first byte of a message says which."""

    def __init__(self, reader: BufferedIOBase, writer: BufferedIOBase) -> None:
        self._reader = reader
        self._writer = writer
        self._writing = threading.Lock()

    def send(self, channel: int, data: bytes) -> None:
        """Send data on a channel."""
        self._frame(_BINARY, bytes([channel]) + data)

    def succeed(self) -> None:
        """Say on the error channel that the command ended with exit code 0."""
        self.send(ERROR, json.dumps({"metadata": {}, "status": "Success"}).encode())

    def fail(self, message: str, exit_code: int | None) -> None:
        """Say on the error channel how the command failed."""
        status: dict[str, object] = {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError"}
        if exit_code is not None:
            causes = [{"reason": "ExitCode", "message": str(exit_code)}]
            status |= {"reason": "NonZeroExitCode", "details": {"causes": causes}}
        self.send(ERROR, json.dumps(status).encode())

    def close(self) -> None:
        """Say that nothing more will come."""
        self._frame(_END, struct.pack(">H", 1000))

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """Yield (channel, data) until the client closes."""
        while True:
            header = self._reader.read(2)
            if len(header) < 2:
                return
            opcode, length = header[0] & 0x0F, header[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self._reader.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._reader.read(8))
            mask = self._reader.read(4) if header[1] & 0x80 else b"\0\0\0\0"
            data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(self._reader.read(length)))
            if opcode == _END:
                return
            if opcode == _PING:
                self._frame(_PONG, data)
            elif opcode in {_TEXT, _BINARY} and data:
                yield data[0], data[1:]

    def _frame(self, opcode: int, data: bytes) -> None:
        length = len(data)
        if length < 126:
            header = struct.pack(">BB", 0x80 | opcode, length)
        elif length < 1 << 16:
            header = struct.pack(">BBH", 0x80 | opcode, 126, length)
        else:
            header = struct.pack(">BBQ", 0x80 | opcode, 127, length)
        with self._writing:
            self._writer.write(header + data)
            self._writer.flush()


def is_upgrade(headers: Mapping[str, str]) -> bool:
    """Return whether a request asks for a WebSocket."""
    return headers.get("Upgrade", "").lower() == "websocket"
