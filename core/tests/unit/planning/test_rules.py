"""The table of trigger rules, written out: what a task sees upstream, and what becomes of it."""

from __future__ import annotations

import itertools

import pytest

from windlass.planning import rules
from windlass.planning.rules import SLOT_OF, Verdict, bits, verdict
from windlass.spec import TriggerRule
from windlass.states import TERMINAL_TASK_STATES, TaskState

P, OK, FAIL, UF, SKIP, GONE = (
    rules.PENDING,
    rules.SUCCESS,
    rules.FAILED,
    rules.UPSTREAM_FAILED,
    rules.SKIPPED,
    rules.REMOVED,
)
RUN, SKIPPED, BROKEN, WAIT = Verdict.RUN, Verdict.SKIP, Verdict.UPSTREAM_FAILED, Verdict.WAIT

#: Each sight once, in this order; below, one letter per sight: R run, S skip, F upstream_failed, . wait.
SIGHTS = (
    (OK,),
    (FAIL,),
    (UF,),
    (SKIP,),
    (OK, SKIP),
    (OK, FAIL),
    (FAIL, SKIP),
    (UF, SKIP),
    (OK, FAIL, SKIP),
    (P,),
    (P, OK),
    (P, FAIL),
    (P, UF),
    (P, SKIP),
    (P, OK, SKIP),
)
TABLE = {
    #                          done       | waiting
    TriggerRule.ALL_SUCCESS: "RFFSSFFFF  ..FFSS",
    TriggerRule.ALL_FAILED: "SRRSSSSSS  .S..SS",
    TriggerRule.ALL_DONE: "RRRRRRRRR  ......",
    TriggerRule.ALL_SKIPPED: "SSSRSSSSS  .SSS.S",
    TriggerRule.ONE_SUCCESS: "RFFSRRFFR  .R...R",
    TriggerRule.ONE_FAILED: "SRRSSRRRR  ..RR..",
    TriggerRule.ONE_DONE: "RRSSRRRSR  .RR..R",
    TriggerRule.NONE_FAILED: "RFFRRFFFF  ..FF..",
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: "RFFSRFFFF  ..FF..",
    TriggerRule.NONE_SKIPPED: "RRRSSRSSS  ....SS",
    TriggerRule.ALWAYS: "RRRRRRRRR  RRRRRR",
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: "RFFSRRFFR  ......",
}
LETTER = {RUN: "R", SKIPPED: "S", BROKEN: "F", WAIT: "."}


@pytest.mark.parametrize("rule", TABLE)
def test_a_rule_says_what_its_row_of_the_table_says(rule: TriggerRule) -> None:
    assert "".join(LETTER[verdict(rule, bits(*sight))] for sight in SIGHTS) == TABLE[rule].replace(" ", "")


@pytest.mark.parametrize("rule", TriggerRule)
def test_a_root_always_runs(rule: TriggerRule) -> None:
    assert verdict(rule, 0) is RUN


@pytest.mark.parametrize("rule", TriggerRule)
def test_removed_instances_are_neutral_next_to_others(rule: TriggerRule) -> None:
    others = [slot for slot in range(rules.SLOTS) if slot != GONE]
    for size in range(1, len(others)):
        for seen in itertools.combinations(others, size):
            assert verdict(rule, bits(*seen, GONE)) is verdict(rule, bits(*seen))


@pytest.mark.parametrize("rule", TriggerRule)
def test_no_rule_waits_when_all_is_done(rule: TriggerRule) -> None:
    finished = [slot for slot in range(rules.SLOTS) if slot != P]
    for size in range(len(finished)):
        for seen in itertools.combinations(finished, size):
            assert verdict(rule, bits(*seen)) is not WAIT


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((OK, rules.SETUP_SUCCESS), RUN),
        ((FAIL, rules.SETUP_SUCCESS), RUN),
        ((FAIL, rules.SETUP_SUCCESS, rules.SETUP_FAILED), RUN),
        ((SKIP, rules.SETUP_SUCCESS, rules.SETUP_SKIPPED), RUN),
        ((P, rules.SETUP_SUCCESS), WAIT),
        ((P, rules.SETUP_SKIPPED), WAIT),
        ((UF, rules.SETUP_FAILED), BROKEN),
        ((OK, rules.SETUP_FAILED, rules.SETUP_SKIPPED), BROKEN),
        ((SKIP, rules.SETUP_SKIPPED), SKIPPED),
        ((OK, rules.SETUP_SKIPPED), SKIPPED),
        ((FAIL,), RUN),
    ],
)
def test_a_teardown_runs_when_all_is_done_and_a_setup_succeeded(seen: tuple[int, ...], expected: Verdict) -> None:
    assert verdict(TriggerRule.ALL_DONE_SETUP_SUCCESS, bits(*seen)) is expected


def test_every_state_has_a_slot_and_only_unfinished_ones_are_pending() -> None:
    assert {state for state in TaskState if SLOT_OF[state] == P} == set(TaskState) - TERMINAL_TASK_STATES
    assert len({SLOT_OF[state] for state in TERMINAL_TASK_STATES}) == len(TERMINAL_TASK_STATES)
