"""The checks: what passes, what fails, and what is said then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from windlass import DAG
from windlass.errors import AuthoringError
from windlass.operators import BaseOperator, PythonOperator
from windlass_sql.checks import (
    SQLCheckOperator,
    SQLColumnCheckOperator,
    SQLIntervalCheckOperator,
    SQLTableCheckOperator,
    SQLThresholdCheckOperator,
    SQLValueCheckOperator,
)
from windlass_sql.sqlite import SqliteHook
from windlass_testing import RunDag, RunTask


def verdict(run_task: RunTask, kind: type[BaseOperator], **arguments: Any) -> str | None:
    """Run a check; return what it says, None if it passes."""
    done = run_task(kind(task_id="c", conn_id="db", **arguments), logical_date=datetime(2026, 1, 8, tzinfo=UTC))
    assert done.reason is None or done.reason.startswith("CheckFailed: check 'c'"), done.reason
    return done.reason


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select 1, 'x', count(*) from items", None),
        ("select 1, 0", "not every value of (1, 0) is true"),
        ("select null", "not every value of (None,) is true"),
        ("select '' from items", "not every value"),
        ("select 1 where 1 = 0", "the query returned no row"),
    ],
)
def test_every_value_must_be_true(items: SqliteHook, run_task: RunTask, sql: str, said: str | None) -> None:
    found = verdict(run_task, SQLCheckOperator, sql=sql)
    assert found is None if said is None else found is not None and said in found


def test_a_failed_check_may_be_final(items: SqliteHook, run_task: RunTask) -> None:
    check = SQLCheckOperator(task_id="c", conn_id="db", sql="select 0", retry_on_failure=False)
    assert str(run_task(check).reason).startswith("TaskFailed: check 'c' failed")


@pytest.mark.parametrize(
    ("sql", "arguments", "passes"),
    [
        ("select 3, count(*) from items", {"pass_value": 3}, True),
        ("select 3, 4", {"pass_value": 3}, False),
        ("select 110, 90", {"pass_value": 100, "tolerance": 0.1}, True),
        ("select 110.001", {"pass_value": 100, "tolerance": 0.1}, False),
        ("select -110", {"pass_value": -100, "tolerance": 0.1}, True),
        ("select '3.0'", {"pass_value": "3"}, True),
        ("select name from items", {"pass_value": "pen"}, True),
        ("select name from items", {"pass_value": "ink"}, False),
        ("select null", {"pass_value": 0}, False),
        ("select 1 where 1 = 0", {"pass_value": 1}, False),
    ],
)
def test_every_value_must_be_the_one(
    items: SqliteHook, run_task: RunTask, sql: str, arguments: dict[str, Any], passes: bool
) -> None:
    assert (verdict(run_task, SQLValueCheckOperator, sql=sql, **arguments) is None) is passes


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(AuthoringError, match="tolerance is a fraction"):
        SQLValueCheckOperator(task_id="c", sql="select 1", pass_value=1, tolerance=-1)


@pytest.mark.parametrize(
    ("low", "high", "passes"),
    [
        (1, 5, True), (3, 3, True), (4, 5, False), (1, 2.5, False), ("1", "5", True),
        ("select min(id) from items", "select max(id) from items", True), (1, "select null", False),
    ],
)  # fmt: skip
def test_a_value_must_lie_between_thresholds(
    items: SqliteHook, run_task: RunTask, low: float | str, high: float | str, passes: bool
) -> None:
    arguments = {"min_threshold": low, "max_threshold": high}
    found = verdict(run_task, SQLThresholdCheckOperator, sql="select count(*) from items", **arguments)
    assert (found is None) is passes


@pytest.fixture
def days(items: SqliteHook) -> SqliteHook:
    items.run("create table days (ds text, n int)")
    items.insert_rows("days", [("2026-01-01", 10), ("2026-01-01", 0), ("2026-01-08", 15), ("2026-01-08", 0)])
    return items


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"metrics_thresholds": {"sum(n)": 2}}, None),
        ({"metrics_thresholds": {"sum(n)": 1.5}}, "sum(n) was 10 and is 15: max_over_min is 1.5000, not below 1.5"),
        ({"metrics_thresholds": {"sum(n)": 0.6}, "ratio_formula": "relative_diff"}, None),
        ({"metrics_thresholds": {"sum(n)": 0.5}, "ratio_formula": "relative_diff"}, "relative_diff is 0.5000"),
        ({"metrics_thresholds": {"min(n)": 1}}, None),
        ({"metrics_thresholds": {"min(n)": 1}, "ignore_zero": False}, "0 is not ignored"),
        ({"metrics_thresholds": {"sum(n)": 1}, "days_back": 1}, None),
    ],
)
def test_a_metric_must_not_change_too_much(
    days: SqliteHook, run_task: RunTask, arguments: dict[str, Any], said: str | None
) -> None:
    found = verdict(run_task, SQLIntervalCheckOperator, table="days", **arguments)
    assert found is None if said is None else found is not None and said in found


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ("sum(n)", "metrics_thresholds must be a dict, not 'sum(n)'"),
        ({"sum(n)": "much"}, "the threshold of sum(n) must be a number, not 'much'"),
    ],
)
def test_thresholds_that_are_none_are_told(days: SqliteHook, run_task: RunTask, thresholds: object, said: str) -> None:
    given: Any = thresholds  # of a template
    check = SQLIntervalCheckOperator(task_id="c", conn_id="db", table="days", metrics_thresholds=given)
    done = run_task(check, logical_date=datetime(2026, 1, 8, tzinfo=UTC))
    assert f"AuthoringError: check 'c': {said}" in str(done.reason)


def test_a_formula_that_is_none_is_refused() -> None:
    with pytest.raises(AuthoringError, match="ratio_formula 'x' is none of max_over_min, relative_diff"):
        SQLIntervalCheckOperator(task_id="c", table="t", metrics_thresholds={}, ratio_formula="x")


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({"null_check": {"equal_to": 1}, "distinct_check": {"geq_to": 2, "leq_to": 2}}, None),
        ({"null_check": {"equal_to": 0}}, "null_check of name is 1, not = 0"),
        ({"null_check": {"equal_to": 0, "partition_clause": "id < 3"}}, None),
        ({"unique_check": {"equal_to": 0}}, None),
        ({"distinct_check": {"greater_than": 2}}, "distinct_check of name is 2, not > 2"),
        ({"distinct_check": {"greater_than": 2, "tolerance": 0.5}}, None),
        ({"distinct_check": {"less_than": 2}}, "distinct_check of name is 2, not < 2"),
        ({"distinct_check": {"equal_to": 4, "tolerance": 0.4}}, "not = 4 within 40.00%"),
        ({"min": {"equal_to": 4}}, "min of name is 'ink', which is no number"),
    ],
)
def test_columns_are_checked(items: SqliteHook, run_task: RunTask, checks: dict[str, Any], said: str | None) -> None:
    found = verdict(run_task, SQLColumnCheckOperator, table="main.items", column_mapping={"name": checks})
    assert found is None if said is None else found is not None and said in found


def test_all_columns_are_checked_with_one_query_and_all_failures_told(items: SqliteHook, run_task: RunTask) -> None:
    mapping = {"id": {"min": {"equal_to": 2}, "max": {"less_than": 2}}, "name": {"null_check": {"equal_to": 1}}}
    found = verdict(run_task, SQLColumnCheckOperator, table="items", column_mapping=mapping)
    assert found is not None
    assert found.endswith("failed: min of id is 1, not = 2; max of id is 3, not < 2")
    mapping = {"id": {"min": {"equal_to": 0}}}
    empty = {"table": "items", "column_mapping": mapping, "partition_clause": "id > 99"}
    assert verdict(run_task, SQLColumnCheckOperator, **empty) is None
    found = verdict(run_task, SQLColumnCheckOperator, **empty, accept_none=False)
    assert found is not None
    assert "min of id has no value" in found


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"a": {"median": {"equal_to": 1}}}, "there is no check 'median'; there is null_check"),
        ({"a": {"min": {"equals": 1}}}, "min has no condition 'equals'"),
        ({"a": {"min": {"tolerance": 1}}}, "min has no condition; give one of"),
    ],
)
def test_a_column_check_that_is_none_is_refused_when_the_file_is_read(mapping: dict[str, Any], said: str) -> None:
    with pytest.raises(AuthoringError, match=said):
        SQLColumnCheckOperator(task_id="c", table="t", column_mapping=mapping)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (None, "column_mapping must be a dict, not None"),
        ({"a": ["min"]}, "column_mapping of 'a' must be a dict, not ['min']"),
        ({"a": {"min": 1}}, "min of 'a' must be a dict, not 1"),
        ({"name": {"median": {"equal_to": 1}}}, "there is no check 'median'"),
        ({"name": {"null_check": {"equal_to": "one"}}}, "equal_to must be a number, not 'one'"),
    ],
)
def test_column_checks_that_another_task_gives_are_judged_when_they_are_there(
    items: SqliteHook, run_task: RunTask, mapping: object, said: str
) -> None:
    found = given_by_a_task(run_task, SQLColumnCheckOperator, column_mapping=mapping)
    assert found.startswith("AuthoringError: check 'c'")
    assert said in found


def given_by_a_task(run_task: RunTask, kind: type[BaseOperator], **given: Any) -> str:
    """Run a check whose argument is the result of another task; return why it failed."""
    ((name, value),) = given.items()
    with DAG("d", schedule=None):
        other: Any = PythonOperator(task_id="other", python_callable=dict)
        check = kind(task_id="c", conn_id="db", table="items", **{name: other.output})
    return str(run_task(check, xcoms={"other": value}).reason)


def test_checks_may_come_from_another_task_or_in_part_from_templates(items: SqliteHook, run_dag: RunDag) -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), params={"count": 3}) as dag:
        known: Any = PythonOperator(task_id="known", python_callable=lambda: {"id": {"min": {"equal_to": 1}}})
        SQLColumnCheckOperator(task_id="columns", conn_id="db", table="items", column_mapping=known.output)
        conditions = PythonOperator(task_id="conditions", python_callable=lambda: {"equal_to": 1})
        mapping: Any = {"id": {"min": conditions.output, "max": {"equal_to": "{{ params.count }}"}}}
        SQLColumnCheckOperator(task_id="conditioned", conn_id="db", table="items", column_mapping=mapping)
        checks = {"rows": {"check_statement": "count(*) = {{ params.count }}"}}
        given: Any = PythonOperator(task_id="given", python_callable=lambda: {"ids": {"check_statement": "id > 0"}})
        SQLTableCheckOperator(task_id="statements", conn_id="db", table="items", checks=checks)
        SQLTableCheckOperator(task_id="tables", conn_id="db", table="items", checks=given.output)
    assert set(run_dag(dag).states.values()) == {"success"}


def test_a_template_in_the_place_of_checks_is_told_how_it_becomes_a_dict(items: SqliteHook, run_task: RunTask) -> None:
    template: Any = "{{ {} }}"
    check = SQLTableCheckOperator(task_id="c", conn_id="db", table="items", checks=template)
    expected = "checks must be a dict, not '{}'; a template gives one with render_template_as_native_obj=True"
    assert f"AuthoringError: check 'c': {expected}" in str(run_task(check).reason)


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([], "checks must be a dict, not []"),
        ({"rows": "count(*) = 3"}, "'rows' of checks must be a dict, not 'count(*) = 3'"),
        ({"rows": {"statement": "1"}}, "'rows' has no check_statement; give its condition"),
    ],
)
def test_table_checks_that_another_task_gives_are_judged_when_they_are_there(
    items: SqliteHook, run_task: RunTask, checks: object, said: str
) -> None:
    found = given_by_a_task(run_task, SQLTableCheckOperator, checks=checks)
    assert f"AuthoringError: check 'c': {said}" in found


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({"rows": {"check_statement": "count(*) = 3"}, "ids": {"check_statement": "id > 0"}}, None),
        ({"rows": {"check_statement": "count(*) = 4"}}, "failed: rows (count(*) = 4)"),
        ({"names": {"check_statement": "name is not null"}}, "failed: names"),
        ({"names": {"check_statement": "name is not null", "partition_clause": "id < 3"}}, None),
        ({"none": {"check_statement": "id > 0", "partition_clause": "id > 99"}}, "failed: none"),
    ],
)
def test_tables_are_checked(items: SqliteHook, run_task: RunTask, checks: dict[str, Any], said: str | None) -> None:
    found = verdict(run_task, SQLTableCheckOperator, table="items", checks=checks, partition_clause="id != 77")
    assert found is None if said is None else found is not None and said in found


def test_a_table_check_without_a_statement_is_refused() -> None:
    with pytest.raises(AuthoringError, match="'rows' has no check_statement"):
        SQLTableCheckOperator(task_id="c", table="t", checks={"rows": {"statement": "1"}})
