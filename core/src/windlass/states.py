"""The states of task instances and runs, and which actor may move which state where.

This table is the law of the engine: the store refuses a transition that is not in it, the simulation checks every
row of the transition log against it, and ``windlass doctor --invariants`` does the same on a live database.

A task instance is ``none`` until its trigger rule lets it go, ``scheduled`` when it may run, ``queued`` when an
executor was given a ticket for it, ``running`` while a leased process holds it. Everything else is an ending or a
pause. Only ``clear``, ``mark`` and ``version`` take a task instance out of a terminal state.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class TaskState(StrEnum):
    """The state of a task instance, by Airflow's names."""

    NONE = "none"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    UP_FOR_RETRY = "up_for_retry"
    UP_FOR_RESCHEDULE = "up_for_reschedule"
    DEFERRED = "deferred"
    REMOVED = "removed"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing but a clear, a mark or a new version moves the task instance on."""
        return self in TERMINAL_TASK_STATES


class RunState(StrEnum):
    """The state of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self in TERMINAL_RUN_STATES


class RunType(StrEnum):
    """What created a run; the first part of its run id."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    BACKFILL = "backfill"
    ASSET_TRIGGERED = "asset_triggered"


class Actor(StrEnum):
    """Who wrote a transition. Part of the audit row, and of its legality."""

    SCHEDULER = "scheduler"
    TASK = "task"  # the attempt itself, through its supervisor
    REAPER = "reaper"  # a lease or a queue wait ended
    TRIGGER = "trigger"  # the trigger of a deferred task, through its supervisor
    TIMEOUT = "timeout"  # dagrun_timeout
    MARK = "mark"
    CLEAR = "clear"
    VERSION = "version"  # a run was pinned to another version of its DAG


class TriggerRule(StrEnum):
    """When a task may run, by the states of its direct upstreams. See SEMANTICS for each row's meaning."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_SKIPPED = "all_skipped"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"
    ALL_DONE_SETUP_SUCCESS = "all_done_setup_success"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"


class WeightRule(StrEnum):
    """How a task's priority is made from ``priority_weight``."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    ABSOLUTE = "absolute"


TERMINAL_TASK_STATES: Final = frozenset(
    {TaskState.SUCCESS, TaskState.FAILED, TaskState.SKIPPED, TaskState.UPSTREAM_FAILED, TaskState.REMOVED}
)
TERMINAL_RUN_STATES: Final = frozenset({RunState.SUCCESS, RunState.FAILED})
#: States in which a task instance occupies a slot of its pool, its run and its executor.
OCCUPYING_STATES: Final = frozenset({TaskState.QUEUED, TaskState.RUNNING})

_S = TaskState
_SCHEDULER: Final = frozenset({Actor.SCHEDULER})


#: Paused between two attempts.
_PAUSED: Final = (_S.UP_FOR_RETRY, _S.UP_FOR_RESCHEDULE, _S.DEFERRED)
#: Unfinished, and no process to wait for.
_IDLE: Final = (_S.NONE, _S.SCHEDULED, _S.QUEUED, *_PAUSED)

#: (befores, afters, actors): each row allows every pair it spans.
_ROWS: Final[tuple[tuple[tuple[TaskState, ...], tuple[TaskState, ...], tuple[Actor, ...]], ...]] = (
    ((_S.NONE, *_PAUSED), (_S.SCHEDULED,), (Actor.SCHEDULER,)),
    ((_S.DEFERRED,), (_S.SCHEDULED,), (Actor.TRIGGER,)),
    ((_S.SCHEDULED,), (_S.QUEUED,), (Actor.SCHEDULER,)),
    ((_S.QUEUED,), (_S.SCHEDULED,), (Actor.REAPER,)),
    ((_S.QUEUED,), (_S.RUNNING,), (Actor.TASK,)),
    ((_S.RUNNING,), (_S.SUCCESS, _S.FAILED, _S.SKIPPED, *_PAUSED), (Actor.TASK,)),
    # A lost attempt: the supervisor or the reaper writes the end.
    ((_S.RUNNING,), (_S.FAILED, _S.UP_FOR_RETRY), (Actor.REAPER,)),
    # A stopped attempt: whoever asked for the stop is the actor, once the process tree is gone.
    ((_S.RUNNING,), (_S.SUCCESS, _S.FAILED, _S.SKIPPED), (Actor.MARK, Actor.TIMEOUT)),
    ((_S.NONE, _S.SCHEDULED), (_S.SKIPPED, _S.UPSTREAM_FAILED, _S.REMOVED), (Actor.SCHEDULER,)),
    # fail_fast: another task of the run has failed.
    ((_S.QUEUED, *_PAUSED), (_S.SKIPPED,), (Actor.SCHEDULER,)),
    (_IDLE, (_S.SKIPPED, _S.FAILED, _S.SUCCESS, _S.REMOVED), (Actor.TIMEOUT, Actor.MARK, Actor.VERSION)),
    ((*_IDLE, _S.RUNNING, *TERMINAL_TASK_STATES), (_S.NONE,), (Actor.CLEAR,)),
    (tuple(TERMINAL_TASK_STATES), (_S.SUCCESS, _S.FAILED), (Actor.MARK,)),
    ((_S.REMOVED,), (_S.NONE,), (Actor.VERSION,)),
)


def _legal_task_transitions() -> dict[tuple[TaskState, TaskState], frozenset[Actor]]:
    table: dict[tuple[TaskState, TaskState], frozenset[Actor]] = {}
    for befores, afters, actors in _ROWS:
        for pair in ((before, after) for before in befores for after in afters if before is not after):
            table[pair] = table.get(pair, frozenset()) | frozenset(actors)
    return table


#: (from, to) -> the actors that may write it.
TASK_TRANSITIONS: Final = _legal_task_transitions()

#: (from, to) -> the actors that may write it, for runs.
RUN_TRANSITIONS: Final[dict[tuple[RunState, RunState], frozenset[Actor]]] = {
    (RunState.QUEUED, RunState.RUNNING): _SCHEDULER,
    (RunState.QUEUED, RunState.SUCCESS): frozenset({Actor.MARK}),
    (RunState.QUEUED, RunState.FAILED): frozenset({Actor.MARK, Actor.TIMEOUT, Actor.SCHEDULER}),
    (RunState.RUNNING, RunState.SUCCESS): frozenset({Actor.SCHEDULER, Actor.MARK}),
    (RunState.RUNNING, RunState.FAILED): frozenset({Actor.SCHEDULER, Actor.MARK, Actor.TIMEOUT}),
    (RunState.SUCCESS, RunState.FAILED): frozenset({Actor.MARK}),
    (RunState.FAILED, RunState.SUCCESS): frozenset({Actor.MARK}),
    (RunState.RUNNING, RunState.QUEUED): frozenset({Actor.CLEAR}),
    (RunState.SUCCESS, RunState.QUEUED): frozenset({Actor.CLEAR}),
    (RunState.FAILED, RunState.QUEUED): frozenset({Actor.CLEAR}),
}


def is_legal(before: TaskState, after: TaskState, actor: Actor) -> bool:
    """Return whether ``actor`` may move a task instance from ``before`` to ``after``."""
    return actor in TASK_TRANSITIONS.get((before, after), frozenset())
