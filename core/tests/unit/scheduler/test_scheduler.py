from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from windlass.errors import StoreError
from windlass.interfaces.timetable import DagRunInfo
from windlass.planning.calendar import next_run
from windlass.ports import Changes, Committed, DagFacts, PoolFacts, Signal, StopKind
from windlass.protocol import Outcome
from windlass.scheduler import calendar
from windlass.spec import CronIntervalSpec, DagSpec, LiteralLength, MapSpec, TaskSpec, TriggerRule, XComLength
from windlass.states import RunState
from windlass_testing.scripted import START, Result, ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine


def task(task_id: str, *upstream: str, **settings: object) -> TaskSpec:
    return TaskSpec(task_id=task_id, upstream=upstream, **settings)  # type: ignore[arg-type]


def chain(length: int, dag_id: str = "chain", **settings: object) -> DagSpec:
    names = [f"t{number}" for number in range(length)]
    tasks = tuple(task(name, *names[max(0, i - 1) : i]) for i, name in enumerate(names))
    return DagSpec(dag_id=dag_id, tasks=tasks, **settings)  # type: ignore[arg-type]


def test_a_triggered_chain_runs_in_order_to_success(world: ScriptedEngine) -> None:
    world.add(chain(4))
    run = world.trigger("chain")
    world.settle()
    assert world.executor.started == ["t0", "t1", "t2", "t3"]
    assert world.state(run) == "success"


