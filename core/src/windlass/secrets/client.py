"""The near end of the secrets helper: starts it, asks it, and never waits for it unless told to.

Answers are collected by :meth:`HelperClient.receive` when :meth:`HelperClient.fileno` is readable. That descriptor
stays the same when the helper is restarted, so a loop registers it once. A question without an answer after 10 seconds
fails, and so do the others then unanswered: the helper, which may be stuck, is killed and started again on next need.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from windlass.errors import ProtocolError, SecretsError
from windlass.protocol.framing import FrameReader, frame
from windlass.secrets.chain import Question
from windlass.secrets.helper import Request, Response, Setup

TIMEOUT: Final = 10.0

#: Called with the answer, or with the error that took its place.
Done = Callable[[str | None, SecretsError | None], None]


class HelperClient:
    """Asks the secrets helper. For one thread."""

    def __init__(
        self,
        backends: Mapping[str, dict[str, Any]],
        timeout: float = TIMEOUT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._setup = Setup(dict(backends))
        self._timeout = timeout
        self._now = now
        self._selector = selectors.DefaultSelector()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._reader = FrameReader()
        self._decoder = msgspec.msgpack.Decoder(Response)
        self._next = 0
        self._waiting: dict[int, tuple[Question, float, Done]] = {}

    def fileno(self) -> int:
        """Return the descriptor that is readable when :meth:`receive` has something to do."""
        return self._selector.fileno()

    @property
    def waiting(self) -> int:
        """How many questions are unanswered."""
        return len(self._waiting)

    def deadline(self) -> float | None:
        """Return when (monotonic) :meth:`expire` has something to do, None if never."""
        return min((deadline for _, deadline, _ in self._waiting.values()), default=None)

    def ask(self, question: Question, done: Done) -> None:
        """Send ``question``; ``done`` is called by a later :meth:`receive`, :meth:`expire` or :meth:`close`."""
        self._next += 1
        self._waiting[self._next] = (question, self._now() + self._timeout, done)
        try:
            self._send(Request(self._next, *question))
        except OSError as error:
            self._fail(f"the secrets helper cannot be asked: {error.strerror or error}")

    def receive(self) -> None:
        """Collect the answers that have come."""
        if self._line is None or not self._selector.select(0):
            return
        try:
            data = self._line.recv(1 << 16)
            if not data:
                self._fail("the secrets helper ended unexpectedly; its messages are in the server's log")
                return
            for payload in self._reader.feed(data):
                self._settle(self._decoder.decode(payload))
        except BlockingIOError:
            return
        except (OSError, ProtocolError, msgspec.MsgspecError) as error:
            self._fail(f"the secrets helper cannot be understood: {type(error).__name__}")

    def expire(self) -> None:
        """Fail what has waited too long, and end a helper that may be stuck."""
        deadline = self.deadline()
        if deadline is not None and deadline <= self._now():
            names = ", ".join(sorted({question.backend for question, _, _ in self._waiting.values()}))
            self._fail(f"secrets backend {names} did not answer within {self._timeout:g} s")

    def wait(self) -> None:
        """Block until every question is answered or has failed; for programs without a loop."""
        while (deadline := self.deadline()) is not None:
            if self._selector.select(max(0.0, deadline - self._now())):
                self.receive()
            self.expire()

    def close(self) -> None:
        """End the helper. Unanswered questions fail."""
        self._fail("the lookup was given up, since its process is ending")
        self._selector.close()

    def _settle(self, response: Response) -> None:
        question, _, done = self._waiting.pop(response.id, (None, 0.0, None))
        if question is None or done is None:
            return
        if response.error is None:
            done(response.value, None)
        else:
            done(
                None,
                SecretsError(
                    f"secrets backend {question.backend} refused {question.kind} `{question.key}`: {response.error}"
                ),
            )

    def _send(self, request: Request) -> None:
        if self._line is None:
            self._start()
        assert self._line is not None  # noqa: S101 - made by _start
        # A frame is small, and the helper's reading thread never waits: no room means that it is stuck.
        data = frame(msgspec.msgpack.encode(request))
        if self._line.send(data) != len(data):
            raise BlockingIOError

    def _start(self) -> None:
        self._line, far = socket.socketpair()
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "windlass.secrets"], stdin=far.fileno(), stdout=subprocess.DEVNULL
            )
        self._reader = FrameReader()
        self._line.sendall(frame(msgspec.msgpack.encode(self._setup)))
        self._line.setblocking(False)
        self._selector.register(self._line, selectors.EVENT_READ)

    def _fail(self, sentence: str) -> None:
        """End the helper and fail everything that waits for it."""
        if self._line is not None:
            self._selector.unregister(self._line)
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        waiting, self._waiting = self._waiting, {}
        for question, _, done in waiting.values():
            done(None, SecretsError(f"{question.kind} `{question.key}`: {sentence}"))
