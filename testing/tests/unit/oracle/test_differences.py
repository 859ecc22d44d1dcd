from __future__ import annotations

from typing import Any

import pytest
from testing.oracle.differences import Allowed, Difference, differences, judge


def document(**changes: Any) -> dict[str, Any]:
    run = {
        "dag_id": "d",
        "run_id": "manual__x",
        "run_type": "manual",
        "state": "success",
        "logical_date": "2024-01-01T00:00:00+00:00",
        "data_interval": ["a", "b"],
        "tasks": {"a": "success", "b": "skipped"},
        "tries": {},
        "xcoms": {"a": {"return_value": {"k": 1}}},
        "rendered": {},
    }
    return {"runs": [{**run, **changes}], "refused": 0}


def reason(*at: str) -> Allowed:
    return Allowed(id="r", title="R", airflow="x", windlass="y", at=at, reason="because")


def places(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [found.place for found in differences({"d": one}, {"d": other})]


def test_equal_documents_have_no_difference() -> None:
    assert differences({"d": document()}, {"d": document()}) == []


def test_a_difference_names_its_place_and_both_values() -> None:
    other = document(tasks={"a": "failed", "b": "skipped"}, xcoms={"a": {"return_value": {"k": 2}}}, state="failed")
    assert differences({"d": document()}, {"d": other}) == [
        Difference("d[0]: state", "success", "failed"),
        Difference("d[0]: tasks/a", "success", "failed"),
        Difference("d[0]: xcoms/a/return_value", {"k": 1}, {"k": 2}),
    ]


def test_a_task_or_xcom_that_only_one_side_has_is_a_difference() -> None:
    assert places(document(), document(tasks={"a": "success"})) == ["d[0]: tasks/b"]
    assert places(document(), document(xcoms={})) == ["d[0]: xcoms/a"]


def test_other_runs_are_one_difference_with_their_dates() -> None:
    two = {"runs": [*document()["runs"], *document(logical_date="later")["runs"]], "refused": 0}
    [found] = differences({"d": document()}, {"d": two})
    assert found.place == "d: runs"
    assert found.windlass == ["2024-01-01T00:00:00+00:00", "later"]


def test_a_refused_trigger_and_a_scenario_that_was_not_played_are_differences() -> None:
    assert places(document(), {**document(), "refused": 1}) == ["d: refused"]
    assert [found.place for found in differences({"d": document()}, {})] == ["d: scenario"]


def test_an_unexplained_difference_fails() -> None:
    verdict = judge([Difference("d[0]: state", "success", "failed")], [])
    assert [found.place for found in verdict.unexplained] == ["d[0]: state"]
    assert not verdict.is_good


def test_an_explained_difference_is_good() -> None:
    found = [Difference("d[0]: tasks/a", "success", "failed"), Difference("d[1]: tasks/a", "success", "failed")]
    verdict = judge(found, [reason("d[*]: tasks/a")])
    assert verdict.explained == {"r": found}
    assert verdict.is_good


def test_a_difference_that_has_become_another_must_be_looked_at_again() -> None:
    known = [Difference("d[0]: state", "success", "failed")]
    assert judge(known, [reason("d[0]: state")], known).is_good
    changed = Difference("d[0]: state", "success", "skipped")
    assert judge([changed], [reason("d[0]: state")], known).unexplained == [changed]


def test_brackets_in_a_pattern_stand_for_themselves() -> None:
    verdict = judge([Difference("d[0]: tasks/m[1]", "success", "failed")], [reason("d[0]: tasks/m[1]")])
    assert verdict.is_good


def test_a_reason_that_is_no_longer_needed_fails_in_a_complete_comparison() -> None:
    verdict = judge([Difference("d[0]: state", "success", "failed")], [reason("d[0]: state", "e[0]: state")])
    assert verdict.stale == ["r: e[0]: state"]
    assert not verdict.is_good
    assert judge([], [reason("e[0]: state")], complete=False).is_good


def test_a_reason_must_say_why_and_where() -> None:
    with pytest.raises(ValueError, match="r needs `rule` or `reason`"):
        Allowed(id="r", title="R", airflow="x", windlass="y", at=("d: runs",))
    with pytest.raises(ValueError, match="and `at`"):
        Allowed(id="r", title="R", airflow="x", windlass="y", at=(), reason="because")
