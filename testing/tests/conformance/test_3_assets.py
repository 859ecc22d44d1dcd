"""SEMANTICS, section 3: asset schedules: all, any, aliases, or time; which runs they make and what those know."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from testing.tests.conformance.steps import bad, good, skip

from windlass import DAG, Asset, AssetAlias, task
from windlass.control import RunRow
from windlass.operators import EmptyOperator
from windlass.timetables import AssetOrTimeSchedule
from windlass_testing.virtual import START, VirtualInstallation

A, B, C = (Asset(f"s3://bucket/{name}") for name in "abc")
HOUR = timedelta(hours=1)


def consumer(windlass: VirtualInstallation, schedule: Any, **options: Any) -> None:
    """Store a DAG ``consumer`` that waits for assets, and one that updates each of three."""
    with DAG("consumer", schedule=schedule, **options) as dag:

        @task
        def look(triggering_asset_events: Any) -> dict[str, list[Any]]:
            return {str(a.uri): [e.extra for e in events] for a, events in triggering_asset_events.items()}

        look()
    windlass.add(dag)
    for asset in (A, B, C):
        with DAG(f"makes_{asset.uri[-1]}", schedule=None) as producer:
            EmptyOperator(task_id="make", outlets=[asset])
        windlass.add(producer)
    windlass.settle()


def update(windlass: VirtualInstallation, letters: str) -> None:
    """Update assets, an hour apart."""
    for letter in letters:
        windlass.clock.advance(HOUR.total_seconds())
        windlass.run(f"makes_{letter}")
        windlass.settle()


def runs(windlass: VirtualInstallation) -> list[RunRow]:
    return windlass.runs("consumer")


@pytest.mark.parametrize(
    ("schedule", "updates", "number"),
    [
        (A, "a", 1),
        (A, "aa", 2),
        (A, "b", 0),
        ([A], "a", 1),
        ([A, B], "a", 0),
        ([A, B], "ab", 1),
        ([A, B], "aab", 1),
        (A & B, "abab", 2),
        (A | B, "a", 1),
        (A | B, "ab", 2),
        ((A & B) | C, "ac", 1),
        ((A | B) & C, "bc", 1),
        ((A | B) & C, "ab", 0),
    ],
    ids=str,
)
def test_a_condition_of_assets_makes_a_run_when_it_is_met(
    windlass: VirtualInstallation, schedule: Any, updates: str, number: int
) -> None:
    consumer(windlass, schedule)
    update(windlass, updates)
    assert [str(run.state) for run in runs(windlass)] == ["success"] * number
    assert {str(run.run_type) for run in runs(windlass)} <= {"asset_triggered"}


def test_the_logical_date_is_the_completing_events_instant_and_the_interval_spans_the_events(
    windlass: VirtualInstallation,
) -> None:
    consumer(windlass, A & B)
    update(windlass, "ab")
    [run] = runs(windlass)
    assert run.logical_date == START + 2 * HOUR
    assert (run.data_interval_start, run.data_interval_end) == (START + HOUR, START + 2 * HOUR)
    assert run.run_id == "asset_triggered__2026-03-01T14:00:00+00:00"


def test_a_run_knows_the_events_that_triggered_it_with_their_extra(windlass: VirtualInstallation) -> None:
    consumer(windlass, A)
    with DAG("other", schedule=None) as dag:

        @task(outlets=[A])
        def make(outlet_events: Any) -> None:
            outlet_events[A].extra["rows"] = 10

        make()
    windlass.run(dag)
    windlass.settle()
    [run] = runs(windlass)
    assert windlass.xcom(run, "look") == {A.uri: [{"rows": 10}]}


@pytest.mark.parametrize("ending", [bad, skip], ids=["failed", "skipped"])
def test_a_task_that_did_not_succeed_updates_nothing(windlass: VirtualInstallation, ending: Any) -> None:
    consumer(windlass, A)
    with DAG("other", schedule=None) as dag:
        ending.override(outlets=[A])()
    windlass.run(dag)
    windlass.settle()
    assert runs(windlass) == []


def test_an_alias_stands_for_the_assets_that_a_task_names_at_run_time(windlass: VirtualInstallation) -> None:
    alias = AssetAlias("today")
    consumer(windlass, alias)
    with DAG("other", schedule=None) as dag:

        @task(outlets=[alias])
        def make(outlet_events: Any) -> None:
            outlet_events[alias].add(B, extra={"day": 1})

        make()
    windlass.run(dag)
    windlass.settle()
    [run] = runs(windlass)
    assert windlass.xcom(run, "look") == {B.uri: [{"day": 1}]}


def test_asset_or_time_runs_by_both(windlass: VirtualInstallation) -> None:
    schedule = AssetOrTimeSchedule(timetable="@daily", assets=[A])
    consumer(windlass, schedule, start_date=datetime(2026, 3, 1, tzinfo=UTC), catchup=True)
    update(windlass, "a")
    windlass.pass_time(timedelta(days=1))
    assert {str(run.run_type) for run in runs(windlass)} == {"asset_triggered", "scheduled"}


def test_an_update_while_the_dag_is_paused_makes_no_run_of_its_own(windlass: VirtualInstallation) -> None:
    consumer(windlass, A)
    windlass.control.dags.set_paused("consumer", paused=True, actor="somebody")
    update(windlass, "a")
    windlass.control.dags.set_paused("consumer", paused=False, actor="somebody")
    windlass.settle()
    assert runs(windlass) == []


def test_a_restart_between_two_events_loses_neither(windlass: VirtualInstallation) -> None:
    consumer(windlass, A & B)
    update(windlass, "a")
    windlass.restart_scheduler()
    update(windlass, "b")
    assert len(runs(windlass)) == 1


def test_a_manual_run_of_an_asset_dag_consumes_nothing(windlass: VirtualInstallation) -> None:
    consumer(windlass, A & B)
    update(windlass, "a")
    windlass.run("consumer")
    update(windlass, "b")
    assert [str(run.run_type) for run in runs(windlass)] == ["manual", "asset_triggered"]


def test_inlet_events_are_what_happened_to_an_inlet(windlass: VirtualInstallation) -> None:
    consumer(windlass, None)
    update(windlass, "aa")
    with DAG("reader", schedule=None) as dag:
        task(task_id="t", inlets=[A])(lambda inlet_events: len(list(inlet_events[A])))()
    assert windlass.xcom(windlass.run(dag), "t") == 2


def test_any_task_may_have_outlets_and_a_mapped_one_updates_per_instance(windlass: VirtualInstallation) -> None:
    consumer(windlass, A)
    with DAG("other", schedule=None) as dag:
        task(task_id="t", outlets=[A])(lambda x: x).expand(x=[1, 2])
        good()
    windlass.run(dag)
    windlass.settle()
    events = windlass.store.db.rows("SELECT COUNT(*) FROM asset_event")
    assert events == [(2,)]