def test_a_task_of_a_chain_costs_one_commit(world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[Changes] = []
    real = world.store.commit

    def counted(changes: Changes) -> Committed:
        commits.append(changes)
        return real(changes)

    monkeypatch.setattr(world.store, "commit", counted)
    world.add(chain(20))
    world.trigger("chain")
    world.settle()
    assert len(commits) <= 20 + 1  # one a task, and the end of the run


def test_a_failure_is_retried_after_its_delay_and_no_sooner(world: ScriptedEngine) -> None:
    world.add(DagSpec(dag_id="d", tasks=(task("flaky", retries=1, retry_delay=60.0),)))
    world.executor.script = lambda work, try_number: Result(Outcome.FAIL if try_number == 1 else Outcome.SUCCESS)
    run = world.trigger("d")
    world.pass_time(timedelta(seconds=59))
    assert world.states(run) == {"flaky": "up_for_retry"}
    world.pass_time(timedelta(seconds=2))
    assert world.states(run) == {"flaky": "success"}
    assert world.executor.started == ["flaky", "flaky"]


def test_a_failure_without_retries_fails_the_run_and_its_downstream(world: ScriptedEngine) -> None:
    world.add(chain(3))
    world.executor.script = lambda work, try_number: Result(Outcome.FAIL)
    run = world.trigger("chain")
    world.settle()
    assert world.states(run) == {"t0": "failed", "t1": "upstream_failed", "t2": "upstream_failed"}
    assert world.state(run) == "failed"


def test_a_branch_skips_what_it_did_not_choose(world: ScriptedEngine) -> None:
    join = task("join", "left", "right", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    world.add(DagSpec(dag_id="d", tasks=(task("pick"), task("left", "pick"), task("right", "pick"), join)))
    world.executor.script = lambda work, try_number: Result(skips=("right",) if work.task_id == "pick" else ())
    run = world.trigger("d")
    world.settle()
    assert world.states(run) == {"pick": "success", "left": "success", "right": "skipped", "join": "success"}


def test_a_mapped_task_gets_as_many_instances_as_its_source_returned(world: ScriptedEngine) -> None:
    mapped = task("each", "numbers", map=MapSpec(factors=(("n", XComLength(task_id="numbers")),)))
    world.add(DagSpec(dag_id="d", tasks=(task("numbers"), mapped, task("total", "each"))))
    world.executor.script = lambda work, try_number: Result(length=3 if work.task_id == "numbers" else None)
    run = world.trigger("d")
    world.settle()
    assert world.states(run) == {
        "numbers": "success",
        "each[0]": "success",
        "each[1]": "success",
        "each[2]": "success",
        "total": "success",
    }


def test_mapping_over_an_empty_list_skips(world: ScriptedEngine) -> None:
    mapped = task("each", map=MapSpec(factors=(("n", LiteralLength(0)),)))
    world.add(DagSpec(dag_id="d", tasks=(mapped, task("after", "each", trigger_rule=TriggerRule.ALL_DONE))))
    run = world.trigger("d")
    world.settle()
    assert world.states(run) == {"each": "skipped", "after": "success"}


def test_a_pool_is_never_overfilled_and_hides_no_other_pool(world: ScriptedEngine) -> None:
    world.store.set_pool(PoolFacts(name="narrow", slots=1))
    narrow = tuple(task(f"n{i}", pool="narrow", priority_weight=9) for i in range(3))
    world.add(DagSpec(dag_id="d", tasks=(*narrow, task("wide"))))
    world.trigger("d")
    world.scheduler.step()
    assert sorted(work.task_id for work in world.executor.waiting) == ["n0", "wide"]


def test_parallelism_bounds_what_is_queued_and_priority_decides(world: ScriptedEngine) -> None:
    world.executor.parallelism = 2
    world.add(DagSpec(dag_id="d", tasks=tuple(task(f"t{i}", priority_weight=i) for i in range(5))))
    world.trigger("d")
    world.scheduler.step()
    assert [work.task_id for work in world.executor.waiting] == ["t4", "t3"]


def test_max_active_runs_starts_the_oldest_first(world: ScriptedEngine) -> None:
    world.add(chain(1, max_active_runs=1))
    first, second = world.trigger("chain"), world.trigger("chain")
    world.scheduler.step()
    assert (world.state(first), world.state(second)) == ("running", "queued")
    world.settle()
    assert (world.state(first), world.state(second)) == ("success", "success")


def test_a_paused_dag_stands_still_until_it_is_unpaused(world: ScriptedEngine) -> None:
    world.add(chain(1), paused=True)
    run = world.trigger("chain")
    world.settle()
    assert world.state(run) == "queued"
    world.add(chain(1), paused=False)
    world.settle()
    assert world.state(run) == "success"


def hours(dag_id: str, **settings: object) -> DagSpec:
    schedule = CronIntervalSpec(expression="0 * * * *")
    return chain(1, dag_id, schedule=schedule, start_date=START, catchup=True, **settings)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the DAGs whose next run was looked for, in order."""
    found: list[str] = []

    def looked(dag: DagFacts, spec: DagSpec, now: datetime) -> DagRunInfo | None:
        found.append(dag.dag_id)
        return next_run(dag, spec, now)

    monkeypatch.setattr(calendar, "next_run", looked)
    return found


@pytest.mark.one_scheduler
def test_a_due_run_starts_in_the_step_that_makes_it_and_its_end_asks_for_no_other(
    world: ScriptedEngine, looks: list[str]
) -> None:
    world.add(hours("d"))
    world.settle()
    looks.clear()
    world.clock.advance(3600)
    assert world.scheduler.step() > 0  # nothing is left to do at once
    [run] = world.runs_of("d")
    assert world.state(run) == "running"
    world.executor.run_one()
    assert world.scheduler.step() > 0
    assert world.state(run) == "success"
    assert len(looks) == 2  # the run that was due, and when the one after it is


@pytest.mark.one_scheduler
def test_a_step_looks_at_the_dags_that_are_due_and_at_no_other(world: ScriptedEngine, looks: list[str]) -> None:
    for number in range(30):
        schedule = CronIntervalSpec(expression=f"{number} * * * *")
        world.add(chain(1, f"d{number}", schedule=schedule, start_date=START, catchup=True))
    world.settle()
    looks.clear()
    world.pass_time(timedelta(hours=1, minutes=7, seconds=30))
    assert set(looks) == {f"d{number}" for number in range(8)}
    assert len(looks) <= 2 * 16


def test_the_end_of_a_run_makes_room_for_the_next_of_a_full_dag(world: ScriptedEngine) -> None:
    world.add(hours("d", max_active_runs=1))
    world.clock.advance(3 * 3600)
    world.settle()
    runs = world.runs_of("d")
    assert [world.state(run) for run in runs] == ["success"] * 3
    assert [run.logical_date for run in runs] == [START + timedelta(hours=hour) for hour in range(3)]


def test_a_schedule_creates_each_interval_once_it_is_complete(world: ScriptedEngine) -> None:
    world.add(chain(1, schedule=CronIntervalSpec(expression="0 * * * *"), start_date=START, catchup=True))
    world.pass_time(timedelta(hours=3, minutes=1))
    runs = [run for run in world.store.runs() if run.dag_id == "chain"]
    assert [run.logical_date for run in runs] == [START + timedelta(hours=hour) for hour in range(3)]
    assert all(world.state(run) == "success" for run in runs)
    assert runs[0].run_id == "scheduled__2026-03-01T12:00:00+00:00"


def test_a_run_that_somebody_marks_makes_room_for_the_next() -> None:
    world = SqlScriptedEngine()
    hourly = CronIntervalSpec(expression="0 * * * *")
    world.add(chain(1, schedule=hourly, start_date=START, catchup=True, max_active_runs=1))
    world.clock.advance(2 * 3600 + 60)
    while world.scheduler.step() == 0:
        pass  # its task is queued, and the DAG may have no other run
    [first] = world.store.runs()
    world.services.runs.mark_run("chain", first.run_id, RunState.FAILED, who="ann")
    world.settle()
    assert [str(run.state) for run in world.store.runs()] == ["failed", "success"]
    world.close()


def test_a_run_that_was_cleared_and_marked_ends_with_its_process_though_its_dag_is_paused() -> None:
    world = SqlScriptedEngine()
    world.add(chain(1))
    run = world.trigger("chain")
    world.scheduler.step()
    work, claimed = world.executor.claim() or pytest.fail("nothing was queued")
    world.add(chain(1), paused=True)
    world.services.runs.clear([work.id], who="ann")
    world.services.runs.mark_run("chain", run.run_id, RunState.FAILED, who="ann")
    world.settle()
    assert world.state(run) == "queued"
    world.executor.finish(work, claimed, Result())
    world.settle()
    assert world.state(run) == "failed"
    world.close()


def test_a_run_that_takes_too_long_fails_and_its_running_task_is_stopped(world: ScriptedEngine) -> None:
    world.add(chain(2, dagrun_timeout=30.0))
    run = world.trigger("chain")
    world.scheduler.step()
    assert world.executor.claim() is not None  # t0 runs and never ends
    world.clock.advance(31)
    world.scheduler.step()
    [stop] = world.executor.stopped
    assert stop.kind is StopKind.TIMEOUT
    assert world.states(run) == {"t0": "running", "t1": "skipped"}
    assert world.state(run) == "running"


def test_fail_fast_skips_what_waits(world: ScriptedEngine) -> None:
    world.executor.parallelism = 1
    world.add(DagSpec(dag_id="d", fail_fast=True, tasks=(task("bad", priority_weight=2), task("other"))))
    world.executor.script = lambda work, try_number: Result(Outcome.FAIL)
    run = world.trigger("d")
    world.settle()
    assert world.states(run) == {"bad": "failed", "other": "skipped"}
    assert world.state(run) == "failed"


def test_a_run_that_waits_for_the_past_goes_on_when_that_ends_in_one_step(world: ScriptedEngine) -> None:
    first = task("a", depends_on_past=True, wait_for_downstream=True)
    skipped = TaskSpec(task_id="b", upstream=("a",), trigger_rule=TriggerRule.ONE_FAILED)
    world.add(DagSpec(dag_id="d", tasks=(first, skipped)))
    runs = []
    for _ in range(3):
        runs.append(world.trigger("d"))
        world.clock.advance(1)
    world.settle()
    assert [world.state(run) for run in runs] == ["success"] * 3


def test_depends_on_past_waits_for_the_run_before(world: ScriptedEngine) -> None:
    world.add(DagSpec(dag_id="d", tasks=(task("a", depends_on_past=True),)))
    outcomes = [Outcome.FAIL, Outcome.SUCCESS]
    world.executor.script = lambda work, try_number: Result(outcomes.pop(0))
    first, second = world.trigger("d"), world.trigger("d")
    world.settle()
    assert world.states(first) == {"a": "failed"}
    assert world.states(second) == {"a": "none"}
    assert world.state(second) == "running"


def test_a_scheduler_that_takes_over_goes_on_where_the_last_one_stopped(world: ScriptedEngine) -> None:
    world.add(chain(3))
    run = world.trigger("chain")
    world.scheduler.step()
    world.executor.run_one()
    world.scheduler.step()  # t1 is queued now, and its workload is lost with the scheduler
    world.executor.waiting.clear()
    world.scheduler = world.new_scheduler()
    world.settle()
    assert world.executor.started == ["t0", "t1", "t2"]
    assert world.state(run) == "success"


def test_a_second_submission_of_a_ticket_starts_nothing(world: ScriptedEngine) -> None:
    world.add(chain(1))
    world.trigger("chain")
    world.scheduler.step()
    world.executor.submit(list(world.executor.waiting))
    world.settle()
    assert world.executor.started == ["t0"]


def test_a_database_error_is_survived(world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(chain(2))
    run = world.trigger("chain")
    real, failures = world.store.commit, [3]

    def failing(changes: Changes) -> Committed:
        if failures[0]:
            failures[0] -= 1
            raise StoreError("the disk is full")
        return real(changes)

    monkeypatch.setattr(world.store, "commit", failing)
    world.settle()
    assert world.state(run) == "success"


def test_a_retry_of_a_task_that_the_newest_version_lacks_is_removed() -> None:
    world = SqlScriptedEngine()
    world.add(DagSpec(dag_id="d", tasks=(task("stays"), task("goes", retries=1, retry_delay=60.0))))
    run = world.trigger("d")
    world.scheduler.step()
    claimed = [found for found in (world.executor.claim(), world.executor.claim()) if found is not None]
    running = {work.task_id: (work, lease) for work, lease in claimed}
    world.executor.finish(*running["stays"], Result())
    world.settle()
    world.add(DagSpec(dag_id="d", tasks=(task("stays"),)))
    stays = next(found for found in world.store.tasks_of(run.id) if found.task_id == "stays")
    world.services.runs.clear([stays.id], who="test", latest=True)
    world.executor.finish(*running["goes"], Result(Outcome.FAIL))
    world.pass_time(timedelta(minutes=2))
    assert world.states(run) == {"stays": "success", "goes": "removed"}
    assert world.state(run) == "success"
    world.close()


@pytest.mark.one_scheduler
def test_a_run_that_cannot_be_decided_about_stands_still_and_harms_no_other(
    world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable(*_: object, **__: object) -> None:
        raise KeyError("of an older release")

    monkeypatch.setattr(world.store, "previous", unreadable)
    world.add(DagSpec(dag_id="bad", tasks=(task("a", depends_on_past=True),)))
    world.add(chain(2, "good"))
    bad, good = world.trigger("bad"), world.trigger("good")
    world.settle()
    assert world.state(good) == "success"
    assert world.states(bad) == {"a": "none"}
    assert "of DAG bad cannot go on" in caplog.text


@pytest.mark.one_scheduler
def test_no_error_ends_the_scheduler(world: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(chain(1))
    run = world.trigger("chain")
    real, failures = world.store.signals, [2]

    def failing(limit: int = 1000) -> list[Signal]:
        if failures[0]:
            failures[0] -= 1
            raise RuntimeError("nobody expected this")
        return real(limit)

    monkeypatch.setattr(world.store, "signals", failing)
    for _ in range(2):
        assert world.scheduler.step() > 0
    world.settle()
    assert world.state(run) == "success"
