"""What a supervisor asks of the engine on behalf of its attempts.

The local gateway is the store itself, injected by ``app``; on a remote worker it will be an HTTP client with the same
methods. All of them take and give lists, so that a busy supervisor pays one transaction for many attempts.

A claim is made when the child has said ``hello``: ``running`` therefore always means that a process lives, and a
process lost before its hello has charged no try.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from windlass.protocol import AttemptContext, Defer, Finish, Query, Rendered, Reschedule, Verb, XComSet, XComValue


class WorkloadKind(StrEnum):
    """What a supervisor is asked to run in a child process."""

    TASK = "task"
    CALLBACK = "callback"
    TIMETABLE = "timetable"
    CONNECTION_TEST = "connection_test"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A child is ready to run task instance ``task`` (or callback ``task``) under this epoch and ticket."""

    task: int
    epoch: int
    ticket: str
    pid: int
    hostname: str
    kind: WorkloadKind = WorkloadKind.TASK


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """The claim was granted: the lease, what the child must know, and what the supervisor enforces."""

    task: int
    lease_id: str
    context: AttemptContext
    #: Seconds; None = no limit. Counts this attempt's running time.
    execution_timeout: float | None
    #: Path of the log below the log folder, one per try.
    log_path: str


class StopKind(StrEnum):
    """Why an attempt must end; decides the state it ends in."""

    MARK_SUCCESS = "mark_success"
    MARK_FAILED = "mark_failed"
    CLEAR = "clear"
    TIMEOUT = "timeout"  # of the run: skipped
    FAIL_FAST = "fail_fast"  # another task failed: skipped


class StopRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Stop the attempt of a task instance. The state changes when its whole process tree is gone."""

    task: int
    run: int
    lease_id: str
    kind: StopKind
    actor: str = "scheduler"


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of an attempt, with everything that must be written in the same transaction.

    Exactly one of ``ending``, ``lost`` and ``stopped`` is set. ``lost`` is a sentence (killed by signal 9, out of
    memory, …). ``timed_out`` fails the try after execution_timeout; retries count. ``op_id`` makes it repeatable.
    """

    task: int
    lease_id: str
    epoch: int
    op_id: str
    ending: Finish | Defer | Reschedule | None = None
    lost: str | None = None
    timed_out: str | None = None
    stopped: StopKind | None = None
    xcoms: tuple[XComSet, ...] = ()
    rendered: Rendered | None = None
    log_size: int = 0
    started_at: datetime | None = None
    #: The process is still on its way out. A stop that wins over the ending refuses such a report, so that what a
    #: clear starts anew never meets the old process; it is sent again when the process tree is gone.
    early: bool = False
    #: A callback's ending is its acknowledgement, or asks for it to be called again.
    kind: WorkloadKind = WorkloadKind.TASK


#: Names a wait: a task instance and the epoch of the attempt that deferred it.
WaitKey = tuple[int, int]


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """The trigger of a deferred task instance: to be run until its event comes, as often as hosts die under it."""

    task: int
    epoch: int
    #: What ``BaseTrigger.serialize`` returned: the name of the class, and the encoded arguments.
    trigger: str
    kwargs: XComValue
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    bundle: str
    file: str
    code_version: str
    #: Of the try, to which what the trigger writes is appended.
    log_path: str

    @property
    def key(self) -> WaitKey:
        """The name of the wait."""
        return self.task, self.epoch


class WaitChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor has to learn: waits that it holds and does not know, and known ones that it lost or ended."""

    begun: tuple[Wait, ...] = ()
    ended: tuple[WaitKey, ...] = ()


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """A wait is over: its event, or why there will be none. Sending it again is harmless."""

    task: int
    epoch: int
    event: XComValue | None = None
    failure: str | None = None


class Gateway(Protocol):
    """A supervisor's view of the engine."""

    def claim(self, claims: Sequence[Claim], supervisor: str) -> list[Claimed | None]:
        """Move each ``queued`` instance to ``running`` if epoch and ticket still hold; None is a conflict.

        A granted claim has a fresh lease of 60 s and an open attempt; unless it resumes, XComs of earlier tries go.
        """
        ...

    def heartbeat(self, leases: Sequence[str], supervisor: str) -> list[StopRequest]:
        """Renew the leases and return what must stop now. A lease that is no longer ours is reported as a clear."""
        ...

    def report(self, reports: Sequence[Report], supervisor: str) -> list[bool]:
        """Write the ends of attempts, each in its own right: False = a conflict, the report changed nothing.

        What becomes of the instance is decided by ``planning.endings.ending_of``, the same for every store. Kept skip
        targets, outbox rows and the signal to the run's scheduler belong to the same transaction. A claim needs no
        signal: the scheduler reads the running ones when it wants to stop them.
        """
        ...

    def exchange(
        self, reports: Sequence[Report], claims: Sequence[Claim], supervisor: str
    ) -> tuple[list[bool], list[Claimed | None]]:
        """Do what :meth:`report` and :meth:`claim` do, in this order and, where that can be, with one commit."""
        ...

    def call(self, lease_id: str, verb: Verb) -> Any:  # noqa: ANN401 - msgpack values
        """Answer one question of a running attempt; the result is msgpack-able.

        :raises WindlassError: with the sentence and the code that the child shall see.
        """
        ...

    def recover(self, supervisor: str) -> int:
        """Close every open lease of this supervisor id as lost: its processes are proven dead. Return how many."""
        ...

    # The waits of deferred tasks. A wait is held by a lease as an attempt is, but only so that it does not run
    # everywhere: running it twice is harmless, since the guard on its live row lets one event through.

    def waits(self, known: Sequence[WaitKey], supervisor: str) -> WaitChanges:
        """Take the live waits that nobody holds, renew the own ones, and return what differs from ``known``."""
        ...

    def fire(self, fired: Sequence[Fired], supervisor: str) -> list[bool]:
        """Move each ``deferred`` instance to ``scheduled`` if its wait is still live; False: it is not.

        The event is kept for the next attempt, and the signal to the run's scheduler belongs to the transaction.
        """
        ...

    def answer(self, wait: WaitKey, query: Query) -> Any:  # noqa: ANN401 - msgpack values
        """Answer what a trigger asks about runs and task states.

        :raises WindlassError: with the sentence and the code that the trigger shall see.
        """
        ...
