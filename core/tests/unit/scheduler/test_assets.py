"""Runs that asset events call for, over memory and over the database alike."""

from __future__ import annotations

from datetime import timedelta

import pytest

from windlass.ports import NewRun, WaitingEvent
from windlass.protocol import AssetEvent, Outcome
from windlass.spec import (
    AssetCondition,
    AssetOrTimeSpec,
    AssetScheduleSpec,
    CronIntervalSpec,
    DagSpec,
    NullSpec,
    TaskSpec,
)
from windlass.states import RunType
from windlass_testing.scripted import START, Result, ScriptedEngine

A, B = AssetCondition(asset="a"), AssetCondition(asset="b")
ALIAS = AssetCondition(alias="alias")


def waits_for(condition: AssetCondition, dag_id: str = "consumer", **settings: object) -> DagSpec:
    given: dict[str, object] = {"schedule": AssetScheduleSpec(condition=condition), **settings}
    return DagSpec(dag_id=dag_id, tasks=(TaskSpec(task_id="t"),), **given)  # type: ignore[arg-type]


def test_an_event_makes_one_run_at_its_instant(world: ScriptedEngine) -> None:
    world.add(waits_for(A))
    world.update("a")
    at = world.clock.now()
    world.settle()
    [run] = world.runs_of("consumer")
    assert run.run_id == f"asset_triggered__{at.isoformat(timespec='microseconds')}"
    assert (run.logical_date, run.run_after) == (at, at)
    assert (run.data_interval_start, run.data_interval_end) == (at, at)
    assert world.state(run) == "success"


def test_a_list_waits_for_all_and_the_interval_spans_the_events(world: ScriptedEngine) -> None:
    world.add(waits_for(AssetCondition(all_of=(A, B))))
    world.update("a")
    first = world.clock.now()
    world.settle()
    world.update("a")
    world.settle()
    assert world.runs_of("consumer") == []
    world.update("b")
    last = world.clock.now()
    world.settle()
    [run] = world.runs_of("consumer")
    assert run.logical_date == last
    assert (run.data_interval_start, run.data_interval_end) == (first, last)


def test_either_of_two_is_enough_and_each_makes_its_run(world: ScriptedEngine) -> None:
    world.add(waits_for(AssetCondition(any_of=(A, B))))
    for uri in ("a", "b"):
        world.update(uri)
        world.settle()
    assert len(world.runs_of("consumer")) == 2


def test_an_event_reaches_every_dag_that_listens_and_no_other(world: ScriptedEngine) -> None:
    world.add(waits_for(A, "one"))
    world.add(waits_for(A, "two"))
    world.add(waits_for(B, "other"))
    world.add(DagSpec(dag_id="never", tasks=(TaskSpec(task_id="t"),), schedule=NullSpec()))
    world.update("a")
    world.settle()
    assert [len(world.runs_of(dag)) for dag in ("one", "two", "other", "never")] == [1, 1, 0, 0]


def test_a_task_updates_its_outlets_when_it_succeeds(world: ScriptedEngine) -> None:
    world.add(DagSpec(dag_id="producer", tasks=(TaskSpec(task_id="good"), TaskSpec(task_id="bad"))))
    world.add(waits_for(A))
    world.add(waits_for(B, "other"))
    world.executor.script = lambda work, _: Result(
        Outcome.SUCCESS if work.task_id == "good" else Outcome.FAIL,
        updates=(AssetEvent(uri="a" if work.task_id == "good" else "b"),) if work.dag_id == "producer" else (),
    )
    world.trigger("producer")
    world.settle()
    assert [len(world.runs_of(dag)) for dag in ("consumer", "other")] == [1, 0]


def test_through_an_alias_an_event_reaches_the_listeners_of_alias_and_asset(world: ScriptedEngine) -> None:
    world.add(waits_for(A, "of-asset"))
    world.add(waits_for(ALIAS, "of-alias"))
    world.add(waits_for(AssetCondition(all_of=(A, ALIAS)), "of-both"))
    world.update("a")
    world.settle()
    assert [len(world.runs_of(dag)) for dag in ("of-asset", "of-alias", "of-both")] == [1, 0, 0]
    world.update("a", alias="alias")
    world.settle()
    assert [len(world.runs_of(dag)) for dag in ("of-asset", "of-alias", "of-both")] == [2, 1, 1]


def test_several_events_at_once_make_one_run(world: ScriptedEngine) -> None:
    world.add(waits_for(A))
    world.settle()
    for _ in range(3):
        world.update("a")
    world.settle()
    assert len(world.runs_of("consumer")) == 1
    assert world.store.waiting_events("consumer") == []


def test_events_of_one_instant_get_logical_dates_of_their_own(world: ScriptedEngine) -> None:
    world.add(waits_for(A))
    for _ in range(2):
        world.store.record_asset_event(AssetEvent(uri="a"))
        world.settle()
    one, two = world.runs_of("consumer")
    assert two.logical_date - one.logical_date == timedelta(microseconds=1)
    assert two.data_interval_start == two.data_interval_end == one.logical_date


