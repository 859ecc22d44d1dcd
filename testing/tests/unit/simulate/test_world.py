"""The real scheduler on a virtual clock: runs, waits and pools of a period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass.errors import UsageError
from windlass.spec import (
    AssetCondition,
    AssetScheduleSpec,
    ContinuousSpec,
    CronIntervalSpec,
    CronTriggerSpec,
    CustomTimetableSpec,
    DagSpec,
    DeltaIntervalSpec,
    MapSpec,
    OnceSpec,
    RelativeDelta,
    TaskSpec,
    TimetableSpec,
    XComLength,
)
from windlass_testing.simulate.assumptions import Assumptions, DagEntry, History, Poke, TaskEntry
from windlass_testing.simulate.outcome import Simulation
from windlass_testing.simulate.world import simulate

FROM = datetime(2026, 3, 1, tzinfo=UTC)
HOURLY = CronIntervalSpec(expression="0 * * * *")


def hour(number: float) -> datetime:
    return FROM + timedelta(hours=number)


def dag(*tasks: TaskSpec | str, dag_id: str = "d", schedule: TimetableSpec = HOURLY, **fields: Any) -> DagSpec:
    specs = tuple(TaskSpec(task_id=task) if isinstance(task, str) else task for task in tasks)
    fields = {"start_date": datetime(2020, 1, 1, tzinfo=UTC), **fields}
    return DagSpec(dag_id=dag_id, tasks=specs, schedule=schedule, **fields)


def told(dag_id: str = "d", **tasks: Any) -> Assumptions:
    return Assumptions(dags={dag_id: DagEntry(tasks=tasks)})


def run(*specs: DagSpec, hours: float = 4, **options: Any) -> Simulation:
    return simulate(specs, FROM, hour(hours), **options)


def states(outcome: Simulation) -> list[str]:
    return [str(found.state) for found in outcome.runs]


def waits(outcome: Simulation) -> dict[tuple[str | None, str], tuple[int, float]]:
    return {(wait.task_id, wait.reason): (wait.count, wait.total) for wait in outcome.waits}


# --- The period


@pytest.mark.parametrize("catchup", [True, False])
@pytest.mark.parametrize(
    "schedule",
    [
        HOURLY,
        CronTriggerSpec(expressions=("0 * * * *",)),
        DeltaIntervalSpec(delta=RelativeDelta(seconds=3600)),
    ],
)
def test_a_period_begins_as_if_everything_before_it_were_done(schedule: TimetableSpec, catchup: bool) -> None:
    outcome = run(dag("a", schedule=schedule, catchup=catchup))
    assert [found.run_after for found in outcome.runs] == [hour(0), hour(1), hour(2), hour(3)]
    assert states(outcome) == ["success"] * 4
    assert [found.end for found in outcome.runs] == [hour(n) + timedelta(minutes=1) for n in range(4)]


def test_a_dag_that_starts_within_the_period_begins_there() -> None:
    assert [found.logical_date for found in run(dag("a", start_date=hour(1.5))).runs] == [hour(2)]


def test_the_grid_of_a_month_stays_where_the_start_date_put_it() -> None:
    monthly = DeltaIntervalSpec(delta=RelativeDelta(months=1))
    spec = dag("a", schedule=monthly, catchup=True, start_date=datetime(2020, 1, 31, tzinfo=UTC))
    outcome = simulate([spec], FROM, datetime(2026, 6, 1, tzinfo=UTC))
    assert [found.run_after.day for found in outcome.runs] == [31, 30, 31]


def test_a_continuous_dag_runs_without_a_pause_and_a_dag_that_ran_once_does_not_run_again() -> None:
    outcome = run(dag("a", dag_id="c", schedule=ContinuousSpec()), dag("a", dag_id="o", schedule=OnceSpec()), hours=1)
    assert {found.dag_id for found in outcome.runs} == {"c"}
    assert len(outcome.runs) == 60
    assert len(run(dag("a", schedule=OnceSpec(), start_date=hour(2))).runs) == 1


def test_what_has_not_ended_is_shown_as_it_is() -> None:
    outcome = run(dag("a"), hours=1, assumptions=told(a=7200))
    [found] = outcome.runs
    assert (str(found.state), found.start, found.end) == ("running", FROM, None)
    assert [str(task.state) for task in outcome.tasks] == ["running"]


def test_an_empty_period_is_refused() -> None:
    with pytest.raises(UsageError, match="--to must be later than --from"):
        simulate([], FROM, FROM)


def test_a_dag_that_takes_no_time_at_all_does_not_hang_the_simulation() -> None:
    with pytest.raises(UsageError, match="does not get on"):
        run(dag(schedule=ContinuousSpec()))


def test_what_is_not_simulated_is_said() -> None:
    notes = run(
        dag("a", dag_id="x", schedule=CustomTimetableSpec(name="lunar", data={})),
        dag("a", dag_id="y", schedule=AssetScheduleSpec(condition=AssetCondition(asset="s3://x"))),
    ).notes
    assert notes[0] == "DAG 'x' has no runs here: its timetable 'lunar' is a plugin's"
    assert notes[1] == "DAG 'y' has no runs here: assets decide when it runs"


def test_the_same_simulation_comes_out_the_same() -> None:
    specs = [dag("a", TaskSpec(task_id="b", upstream=("a",)), dag_id=f"d{n}") for n in range(5)]
    assert run(*specs, parallelism=2) == run(*specs, parallelism=2)


# --- What tasks do


def test_durations_come_from_history_and_from_the_file() -> None:
    spec = dag("a", TaskSpec(task_id="b", upstream=("a",)), TaskSpec(task_id="c", upstream=("b",)))
    history = History(durations={("d", "a"): 100.0, ("d", "b"): 100.0})
    outcome = run(spec, hours=1, history=history, assumptions=told(b=10))
    assert outcome.runs[0].end == FROM + timedelta(seconds=170)
    assert outcome.durations == {"history": 1, "file": 1, "default": 1}


def test_a_branch_skips_what_the_file_does_not_choose() -> None:
    spec = dag("a", TaskSpec(task_id="b", upstream=("a",)), TaskSpec(task_id="c", upstream=("a",)))
    everything = run(spec, hours=1)
    assert {task.task_id: str(task.state) for task in everything.tasks} == dict.fromkeys("abc", "success")
    chosen = run(spec, hours=1, assumptions=told(a=TaskEntry(branch="b")))
    assert {task.task_id: str(task.state) for task in chosen.tasks} == {"a": "success", "b": "success", "c": "skipped"}


@pytest.mark.parametrize(("length", "count"), [(None, 1), (3, 3), (0, 1)])
def test_a_task_is_mapped_over_one_item_or_as_many_as_the_file_says(length: int | None, count: int) -> None:
    mapped = TaskSpec(task_id="m", upstream=("a",), map=MapSpec(factors=(("x", XComLength(task_id="a")),)))
    outcome = run(dag("a", mapped), hours=1, assumptions=told(a=TaskEntry(length=length)))
    assert sum(task.task_id == "m" for task in outcome.tasks) == count
    state = "skipped" if length == 0 else "success"
    assert {str(task.state) for task in outcome.tasks if task.task_id == "m"} == {state}


def test_a_task_is_mapped_over_as_many_items_as_last_time() -> None:
    mapped = TaskSpec(task_id="m", upstream=("a",), map=MapSpec(factors=(("x", XComLength(task_id="a")),)))
    outcome = run(dag("a", mapped), hours=1, history=History(lengths={("d", "a"): 4}))
    assert sum(task.task_id == "m" for task in outcome.tasks) == 4


def test_failures_are_retried_with_their_delay_and_then_fail_the_run() -> None:
    spec = dag(TaskSpec(task_id="a", retries=1, retry_delay=600.0))
    once = run(spec, hours=1, assumptions=told(a=TaskEntry(fails=1)))
    assert states(once) == ["success"]
    assert once.runs[0].end == FROM + timedelta(seconds=60 + 600 + 60)
    assert waits(once) == {("a", "retry_delay"): (1, 600.0)}
    assert states(run(spec, hours=1, assumptions=told(a=TaskEntry(fails=True)))) == ["failed"]


def test_a_sensor_that_pokes_holds_its_slot_and_one_that_reschedules_does_not() -> None:
    spec = dag(TaskSpec(task_id="s", is_sensor=True))
    poking = run(spec, hours=1, assumptions=told(s=TaskEntry(poke=Poke(count=4, interval="5m"))))
    resting = run(spec, hours=1, assumptions=told(s=TaskEntry(poke=Poke(count=4, interval="5m", reschedule=True))))
    for outcome in (poking, resting):
        assert outcome.runs[0].end is not None
        assert timedelta(minutes=15) <= outcome.runs[0].end - FROM < timedelta(minutes=15, seconds=1)
    assert waits(poking) == {}
    assert waits(resting) == {("s", "poke_interval"): (1, 900.0)}
    by_name = {pool.name: pool for pool in resting.pools}
    assert by_name["default_pool"].peak == 1


def test_timeouts_end_tasks_and_runs() -> None:
    spec = dag(TaskSpec(task_id="a", execution_timeout=300.0))
    assert run(spec, hours=1, assumptions=told(a=1000)).runs[0].end == FROM + timedelta(seconds=300)
    limited = dag("a", TaskSpec(task_id="b", upstream=("a",)), dagrun_timeout=90.0)
    outcome = run(limited, hours=1)
    assert states(outcome) == ["failed"]
    assert outcome.runs[0].end == FROM + timedelta(seconds=90)


# --- Waits


def test_a_run_waits_for_max_active_runs() -> None:
    outcome = run(dag("a", max_active_runs=1, catchup=True), assumptions=told(a="90m"))
    assert [found.start for found in outcome.runs] == [hour(0), hour(1.5), hour(3)]
    assert waits(outcome)[None, "max_active_runs"] == (2, 1800.0 + 3600.0)
    assert "DAG 'd' is behind at the end: its next run was due at 2026-03-01T03:00:00" in outcome.notes[-1]


def test_a_task_waits_for_its_pool_and_the_pool_tells_how_long_it_was_full() -> None:
    tasks = [TaskSpec(task_id=name, pool="p") for name in "abc"]
    outcome = run(dag(*tasks), hours=1, pools={"p": 2})
    pool = next(pool for pool in outcome.pools if pool.name == "p")
    assert (pool.peak, pool.saturated, pool.count, pool.waited) == (2, 60.0, 1, 60.0)
    assert pool.used == pytest.approx(180 / (2 * 3600))
    [wait] = outcome.waits
    assert (wait.task_id, wait.reason, wait.pool, wait.count, wait.longest) == ("c", "pool", "p", 1, 60.0)


def test_a_task_of_a_pool_that_does_not_exist_waits_to_the_end() -> None:
    outcome = run(dag(TaskSpec(task_id="a", pool="nowhere")), hours=1)
    assert waits(outcome) == {("a", "no_pool"): (1, 3600.0)}
    assert outcome.notes == (
        "pool 'nowhere' does not exist, so its tasks never start; give it with --pool nowhere=SLOTS",
    )


@pytest.mark.parametrize(
    ("limit", "spec", "options"),
    [
        ("parallelism", dag("a", "b"), {"parallelism": 1}),
        ("max_active_tasks", dag("a", "b", max_active_tasks=1), {}),
    ],
)
def test_a_task_waits_for_the_limit_that_holds_it(limit: str, spec: DagSpec, options: dict[str, Any]) -> None:
    assert waits(run(spec, hours=1, **options)) == {("b", limit): (1, 60.0)}


def test_a_task_waits_for_its_other_instances() -> None:
    def mapped(**fields: int) -> DagSpec:
        mapping = MapSpec(factors=(("x", XComLength(task_id="a")),))
        return dag("a", TaskSpec(task_id="m", upstream=("a",), map=mapping, **fields))  # type: ignore[arg-type]

    three = told(a=TaskEntry(length=3))
    per_run = run(mapped(max_active_tis_per_dagrun=1), hours=1, assumptions=three)
    assert waits(per_run) == {("m", "max_active_tis_per_dagrun"): (2, 180.0)}
    per_dag = run(mapped(max_active_tis_per_dag=2), hours=1, assumptions=three)
    assert waits(per_dag) == {("m", "max_active_tis_per_dag"): (1, 60.0)}


def test_a_task_waits_for_the_run_before() -> None:
    spec = dag("a", TaskSpec(task_id="b", upstream=("a",), depends_on_past=True))
    outcome = run(spec, hours=2, assumptions=told(b="90m"))
    # b of the second run is ready at 1:01 and may go at 1:31.
    assert waits(outcome) == {("b", "depends_on_past"): (1, 1800.0)}


def test_who_comes_later_has_waited_less() -> None:
    tasks = [
        TaskSpec(task_id="x"),
        *(TaskSpec(task_id=name, pool="p", priority_weight=10, weight_rule="absolute") for name in "ab"),
        TaskSpec(task_id="c", pool="p", upstream=("x",)),
    ]
    # a holds the pool for three minutes; c joins b at the end of the first, and waits for b as well.
    assert waits(run(dag(*tasks), hours=1, pools={"p": 1}, assumptions=told(a=180))) == {
        ("b", "pool"): (1, 180.0),
        ("c", "pool"): (1, 180.0),
    }


def test_waits_for_one_thing_after_another_are_told_apart() -> None:
    tasks = [TaskSpec(task_id="a"), TaskSpec(task_id="b", pool="p"), TaskSpec(task_id="c", pool="p")]
    # c waits for the pool until b has ended; a keeps the last place of the run busy for a minute more.
    outcome = run(dag(*tasks, max_active_tasks=2), hours=1, pools={"p": 1}, assumptions=told(a=180, b=60))
    assert waits(outcome) == {("c", "pool"): (1, 60.0)}
    outcome = run(dag(*tasks, max_active_tasks=2), hours=1, pools={"p": 2}, assumptions=told(a=180, b=60))
    assert waits(outcome) == {("c", "max_active_tasks"): (1, 60.0)}


# --- Runs only


def test_runs_only_looks_at_the_longest_path_and_the_limits_of_runs() -> None:
    spec = dag("a", TaskSpec(task_id="b", upstream=("a",), pool="tiny"), "c", max_active_runs=1, catchup=True)
    outcome = run(spec, runs_only=True, assumptions=told(b="2h"))
    assert [found.end for found in outcome.runs] == [FROM + timedelta(minutes=121), None]
    assert waits(outcome) == {(None, "max_active_runs"): (1, 61 * 60.0)}
    assert (outcome.tasks, outcome.pools) == ((), ())


def test_a_task_takes_no_part_in_runs_outside_of_its_own_dates() -> None:
    outcome = run(dag("first", TaskSpec(task_id="late", upstream=("first",), start_date=hour(2))))
    names: dict[str, list[str]] = {}
    for one in outcome.tasks:
        names.setdefault(one.task_id, []).append(one.run_id)
    assert (len(names["first"]), names["late"]) == (len(outcome.runs), sorted(names["first"])[-len(names["late"]) :])
    assert len(names["late"]) == len(names["first"]) - 3  # the hours from -1 to 1
