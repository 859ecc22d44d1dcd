"""The near end of the secrets helper: starts it, asks it, and never waits for it unless told to.

Answers are collected by :meth:`HelperClient.receive` when :meth:`HelperClient.fileno` is readable. That descriptor
stays the same when the helper is restarted, so a loop registers it once; it is readable too when what did not fit into
the socket can be written.

Equal questions are asked once. The helper is given as many questions of a backend as it has threads for it, so that
each is begun at once, and the others wait here. So the 10 seconds, which count from there, tell a slow backend from a
stuck one: a question begun and not answered by then fails, and the helper is killed, since nothing else ends a stuck
thread. All others are asked again of the next helper, with 10 new seconds; that happens to a question once at most,
since by the next time its own seconds are over. If the helper dies by itself, what it had begun fails (asked again, it
might kill the next one), and what waited goes on.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, Final

import msgspec

from windlass.errors import ProtocolError, SecretsError
from windlass.protocol.framing import FrameReader, frame
from windlass.secrets.chain import Question
from windlass.secrets.helper import THREADS, Request, Response, Setup

TIMEOUT: Final = 10.0
#: Who has had nearly all of its time when the helper is killed is not asked again: what began in one burst ends as one.
_NEARLY: Final = 0.05

#: Called with the answer, or with the error that took its place.
Done = Callable[[str | None, SecretsError | None], None]


class _Asked:
    """A question, its frame, and all who wait for the answer. ``deadline`` counts once it is begun."""

    __slots__ = ("data", "deadline", "done", "id", "question")

    def __init__(self, number: int, question: Question, data: bytes, done: Done) -> None:
        self.id = number
        self.question = question
        self.data = data
        self.done = [done]
        self.deadline = 0.0

    def failed(self, sentence: str) -> _Outcome:
        return self, None, SecretsError(f"{self.question.kind} `{self.question.key}`: {sentence}")


_Outcome = tuple[_Asked, str | None, SecretsError | None]


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
        self._unsent = bytearray()
        self._next = 0
        self._asked: dict[Question, _Asked] = {}
        self._begun: dict[int, _Asked] = {}
        self._queues: defaultdict[str, deque[_Asked]] = defaultdict(deque)

    def fileno(self) -> int:
        """Return the descriptor that is readable when :meth:`receive` has something to do."""
        return self._selector.fileno()

    @property
    def waiting(self) -> int:
        """How many questions are unanswered."""
        return len(self._asked)

    def deadline(self) -> float | None:
        """Return when (monotonic) :meth:`expire` has something to do, None if never."""
        return min((asked.deadline for asked in self._begun.values()), default=None)

    def ask(self, question: Question, done: Done) -> None:
        """Ask ``question``; ``done`` is called once: by :meth:`receive`, :meth:`expire` or :meth:`close`.

        It is called at once if there can be no answer, because no helper can be started, say.
        """
        known = self._asked.get(question)
        if known is not None:
            known.done.append(done)
            return
        self._next += 1
        try:
            data = frame(msgspec.msgpack.encode(Request(self._next, *question)))
        except (ProtocolError, UnicodeEncodeError) as error:
            why = "is no text" if isinstance(error, UnicodeEncodeError) else "is too long"
            done(None, SecretsError(f"a {question.kind} cannot be looked up in {question.backend}: its name {why}"))
            return
        asked = self._asked[question] = _Asked(self._next, question, data, done)
        self._queues[question.backend].append(asked)
        self._proceed()

    def receive(self) -> None:
        """Write what there is room for, and collect the answers that have come."""
        for _, events in self._selector.select(0) if self._line is not None else ():
            if events & selectors.EVENT_WRITE:
                self._write()
            if events & selectors.EVENT_READ:
                self._read()

    def expire(self) -> None:
        """Fail what a backend has not answered in time, end the helper, where it is stuck, and ask the rest again."""
        self.receive()  # what has come while the loop was busy is not late
        deadline, now = self.deadline(), self._now()
        if deadline is None or deadline > now:
            return
        late = [asked for asked in self._begun.values() if asked.deadline <= now + self._timeout * _NEARLY]
        for asked in reversed(self._end()):
            if asked not in late:
                self._queues[asked.question.backend].appendleft(asked)
        self._proceed(
            asked.failed(f"secrets backend {asked.question.backend} did not answer within {self._timeout:g} s")
            for asked in late
        )

    def wait(self) -> None:
        """Block until every question is answered or has failed; for programs without a loop."""
        while (deadline := self.deadline()) is not None:
            if self._selector.select(max(0.0, deadline - self._now())):
                self.receive()
            self.expire()

    def close(self) -> None:
        """End the helper. Unanswered questions fail."""
        self._end()
        self._selector.close()
        _tell(self._give_up("the lookup was given up, since its process is ending"))

    # --- questions -----------------------------------------------------------------------------------------------

    def _proceed(self, outcomes: Iterable[_Outcome] = ()) -> None:
        """Begin what can be begun now, then tell ``outcomes`` to those who wait for them."""
        outcomes = list(outcomes)
        for asked, _, _ in outcomes:
            del self._asked[asked.question]
        try:
            for backend, queue in self._queues.items():
                while queue and self._busy(backend) < THREADS:
                    self._begin(queue.popleft())
        except (OSError, ProtocolError) as error:
            self._end()
            reason = getattr(error, "strerror", None) or error
            outcomes += self._give_up(f"the secrets helper cannot be started: {reason}")
        if self._line is not None:
            self._write()
        _tell(outcomes)

    def _busy(self, backend: str) -> int:
        return sum(asked.question.backend == backend for asked in self._begun.values())

    def _begin(self, asked: _Asked) -> None:
        self._begun[asked.id] = asked
        if self._line is None:
            self._start()
        self._unsent += asked.data
        asked.deadline = self._now() + self._timeout

    def _give_up(self, sentence: str) -> list[_Outcome]:
        everything = list(self._asked.values())
        self._asked.clear()
        self._begun.clear()
        self._queues.clear()
        return [asked.failed(sentence) for asked in everything]

    # --- the line ------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        assert self._line is not None  # noqa: S101 - what calls this has looked
        try:
            while self._unsent:
                del self._unsent[: self._line.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # it has died, as reading will say too, after the answers that it still gave
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._line, events)

    def _read(self) -> None:
        assert self._line is not None  # noqa: S101 - what calls this has looked
        responses: list[Response] = []
        try:
            while data := self._line.recv(1 << 16):
                responses += map(self._decoder.decode, self._reader.feed(data))
            ended = "the secrets helper ended unexpectedly; its messages are in the server's log"
        except BlockingIOError:
            ended = ""
        except (OSError, ProtocolError, msgspec.MsgspecError) as error:
            ended = f"the secrets helper cannot be understood: {type(error).__name__}"
        self._proceed(
            [_outcome(self._begun.pop(answer.id), answer) for answer in responses if answer.id in self._begun]
            # What a helper had begun that can answer no more fails, and the rest goes on with a new one.
            + ([asked.failed(ended) for asked in self._end()] if ended else [])
        )

    def _start(self) -> None:
        setup = frame(msgspec.msgpack.encode(self._setup))
        self._line, far = socket.socketpair()
        self._line.setblocking(False)
        self._selector.register(self._line, selectors.EVENT_READ)
        with far:
            # -P: nothing in the current folder is imported by the process that holds the credentials.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "windlass.secrets"], stdin=far.fileno(), stdout=subprocess.DEVNULL
            )
        self._reader = FrameReader()
        self._unsent += setup

    def _end(self) -> list[_Asked]:
        """End the helper, if there is one, and return what it had begun, in the order of asking."""
        if self._line is not None:
            self._selector.unregister(self._line)
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._unsent.clear()
        begun, self._begun = list(self._begun.values()), {}
        return begun


def _outcome(asked: _Asked, response: Response) -> _Outcome:
    if response.error is None:
        return asked, response.value, None
    return asked, None, SecretsError(f"secrets backend {asked.question.backend} {response.error}")


def _tell(outcomes: Iterable[_Outcome]) -> None:
    """Give every outcome to all who wait for it; one that raises then keeps no other from its answer."""
    with ExitStack() as stack:
        for asked, value, error in reversed(list(outcomes)):
            for done in reversed(asked.done):
                stack.callback(done, value, error)