def test_with_max_active_runs_the_events_wait_and_one_run_takes_them_all(world: ScriptedEngine) -> None:
    world.add(waits_for(A, max_active_runs=1))
    world.update("a")
    world.scheduler.step()
    world.scheduler.step()
    for _ in range(3):
        world.update("a")
        world.scheduler.step()
    assert len(world.runs_of("consumer")) == 1
    assert len(world.store.waiting_events("consumer")) == 3
    world.settle()
    assert len(world.runs_of("consumer")) == 2
    assert world.store.waiting_events("consumer") == []


def test_a_manual_run_consumes_nothing(world: ScriptedEngine) -> None:
    world.add(waits_for(AssetCondition(all_of=(A, B))))
    world.update("a")
    world.trigger("consumer")
    world.settle()
    assert len(world.store.waiting_events("consumer")) == 1


def test_an_event_while_the_dag_is_paused_calls_for_no_run_and_goes_to_the_next(world: ScriptedEngine) -> None:
    world.add(waits_for(A), paused=True)
    world.update("a")
    world.settle()
    world.add(waits_for(A), paused=False)
    world.settle()
    assert world.runs_of("consumer") == []
    world.update("a")
    world.settle()
    [run] = world.runs_of("consumer")
    assert run.data_interval_end - run.data_interval_start == timedelta(milliseconds=1)


def test_an_event_from_before_a_pause_still_counts_after_it(world: ScriptedEngine) -> None:
    both = waits_for(AssetCondition(all_of=(A, B)))
    world.add(both)
    world.update("a")
    world.settle()
    world.add(both, paused=True)
    world.settle()
    world.add(both, paused=False)
    world.update("b")
    world.settle()
    assert len(world.runs_of("consumer")) == 1


def test_a_dag_hears_of_what_comes_after_it_was_added(world: ScriptedEngine) -> None:
    world.update("a")
    world.add(waits_for(A))
    world.settle()
    assert world.runs_of("consumer") == []
    world.update("a")
    world.settle()
    assert len(world.runs_of("consumer")) == 1


def test_a_changed_schedule_keeps_what_it_still_waits_for_and_drops_the_rest(world: ScriptedEngine) -> None:
    c = AssetCondition(asset="c")
    world.add(waits_for(AssetCondition(all_of=(A, B, c))))
    world.update("a")
    world.update("b")
    world.settle()
    world.add(waits_for(AssetCondition(all_of=(A, c))))
    world.settle()
    assert [event.uri for event in world.store.waiting_events("consumer")] == ["a"]
    world.add(waits_for(A))
    world.settle()
    assert len(world.runs_of("consumer")) == 1


def test_asset_or_time_runs_by_both(world: ScriptedEngine) -> None:
    schedule = AssetOrTimeSpec(condition=A, timetable=CronIntervalSpec(expression="0 * * * *"))
    world.add(waits_for(A, schedule=schedule, start_date=START, catchup=True))
    world.update("a")
    world.pass_time(timedelta(hours=1, minutes=1))
    runs = world.runs_of("consumer")
    assert [run.run_type.value for run in runs] == ["asset_triggered", "scheduled"]
    assert all(world.state(run) == "success" for run in runs)


def test_a_scheduler_that_takes_over_makes_the_run_of_what_waits(world: ScriptedEngine) -> None:
    world.add(waits_for(A))
    world.settle()
    world.update("a")
    world.scheduler = world.new_scheduler()
    world.settle()
    world.scheduler = world.new_scheduler()
    world.settle()
    assert len(world.runs_of("consumer")) == 1


def test_an_event_that_somebody_else_has_consumed_makes_no_second_run(world: ScriptedEngine) -> None:
    world.add(waits_for(A))
    world.settle()
    world.update("a")
    waiting = world.store.waiting_events("consumer")
    world.settle()
    now = world.clock.now()
    new = NewRun(
        dag_id="consumer",
        run_type=RunType.ASSET_TRIGGERED,
        logical_date=now,
        data_interval_start=now,
        data_interval_end=now,
        run_after=now,
        bump=True,
        asset_events=tuple(event.id for event in waiting),
    )
    assert world.store.create_run(new) is None
    assert len(world.runs_of("consumer")) == 1


@pytest.mark.one_scheduler
def test_an_asset_that_is_never_joined_by_the_other_costs_no_reading_of_its_events(
    world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(waits_for(AssetCondition(all_of=(A, B))))
    read: list[str] = []
    real = world.store.waiting_events

    def noted(dag_id: str) -> list[WaitingEvent]:
        read.append(dag_id)
        return real(dag_id)

    monkeypatch.setattr(world.store, "waiting_events", noted)
    for _ in range(5):
        world.update("a")
        world.settle()
    assert read == []
    world.update("b")
    world.settle()
    assert read == ["consumer"]
