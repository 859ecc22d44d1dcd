"""One trigger host as its supervisor sees it: what it runs, what that may ask, and what to do when it hangs.

What a trigger asks is answered as a task is: connections and variables by the secrets chain, whose secrets are hidden
in the log of the task before the answer leaves, runs and task states by the gateway. What a trigger writes, and what is
to be said of it, goes to the log of its task's try.

All triggers of a host share one loop. One that does not give way is named by the host's own watch, first as a warning;
when it goes on, its wait is failed, the host is ended, and everything else in it begins again. A host that is silent
altogether is ended too, and the cell tells whose code it was.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from windlass.errors import ContextUnavailable, ProtocolError, WindlassError
from windlass.ports import Gateway, Wait, WaitKey
from windlass.protocol import ArtifactCommit, ArtifactOpen, GetConnection, Mask, Query, Variable, XComValue
from windlass.protocol import triggering as messages
from windlass.secrets.masking import Masker
from windlass.supervisor.artifacts import Artifacts
from windlass.supervisor.logs import LogWriter, contained
from windlass.supervisor.questions import Questions, is_secret_question
from windlass.supervisor.reactor import Reactor, Timer
from windlass.supervisor.settings import SupervisorSettings
from windlass.supervisor.trigger_process import TriggerProcess
from windlass.supervisor.waiting import SHARED, Host, HostKey

_log = logging.getLogger(__name__)

#: Seconds between two pings.
_PING = 5.0


class Owner(Protocol):
    """Who is told what a host says: the waits."""

    def on_event(self, key: WaitKey, value: XComValue) -> None:
        """A trigger fired."""

    def on_failure(self, key: WaitKey, reason: str) -> None:
        """A trigger will never fire."""

    def on_unopenable(self, key: HostKey, error: str) -> None:
        """The code cannot be imported."""

    def on_gone(self, key: HostKey, host: Host, blamed: WaitKey | None, how: str, *, opened: bool = True) -> None:
        """The process has ended, by itself or by force."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every host of a supervisor is given."""

    settings: SupervisorSettings
    reactor: Reactor
    gateway: Gateway
    questions: Questions
    artifacts: Artifacts
    now: Callable[[], datetime]
    #: Of the supervisor: it marks the process, so that a successor finds it.
    tag: str


class _Watched:
    """A wait in this host, and the log that it writes to."""

    def __init__(self, wait: Wait, around: Surroundings, secrets: Sequence[str]) -> None:
        self.wait = wait
        self.masker = Masker(secrets)
        #: It was warned that its trigger blocks.
        self.warned = False
        self._log = LogWriter(contained(around.settings.logs, wait.log_path), self.masker, around.now)

    def note(self, level: str, message: str) -> None:
        """Add a line of the supervisor's own; with a thousand waits, no descriptor stays open for it."""
        self._log.note(level, message)
        self._log.close()

    def write(self, data: bytes) -> None:
        """Add what the trigger wrote: whole lines."""
        self._log.feed(data)
        self._log.close()

    def blocking(self, seconds: float, where: str) -> str:
        """Return the sentence for a trigger that does not give way."""
        place = f" at {where}" if where else ""
        return (
            f"its trigger {messages.shown(self.wait.trigger)} has blocked all others{place} for {seconds:.0f} s; "
            "`await` what takes time, or move it into `asyncio.to_thread`"
        )


