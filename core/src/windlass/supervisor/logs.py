"""The log of a try: what its child wrote, masked and cut into JSON lines, complete even after SIGKILL.

The child's standard output and error arrive as bytes. A line that starts with a record separator is a ``logging``
record, JSON already; anything else is text and becomes ``{"ts", "level", "logger", "msg", "stream"}``. Masking happens
on whole lines, before they are written: a secret cannot hide across the border of two reads, and where an over-long
line is cut, a tail as long as the longest secret is held back.

One file per try; every attempt of the try appends.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from windlass.errors import ProtocolError
from windlass.moment import iso
from windlass.secrets.masking import Masker

_log = logging.getLogger(__name__)

#: A line longer than this is written in pieces of this size.
MAX_LINE = 64 << 10
_RECORD = b"\x1e"
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


def contained(folder: Path, relative: str) -> str:
    """Return the path of ``relative`` below ``folder``.

    :raises ProtocolError: if it would leave the folder; ids in paths come from users.
    """
    base = os.fspath(folder)
    path = os.path.normpath(os.path.join(base, relative))  # noqa: PTH118 - once per task, and pathlib takes ten times as long
    if not path.startswith(base + os.sep):
        msg = f"the log path {relative!r} leads outside the log folder {folder}"
        raise ProtocolError(msg)
    return path


class LogWriter:
    """Writes one attempt's part of its try's log file."""

    def __init__(self, path: str, masker: Masker, now: Callable[[], datetime]) -> None:
        self._path = path
        self._masker = masker
        self._now = now
        self._held = b""
        self._fd: int | None = None
        self._size = 0
        self._failed = False

    @property
    def size(self) -> int:
        """Bytes of the file after the last write; 0 while nothing was written."""
        return self._size

    def feed(self, data: bytes) -> None:
        """Take what the child wrote; whole lines are written, the rest is held."""
        lines = (self._held + data).split(b"\n")
        self._held = lines.pop()
        out = [line for raw in lines for line in self._lines(raw)]
        while len(self._held) > 2 * MAX_LINE:
            out.append(self._cut())
        self._write(out)

    def note(self, level: str, message: str) -> None:
        """Add a line of the supervisor's own."""
        record = {"ts": iso(self._now()), "level": level, "logger": "windlass.supervisor"}
        self._write([_encoder.encode({**record, "msg": self._masker.mask(message), "stream": "log"})])

    def close(self) -> None:
        """Write what is held and close the file."""
        if self._held:
            held, self._held = self._held, b""
            self._write(list(self._lines(held)))
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _cut(self) -> bytes:
        """Take a piece off an over-long line, up to where no character and no secret is torn."""
        end = MAX_LINE
        while end > MAX_LINE - 4 and self._held[end] & 0xC0 == 0x80:
            end -= 1
        text = self._held[:end].decode(errors="surrogateescape")
        piece = text[: self._masker.safe_length(text) or len(text)].encode(errors="surrogateescape")
        self._held = self._held[len(piece) :]
        return self._text(piece)

    def _lines(self, raw: bytes) -> Iterable[bytes]:
        if raw.startswith(_RECORD):
            try:
                record = _decoder.decode(raw[1:])
            except msgspec.MsgspecError:
                raw = raw[1:]  # cut short by the child's death, or torn by another process
            else:
                record.setdefault("stream", "log")
                yield _encoder.encode(self._masker.mask_data(record))
                return
        if len(raw) <= MAX_LINE:
            yield self._text(raw)
            return
        text = self._masker.mask(raw.decode(errors="backslashreplace"))
        for start in range(0, len(text), MAX_LINE):
            yield self._line(text[start : start + MAX_LINE])

    def _text(self, raw: bytes) -> bytes:
        return self._line(self._masker.mask(raw.decode(errors="backslashreplace").removesuffix("\r")))

    def _line(self, text: str) -> bytes:
        return _encoder.encode(
            {"ts": iso(self._now()), "level": "INFO", "logger": "task", "msg": text, "stream": "stdout"}
        )

    def _write(self, lines: list[bytes]) -> None:
        if not lines or self._failed:
            return
        try:
            self._append(lines)
        except OSError as error:
            # A full disk ends this log, not the task.
            self._failed = True
            _log.error("the log %s cannot be written: %s", self._path, error)

    def _append(self, lines: list[bytes]) -> None:
        if self._fd is None:
            Path(self._path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._fd).st_size
        data = memoryview(b"".join(line + b"\n" for line in lines))
        while data:
            written = os.write(self._fd, data)
            self._size += written
            data = data[written:]
