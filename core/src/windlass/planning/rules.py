"""Trigger rules: from what was seen upstream to what becomes of the task.

Every rule of the table depends only on *which kinds* of upstream states exist, never on how many there are. So what a
task sees is one small integer, a bit per kind, and a rule is a few clauses tried in order. This is also what makes
planning cheap: counters change with every upstream, but a task is judged again only when a bit of its sight changes.

``removed`` is neutral: such an instance is done and is otherwise ignored, as if it had never been upstream (Airflow
counts it as done too, but then lets it block ``all_success``). A task that sees nothing at all is a root and runs.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from windlass.spec import TriggerRule
from windlass.states import TaskState


class Verdict(Enum):
    """What a trigger rule says about a task instance that has not started."""

    WAIT = "wait"
    RUN = "run"
    SKIP = "skip"
    UPSTREAM_FAILED = "upstream_failed"


# The slots of a counter. An upstream instance stands in one of the first six; a teardown counts its setups besides.
PENDING: Final = 0
SUCCESS: Final = 1
FAILED: Final = 2
UPSTREAM_FAILED: Final = 3
SKIPPED: Final = 4
REMOVED: Final = 5
SETUP_SUCCESS: Final = 6
SETUP_FAILED: Final = 7
SETUP_SKIPPED: Final = 8
SLOTS: Final = 9

#: The slot of an upstream instance by its state; everything unfinished is pending.
SLOT_OF: Final[dict[TaskState, int]] = dict.fromkeys(TaskState, PENDING) | {
    TaskState.SUCCESS: SUCCESS,
    TaskState.FAILED: FAILED,
    TaskState.UPSTREAM_FAILED: UPSTREAM_FAILED,
    TaskState.SKIPPED: SKIPPED,
    TaskState.REMOVED: REMOVED,
}


class Clause(NamedTuple):
    """Gives ``verdict`` when any kind of ``any_of`` was seen (0: no condition) and none of ``none_of``."""

    verdict: Verdict
    any_of: int = 0
    none_of: int = 0

    def holds(self, seen: int) -> bool:
        """Return whether the clause speaks for what was seen."""
        return (not self.any_of or bool(seen & self.any_of)) and not seen & self.none_of


def bits(*slots: int) -> int:
    """Return the sight in which exactly ``slots`` are occupied."""
    return sum(1 << slot for slot in slots)


_PENDING = bits(PENDING)
_SUCCESS = bits(SUCCESS)
_SKIPPED = bits(SKIPPED)
_BROKEN = bits(FAILED, UPSTREAM_FAILED)

_RUN_WHEN_DONE = Clause(Verdict.RUN, none_of=_PENDING)
_WAIT_FOR_ALL = Clause(Verdict.WAIT, any_of=_PENDING)
_FAIL_IF_BROKEN = Clause(Verdict.UPSTREAM_FAILED, any_of=_BROKEN)
_ELSE_SKIP = Clause(Verdict.SKIP)

#: The first clause that holds decides; none means wait.
RULES: Final[dict[TriggerRule, tuple[Clause, ...]]] = {
    TriggerRule.ALL_SUCCESS: (_FAIL_IF_BROKEN, Clause(Verdict.SKIP, any_of=_SKIPPED), _RUN_WHEN_DONE),
    TriggerRule.ALL_FAILED: (Clause(Verdict.SKIP, any_of=_SUCCESS | _SKIPPED), _RUN_WHEN_DONE),
    TriggerRule.ALL_DONE: (_RUN_WHEN_DONE,),
    TriggerRule.ALL_SKIPPED: (Clause(Verdict.SKIP, any_of=_SUCCESS | _BROKEN), _RUN_WHEN_DONE),
    TriggerRule.ONE_SUCCESS: (Clause(Verdict.RUN, any_of=_SUCCESS), _WAIT_FOR_ALL, _FAIL_IF_BROKEN, _ELSE_SKIP),
    TriggerRule.ONE_FAILED: (Clause(Verdict.RUN, any_of=_BROKEN), _WAIT_FOR_ALL, _ELSE_SKIP),
    # An upstream that never ran because of *its* upstream has not "done" anything.
    TriggerRule.ONE_DONE: (Clause(Verdict.RUN, any_of=_SUCCESS | bits(FAILED)), _WAIT_FOR_ALL, _ELSE_SKIP),
    TriggerRule.NONE_FAILED: (_FAIL_IF_BROKEN, _RUN_WHEN_DONE),
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: (
        _FAIL_IF_BROKEN,
        _WAIT_FOR_ALL,
        Clause(Verdict.RUN, any_of=_SUCCESS),
        _ELSE_SKIP,
    ),
    TriggerRule.NONE_SKIPPED: (Clause(Verdict.SKIP, any_of=_SKIPPED), _RUN_WHEN_DONE),
    TriggerRule.ALWAYS: (Clause(Verdict.RUN),),
    TriggerRule.ALL_DONE_SETUP_SUCCESS: (
        _WAIT_FOR_ALL,
        Clause(Verdict.RUN, any_of=bits(SETUP_SUCCESS)),
        Clause(Verdict.UPSTREAM_FAILED, any_of=bits(SETUP_FAILED)),
        Clause(Verdict.SKIP, any_of=bits(SETUP_SKIPPED)),
        Clause(Verdict.RUN),  # no setup in this run: nothing to prove
    ),
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: (
        _WAIT_FOR_ALL,
        Clause(Verdict.RUN, any_of=_SUCCESS),
        _FAIL_IF_BROKEN,
        _ELSE_SKIP,
    ),
}


def verdict(rule: TriggerRule, seen: int) -> Verdict:
    """Return what ``rule`` says of a task that sees ``seen`` (a bit per occupied slot) upstream."""
    if not seen:
        return Verdict.RUN
    return next((clause.verdict for clause in RULES[rule] if clause.holds(seen)), Verdict.WAIT)
