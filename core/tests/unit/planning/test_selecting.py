"""Which tasks are meant: by a regular expression, around a task, with what it needs."""

from __future__ import annotations

import pytest

from windlass.errors import UsageError
from windlass.planning.selecting import chosen_tasks, downstream_of, matching, setups_of, upstream_of
from windlass.spec import DagSpec, TaskSpec

SPEC = DagSpec(
    dag_id="d",
    tasks=(
        TaskSpec(task_id="up", is_setup=True),
        TaskSpec(task_id="load_a", upstream=("up",)),
        TaskSpec(task_id="load_b", upstream=("load_a",)),
        TaskSpec(task_id="down", upstream=("up", "load_b"), is_teardown=True, setups=("up",)),
        TaskSpec(task_id="report", upstream=("load_b",)),
    ),
)


def test_an_expression_may_match_anywhere_in_the_name() -> None:
    assert matching(SPEC, "load") == {"load_a", "load_b"}
    assert matching(SPEC, "^a") == set()


def test_around_a_task_is_everything_above_or_below() -> None:
    assert upstream_of(SPEC, {"load_b"}) == {"load_a", "up"}
    assert downstream_of(SPEC, {"load_a"}) == {"load_b", "down", "report"}


def test_a_task_needs_the_setups_in_whose_scope_it_stands_and_their_teardowns() -> None:
    assert setups_of(SPEC, {"load_b"}) == {"up", "down"}
    assert setups_of(SPEC, {"report"}) == set()


def test_the_chosen_tasks_stand_in_the_order_of_the_graph_with_their_setups() -> None:
    assert chosen_tasks(SPEC, "load_b|report") == ("up", "load_b", "down", "report")
    assert chosen_tasks(SPEC, None) is None


def test_an_expression_that_finds_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no task of DAG 'd' matches 'zz'; `windlass tasks list d` shows all"):
        chosen_tasks(SPEC, "zz")
