"""What a plan knows of a task instance, and what it can decide: plain data, read and written by the scheduler.

Every decision carries the sentence that explains it; it ends in the transition log and in ``windlass explain``.
"""

from __future__ import annotations

import msgspec

from windlass.states import RunState, TaskState


class Instance(msgspec.Struct, kw_only=True):
    """A task instance as a plan knows it. The plan owns it once it was handed over, and changes it."""

    task_id: str
    map_index: int = -1
    state: TaskState = TaskState.NONE
    #: The kept decision of a branch or short circuit: the task ids it skips. It counts while the state is success.
    skip_targets: tuple[str, ...] = ()
    #: The length of the ``return_value`` if that is a list or dict. It counts while the state is success.
    result_length: int | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance goes from ``before`` to ``to``: scheduled, skipped, upstream_failed or removed."""

    task_id: str
    map_index: int
    before: TaskState
    to: TaskState
    reason: str


class Expand(msgspec.Struct, frozen=True, kw_only=True):
    """The mapped task has ``length`` (at least 1) instances now: create those of 0..length-1 that do not exist.

    Index 0 reuses the row of the placeholder, the instance with map index -1, if there still is one. A second Expand
    of the same task comes when its source was cleared, ran again and returned a longer list.
    """

    task_id: str
    length: int


class Conclusion(msgspec.Struct, frozen=True, kw_only=True):
    """How the run ends, and why."""

    state: RunState
    reason: str


def label(task_id: str, map_index: int) -> str:
    """Return how messages name a task instance: ``load`` or ``load[3]``."""
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"
