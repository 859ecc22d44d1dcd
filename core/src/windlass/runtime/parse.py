"""The parse server: reads DAG files, each in a limited child of its own, and tells ``dagfiles`` what they say.

It is single-threaded, has imported ``windlass.authoring`` and nothing of any user's, and forks one child per file:
``parsing`` is what that child does. Whatever a file does to its child (never end, crash, eat memory, leave the
interpreter) becomes one clear error about this file; no other file notices. Several are parsed at once.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from windlass.errors import ProtocolError
from windlass.protocol import FrameReader
from windlass.protocol.parsing import (
    PARSE_FRAME_LIMIT,
    ParseAnswer,
    ParseAsk,
    ParseRequest,
    ParseResult,
    pack,
    unpack_from_server,
    unpack_to_server,
)
from windlass.runtime import limits, parsing
from windlass.runtime.child import open_text_output

_CHUNK = 64 << 10
#: Bytes of a file's output that are kept.
_OUTPUT = 64 << 10
#: No DAG file is larger; a larger one is data by mistake.
_MAX_SOURCE = 32 << 20


@dataclass(slots=True, eq=False)
class _Child:
    """A file being parsed."""

    request: ParseRequest
    pid: int
    sock: socket.socket
    output_fd: int
    deadline: float
    started: float
    inputs: dict[str, str]
    frames: FrameReader = field(default_factory=lambda: FrameReader(PARSE_FRAME_LIMIT))
    output: bytes = b""
    late: bool = False
    answered: bool = False


class ParseServer:
    """Forks a child per request, up to ``concurrency`` at once, and passes results on."""

    def __init__(self, sock: socket.socket, concurrency: int) -> None:
        self._sock = sock
        self._concurrency = concurrency
        self._frames = FrameReader(PARSE_FRAME_LIMIT)
        self._unsent = bytearray()
        self._waiting: deque[ParseRequest] = deque()
        self._children: dict[int, _Child] = {}
        self._own = limits.OwnChildren()
        self._selector = selectors.DefaultSelector()
        self._open = True

    def serve(self) -> None:
        """Parse until the other side closes the socket."""
        wakeup, ring = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(ring, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        self._sock.setblocking(False)
        self._selector.register(self._sock, selectors.EVENT_READ)
        self._selector.register(wakeup, selectors.EVENT_READ)
        while self._open:
            while self._waiting and len(self._children) < self._concurrency:
                self._start(self._waiting.popleft())
            for key, events in self._selector.select(self._until_deadline()):
                if key.fileobj is self._sock:
                    self._converse(events)
                elif key.fd == wakeup:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wakeup, 4096)
                    self._reap()
                elif isinstance(key.data, _Child) and key.fd in self._selector.get_map():
                    self._listen(key.data, key.fd)
            self._expire()
        for child in self._children.values():
            _kill_group(child.pid)

    def _until_deadline(self) -> float | None:
        if not self._children:
            return None
        return max(0.0, min(child.deadline for child in self._children.values()) - time.monotonic())

    # The line to dagfiles.

    def _converse(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._send()
        if not events & selectors.EVENT_READ:
            return
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._open = False
            return
        for payload in self._frames.feed(data):
            message = unpack_to_server(payload)
            if isinstance(message, ParseRequest):
                self._waiting.append(message)
            else:
                self._answer(message)

    def _answer(self, answer: ParseAnswer) -> None:
        for child in self._children.values():
            if child.request.id == answer.id:
                child.sock.setblocking(True)
                with contextlib.suppress(OSError):
                    child.sock.sendall(pack(answer))
                child.sock.setblocking(False)

    def _say(self, message: ParseResult | ParseAsk) -> None:
        try:
            self._unsent += pack(message)
        except ProtocolError as error:
            self._unsent += pack(ParseResult(id=message.id, error=str(error)))
        self._send()

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._open = False
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._sock, events)

    # Children.

    def _start(self, request: ParseRequest) -> None:
        try:
            with Path(request.root, request.file).open("rb") as file:
                source = file.read(_MAX_SOURCE + 1)
        except OSError as error:
            self._say(ParseResult(id=request.id, error=f"{request.file}: it cannot be read: {error.strerror}"))
            return
        if len(source) > _MAX_SOURCE:
            reason = f"it is larger than {_MAX_SOURCE >> 20} MB, which no DAG file is"
            self._say(ParseResult(id=request.id, error=f"{request.file}: {reason}"))
            return
        ours, theirs = socket.socketpair()
        output, write_end = os.pipe()
        server = os.getpid()
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            self._sock.close()
            ours.close()
            parsing.become(request, source, theirs, write_end, server)
        theirs.close()
        os.close(write_end)
        os.set_blocking(output, False)
        ours.setblocking(False)
        inputs = {request.file: hashlib.sha256(source).hexdigest()}
        child = _Child(request, pid, ours, output, started + request.timeout, started, inputs)
        self._children[pid] = child
        self._selector.register(ours, selectors.EVENT_READ, child)
        self._selector.register(output, selectors.EVENT_READ, child)

    def _listen(self, child: _Child, fd: int) -> None:
        if fd == child.output_fd:
            self._read_output(child)
            return
        while True:
            try:
                data = child.sock.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._selector.unregister(child.sock)
                return
            try:
                for payload in child.frames.feed(data):
                    self._take(child, unpack_from_server(payload))
            except ProtocolError:
                _kill_group(child.pid)  # a file that speaks to our descriptor gets the error of a killed one
                self._selector.unregister(child.sock)
                return

    def _take(self, child: _Child, message: ParseResult | ParseAsk) -> None:
        if child.answered or message.id != child.request.id:
            return
        if isinstance(message, ParseResult):
            child.answered = True
            self._read_output(child)
            output = child.output.decode(errors="backslashreplace")
            self._say(msgspec.structs.replace(message, output=output, duration=time.monotonic() - child.started))
        else:
            self._say(message)

    def _read_output(self, child: _Child) -> None:
        while child.output_fd in self._selector.get_map():
            try:
                data = os.read(child.output_fd, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._selector.unregister(child.output_fd)
                return
            child.output = (child.output + data)[-_OUTPUT:]
            if child.answered:
                return  # whoever still writes is about to be killed

    def _expire(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.deadline <= now:
                child.late = True
                child.deadline = now + 1.0
                _kill_group(child.pid)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.get(pid)
            if child is not None:
                self._end(child, status)
            for orphan in self._own.besides(set(self._children)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)

    def _end(self, child: _Child, status: int) -> None:
        if child.sock in self._selector.get_map():
            self._listen(child, child.sock.fileno())
        if not child.answered:
            self._take(child, ParseResult(id=child.request.id, error=_death(child, status), inputs=child.inputs))
        del self._children[child.pid]
        _kill_group(child.pid)
        for registered in (child.sock, child.output_fd):
            if registered in self._selector.get_map():
                self._selector.unregister(registered)
        child.sock.close()
        os.close(child.output_fd)


def _death(child: _Child, status: int) -> str:
    """Return the error of a file whose child ended without a result."""
    code = os.waitstatus_to_exitcode(status)
    file = child.request.file
    if child.late or code == -signal.SIGXCPU:
        return (
            f"{file}: parsing it took longer than {child.request.timeout:g} s and was stopped; "
            "move slow work (queries, requests, sleeps) from the top level of the file into tasks"
        )
    if code == -signal.SIGKILL:
        return (
            f"{file}: the process that parsed it was killed (signal 9), as the kernel does when memory runs out; "
            "move what needs much of it into tasks"
        )
    if code < 0:
        return (
            f"{file}: the process that parsed it crashed ({signal.Signals(-code).name}), in a library that it imports; "
            "import that inside the tasks that need it, or take another version"
        )
    return (
        f"{file}: the process that parsed it exited with status {code} before it was done: something calls os._exit; "
        "have it raise an error instead"
    )


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


#: What nearly every DAG file imports, or has imported for it when its DAGs are turned into specs.
_PRELOADED = (
    "cronsim", "datetime", "difflib", "inspect", "json", "logging", "zoneinfo",
    "windlass.authoring", "windlass.authoring.emit", "windlass.authoring.schedule", "windlass.operators",
    "windlass.planning.timetables",
)  # fmt: skip


def _preload() -> None:
    for module in _PRELOADED:
        importlib.import_module(module)
    windlass = importlib.import_module("windlass")
    for name in windlass.__all__:
        getattr(windlass, name)


def main(fd: int, *, concurrency: int) -> int:
    """Run a parse server on the inherited stream socket ``fd``."""
    limits.adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    open_text_output()
    _preload()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=fd) as sock:
        ParseServer(sock, concurrency).serve()
    sys.stdout.flush()
    return 0