class TriggerHost:
    """A host, from its start to its end. Implements :class:`windlass.supervisor.waiting.Host`."""

    def __init__(self, key: HostKey, owner: Owner, around: Surroundings) -> None:
        self._key = key
        self._owner = owner
        self._around = around
        self._reactor = around.reactor
        self._waits: dict[WaitKey, _Watched] = {}
        #: What the DAG file was told while it was imported, and so every trigger of it knows.
        self._secrets: list[str] = []
        self._opened = False
        self._answered_at = around.reactor.monotonic()
        self._pings = 0
        #: Why it was ended here; and whether a wait was failed for it already.
        self._how: str | None = None
        self._charged = False
        self._process = TriggerProcess(around.tag, around.reactor, self._take, self._give_up)
        self._artifacts_token = f"host-{self.pid}"
        self._timer = self._open()

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def _open(self) -> Timer:
        settings = self._around.settings
        _, file, version = self._key
        code = "" if self._key == SHARED else str(settings.code)
        order = messages.Open(code=code, code_version=version, file=file, log_level=settings.log_level)
        self._process.send(order)
        late = f"took longer than {settings.import_timeout:g} s"
        return self._reactor.after(settings.import_timeout, functools.partial(self._give_up, late))

    # --- What the waits want

    def begin(self, wait: Wait) -> None:
        """Run the trigger of ``wait``."""
        watched = self._waits[wait.key] = _Watched(wait, self._around, self._secrets)
        watched.note("INFO", f"the trigger {messages.shown(wait.trigger)} waits")
        name = f"{wait.dag_id}.{wait.task_id}" + (f"[{wait.map_index}]" if wait.map_index >= 0 else "")
        self._process.send(messages.Begin(key=wait.key, name=name, trigger=wait.trigger, kwargs=wait.kwargs))

    def end(self, key: WaitKey, note: str | None = None) -> None:
        """Stop it, if it runs."""
        watched = self._waits.pop(key, None)
        if watched is None:
            return
        if note is not None:
            watched.note("INFO", note)
        self._process.send(messages.End(key=key))

    def close(self) -> None:
        """End the process; nobody waits for it any more."""
        self._waits.clear()
        self._process.kill()

    # --- The end of the process

    def exited(self, status: int) -> None:
        """Take note that the process was reaped."""
        how = self._process.exited(status)
        how = self._how or how
        culprit = None if self._charged else self._process.running
        blamed = culprit if culprit in self._waits else None
        if blamed is not None:
            self._waits[blamed].note("WARNING", f"the trigger host {how} while this trigger ran")
        self._timer.cancel()
        self._process.close()
        self._around.artifacts.forget(self._artifacts_token)
        self._owner.on_gone(self._key, self, blamed, how, opened=self._opened)

    def _give_up(self, how: str) -> None:
        """End a process that is of no use any more."""
        self._how = how
        if not self._opened:
            self._owner.on_unopenable(self._key, f"importing it {how}")
        self._process.kill()

    def _charge(self, key: WaitKey, seconds: float, where: str) -> None:
        """Fail the wait that stands in the way of all others, and start afresh without it."""
        watched = self._waits.get(key)
        if watched is not None:
            self._fail(key, watched.blocking(seconds, where))
        self._charged = True
        self._give_up("was ended, because a trigger blocked it")

    def _ping(self) -> None:
        """See that the loop turns, whatever the process itself can tell of it."""
        limit = self._around.settings.trigger_block_limit
        silent = self._reactor.monotonic() - self._answered_at
        culprit = self._process.running
        if silent > limit + _PING and culprit is not None:
            self._charge(culprit, silent, "")
        elif silent > limit + 2 * _PING:
            self._give_up(f"did not answer for {silent:.0f} s")
        else:
            self._pings += 1
            self._process.send(messages.Ping(number=self._pings))
            self._timer = self._reactor.after(_PING, self._ping)

    # --- What it says

    def _take(self, message: messages.FromHost) -> None:
        self._answered_at = self._reactor.monotonic() if isinstance(message, messages.Pong) else self._answered_at
        match message:
            case messages.Opened():
                self._opened = True
                self._answered_at = self._reactor.monotonic()
                self._timer.cancel()
                self._ping()
            case messages.Unopenable(error=error):
                self._owner.on_unopenable(self._key, Masker(self._secrets).mask(error))
            case messages.Event(key=key, value=value):
                self._owner.on_event(key, value)
            case messages.Failure(key=key, reason=reason):
                self._fail(key, reason)
            case messages.Question():
                self._ask(message)
            case messages.Output(key=key, data=data):
                if key in self._waits:
                    self._waits[key].write(data)
            case messages.Blocked(key=key, seconds=seconds, where=where):
                self._on_blocked(key, seconds, where)
            case messages.Pong():
                pass

    def _fail(self, key: WaitKey, reason: str) -> None:
        watched = self._waits.get(key)
        if watched is not None:
            reason = watched.masker.mask(reason)
            watched.note("ERROR", reason)
        self._owner.on_failure(key, reason)

    def _on_blocked(self, key: WaitKey, seconds: float, where: str) -> None:
        watched = self._waits.get(key)
        if watched is None or self._charged:
            return
        if seconds > self._around.settings.trigger_block_limit:
            self._charge(key, seconds, where)
        elif not watched.warned:
            watched.warned = True
            warning = watched.blocking(seconds, where)
            watched.note("WARNING", warning)
            _log.warning("task %s of DAG %s: %s", watched.wait.task_id, watched.wait.dag_id, warning)

    # --- What it asks

    def _ask(self, question: messages.Question) -> None:
        verb, number, key = question.verb, question.id, question.key
        try:
            if isinstance(verb, GetConnection | Variable) and is_secret_question(verb):
                self._around.questions.ask(verb, functools.partial(self._on_answered, number, key))
            elif isinstance(verb, ArtifactOpen | ArtifactCommit):
                self._tell(number, self._around.artifacts.answer(self._artifacts_token, verb))
            elif isinstance(verb, Mask):
                self._on_answered(number, key, None, verb.values, None)
            elif isinstance(verb, Query) and key is not None:
                self._tell(number, self._around.gateway.answer(key, verb))
            else:
                name = verb.__struct_config__.tag
                self._tell(number, error=ContextUnavailable(f"a trigger only watches: it cannot use `{name}`"))
        except WindlassError as error:
            self._tell(number, error=error)
        except Exception as error:  # noqa: BLE001 - logged, and the trigger gets an answer
            _log.exception("answering %s failed", type(verb).__name__)
            self._tell(number, error=ProtocolError(f"the engine failed to answer: {type(error).__name__}"))

    def _on_answered(
        self, number: int, key: WaitKey | None, value: object, masks: Sequence[str], error: WindlassError | None
    ) -> None:
        if key is None:
            self._secrets += masks
            for watched in self._waits.values():
                watched.masker.add(*masks)
        elif key in self._waits:
            self._waits[key].masker.add(*masks)
        self._tell(number, value, error)

    def _tell(self, number: int, result: object = None, error: WindlassError | None = None) -> None:
        if error is not None:
            self._process.send(messages.Told(id=number, error=str(error), code=error.code))
            return
        try:
            self._process.send(messages.Told(id=number, result=result))
        except (ProtocolError, TypeError) as problem:
            text = f"the answer cannot be sent: {problem}"
            self._process.send(messages.Told(id=number, error=text, code=ProtocolError.code))


class TriggerHosts:
    """All trigger hosts, for whoever reaps."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._by_pid: dict[int, TriggerHost] = {}

    def start(self, key: HostKey, owner: Owner) -> TriggerHost:
        """Start a host."""
        host = TriggerHost(key, owner, self._around)
        self._by_pid[host.pid] = host
        return host

    def exited(self, pid: int, status: int) -> bool:
        """Take note that process ``pid`` was reaped; return whether it was a host."""
        host = self._by_pid.pop(pid, None)
        if host is None:
            return False
        host.exited(status)
        return True
