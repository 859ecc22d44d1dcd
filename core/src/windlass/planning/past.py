"""``depends_on_past`` and ``wait_for_downstream``: may a task go on, given what became of it in the run before."""

from __future__ import annotations

from windlass.ports import PreviousFacts
from windlass.spec import TaskSpec
from windlass.states import TaskState

_ENDED_WELL = frozenset({TaskState.SUCCESS, TaskState.SKIPPED})


def past_allows(task: TaskSpec, previous: PreviousFacts | None) -> bool:
    """Return whether the past lets ``task`` run; ``previous`` is None when there is no run before.

    The first run of a backfill passes, whatever came before it.

    A run before that has no such task lets it pass only if no earlier run has one either and
    ``ignore_first_depends_on_past`` says so. A skipped task counts as success.
    """
    if previous is None or previous.first_of_backfill:
        return True
    if previous.state is None:
        return task.ignore_first_depends_on_past and not previous.has_earlier_instance
    if previous.state not in _ENDED_WELL:
        return False
    return previous.downstream_done or not task.wait_for_downstream
