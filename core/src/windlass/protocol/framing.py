"""Length-prefixed frames: four bytes of big-endian length, then the payload, at most 1 MiB; and what a payload says.

A value larger than a frame is not sent in one: it streams through the artifact verbs. A length above the limit means
that the peer does not speak this protocol (or lies), so the reader refuses before allocating anything.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol, TypeVar

import msgspec

from windlass.errors import ProtocolError

MAX_FRAME = 1 << 20
_LENGTH = struct.Struct(">I")
#: Its size, looked up once: in a fresh child each attribute of an object is a page.
_HEAD = _LENGTH.size
_Message = TypeVar("_Message")


def frame(payload: bytes) -> bytes:
    """Return ``payload`` with its length in front.

    :raises ProtocolError: if it is larger than :data:`MAX_FRAME`.
    """
    if len(payload) > MAX_FRAME:
        msg = f"a message of {len(payload)} bytes exceeds the frame limit of {MAX_FRAME}; large values must be streamed"
        raise ProtocolError(msg)
    return _LENGTH.pack(len(payload)) + payload


class ByteStream(Protocol):
    """A connected stream socket, as far as reading goes."""

    def recv(self, count: int, /) -> bytes:
        """Return up to ``count`` bytes; none when the peer has closed."""
        ...


class FrameReader:
    """Cuts a stream of bytes, fed in any pieces, into payloads."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add ``data`` and yield every payload that is now complete.

        :raises ProtocolError: if a frame announces more than the limit.
        """
        self._buffer += data
        while len(self._buffer) >= _HEAD:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > self._limit:
                msg = f"the peer announced a frame of {length} bytes, the limit is {self._limit}"
                raise ProtocolError(msg)
            end = _HEAD + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEAD:end])
            del self._buffer[:end]
            yield payload

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._buffer)


def recv_frame(sock: ByteStream, limit: int = MAX_FRAME) -> bytes | None:
    """Block until one whole frame has arrived on ``sock``; None when the peer closed between frames.

    :raises ProtocolError: if the peer closed inside a frame or announced more than ``limit``.
    """
    head = sock.recv(_HEAD)
    if len(head) < _HEAD:  # hardly ever
        if not head:
            return None
        head += _rest(sock, _HEAD - len(head))
    (length,) = _LENGTH.unpack(head)
    if length > limit:
        msg = f"the peer announced a frame of {length} bytes, the limit is {limit}"
        raise ProtocolError(msg)
    body = sock.recv(length) if length else b""
    return body if len(body) == length else body + _rest(sock, length - len(body))


def _rest(sock: ByteStream, count: int) -> bytes:
    """Return the next ``count`` bytes, which belong to a message that has begun."""
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            msg = "the peer closed the connection inside a message"
            raise ProtocolError(msg)
        data += piece
    return bytes(data)


def decoded(decoder: msgspec.msgpack.Decoder[_Message], payload: bytes, line: str) -> _Message:
    """Return the message that ``payload`` holds; ``line`` says between whom it went.

    :raises ProtocolError: if it is none of those that ``decoder`` knows.
    """
    try:
        return decoder.decode(payload)
    except msgspec.MsgspecError as error:
        msg = f"a message between {line} is not known: {error}"
        raise ProtocolError(msg) from error
