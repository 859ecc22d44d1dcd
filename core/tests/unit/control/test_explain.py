"""Every cause that keeps something from running is named, with what holds it and the cheapest way out."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from windlass.control import BackfillRequest, Cause, Explanation
from windlass.errors import TaskNotFound, UsageError
from windlass.ports import Claim
from windlass.protocol import Outcome
from windlass.spec import (
    AssetCondition,
    AssetScheduleSpec,
    CronIntervalSpec,
    CustomTimetableSpec,
    DagSpec,
    GroupSpec,
    LiteralLength,
    MapSpec,
    TaskSpec,
    TimetableSpec,
    TriggerRule,
    XComLength,
)
from windlass_testing.installation import Installation
from windlass_testing.scripted import Result


def dag(*tasks: TaskSpec | str, **fields: Any) -> DagSpec:
    specs = tuple(TaskSpec(task_id=task) if isinstance(task, str) else task for task in tasks)
    return DagSpec(**{"dag_id": "d", "tasks": specs, "file": "dags.py", **fields})


CHAIN = dag("a", TaskSpec(task_id="b", upstream=("a",)), TaskSpec(task_id="c", upstream=("b",)))


class Explained:
    """An installation whose scheduler and supervisor are alive unless a test lets them die."""

    def __init__(self, here: Installation) -> None:
        self.here = here
        self._locks: dict[str, Any] = {}
        for name in ("scheduler", "supervisor"):
            self.start(name)

    def start(self, name: str) -> None:
        folder = self.here.home / "run"
        folder.mkdir(exist_ok=True)
        self._locks[name] = lock = (folder / f"{name}.lock").open("w")
        lock.write(str(os.getpid()))
        lock.flush()

    def die(self, *names: str) -> None:
        for name in names or tuple(self._locks):
            self._locks.pop(name).close()

    def trigger(self, run_id: str = "r", dag_id: str = "d", **fields: Any) -> None:
        self.here.control.runs.trigger(dag_id, run_id=run_id, actor="test", **fields)

    def step(self) -> None:
        """Let the scheduler decide, and no task run."""
        for _ in range(4):
            self.here.scheduler.step()

    def task(self, task_id: str, run_id: str = "r", dag_id: str = "d", map_index: int = -1) -> Explanation:
        return self.here.control.explain(dag_id, run_id, task_id, map_index)

    def run(self, run_id: str = "r", dag_id: str = "d") -> Explanation:
        return self.here.control.explain(dag_id, run_id)

    def dag(self, dag_id: str = "d") -> Explanation:
        return self.here.control.explain(dag_id)


@pytest.fixture
def explained(here: Installation) -> Iterator[Explained]:
    made = Explained(here)
    yield made
    made.die()


def find(cause: Cause, kind: str) -> Cause:
    """Return the one node of that kind."""
    [found] = every(cause, kind)
    return found


def every(cause: Cause, kind: str) -> list[Cause]:
    found = [cause] if cause.kind == kind else []
    return found + [node for inner in cause.causes for node in every(inner, kind)]


def kinds(cause: Cause) -> list[str]:
    """Return the kinds from the root down the first branch."""
    return [cause.kind, *(kinds(cause.causes[0]) if cause.causes else [])]


# --- Who serves


@pytest.mark.parametrize("ask", ["dag", "run", "task"])
def test_no_scheduler(explained: Explained, ask: str) -> None:
    explained.here.add(CHAIN)
    explained.trigger()
    explained.die("scheduler")
    asked: dict[str, Callable[[], Explanation]] = {
        "dag": explained.dag,
        "run": explained.run,
        "task": lambda: explained.task("a"),
    }
    cause = asked[ask]()
    assert find(cause, "no_scheduler").remedy == "windlass standalone"
    assert cause.cheapest == "windlass standalone"


def test_no_supervisor(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.trigger()
    explained.step()
    assert not every(explained.task("a"), "no_supervisor")
    explained.die("supervisor")
    queued = find(explained.task("a"), "queued")
    assert "no process has claimed it" in queued.fact
    assert "the server starts another one" in find(queued, "no_supervisor").fact
    explained.die("scheduler")
    assert find(explained.task("a"), "no_supervisor").remedy == "windlass standalone"


def test_what_runs_is_said_to_run_and_a_lease_of_the_dead_is_told(explained: Explained) -> None:
    here = explained.here
    here.add(CHAIN)
    explained.trigger()
    explained.step()
    work = here.executor.waiting[0]
    host = socket.gethostname()
    claim = Claim(task=work.id, epoch=work.epoch, ticket=work.ticket, pid=77, hostname=host)
    assert here.store.gateway.claim([claim], "s1")[0] is not None
    running = find(explained.task("a"), "running")
    assert running.fact == f"process 77 on {host} runs it since 2026-03-01T12:00:00.000000+00:00"
    assert running.remedy == "windlass tasks logs d a r"
    explained.die()
    dead = find(explained.task("a"), "dead_lease")
    assert dead.fact == (
        f"process 77 on {host} holds its lease until 2026-03-01T12:01:00.000000+00:00, "
        "and the supervisor s1 that started it is dead"
    )
    assert dead.remedy == "windlass standalone"
    explained.start("supervisor")
    here.clock.advance(61)
    assert "about to be closed as lost" in find(explained.task("a"), "dead_lease").fact


# --- DAGs


def test_paused(explained: Explained) -> None:
    explained.here.add(CHAIN, paused=True)
    explained.trigger()
    assert find(explained.dag(), "paused").remedy == "windlass dags unpause d"
    assert kinds(explained.run()) == ["run", "paused"]
    assert kinds(explained.task("a")) == ["task", "run", "paused"]


def test_paused_while_a_run_is_under_way(explained: Explained) -> None:
    explained.here.add(dag("a", "b", max_active_tasks=1))
    explained.trigger()
    explained.step()
    explained.here.control.dags.set_paused("d", paused=True, actor="test")
    assert [cause.kind for cause in explained.task("b").causes] == ["paused", "max_active_tasks"]


def test_import_error(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.here.break_file("dags.py", "Traceback …\nSyntaxError: invalid syntax")
    cause = find(explained.dag(), "import_error")
    assert cause.fact == "dags.py could not be read: SyntaxError: invalid syntax"
    assert cause.remedy == "fix dags.py; `windlass dags list-import-errors` shows all of it"


def test_stale(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.here.store.dags.forget_files("main", ["dags.py"])
    assert kinds(explained.dag()) == ["dag", "stale"]
    assert find(explained.dag(), "stale").remedy == "put it back into dags.py"


def test_timetable_not_due(explained: Explained) -> None:
    hourly = CronIntervalSpec(expression="0 * * * *")
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    explained.here.add(dag("a", schedule=hourly, schedule_summary="@hourly", start_date=start))
    assert find(explained.dag(), "not_due").fact == (
        "its next run is due at 2026-03-01T13:00:00.000000+00:00 (@hourly)"
    )


def test_timetable_has_ended(explained: Explained) -> None:
    daily, past = CronIntervalSpec(expression="0 0 * * *"), datetime(2026, 1, 1, tzinfo=UTC)
    explained.here.add(dag("a", schedule=daily, schedule_summary="@daily", start_date=past, end_date=past))
    explained.step()
    assert find(explained.dag(), "schedule_ended").remedy == "windlass dags trigger d"


@pytest.mark.parametrize(
    ("schedule", "kind"),
    [
        (None, "no_schedule"),
        (CustomTimetableSpec(name="lunar", data={}), "custom_timetable"),
    ],
)
def test_a_schedule_that_is_not_made_of_time(explained: Explained, schedule: TimetableSpec | None, kind: str) -> None:
    explained.here.add(dag("a") if schedule is None else dag("a", schedule=schedule))
    assert find(explained.dag(), kind).remedy == "windlass dags trigger d"


def test_an_asset_that_has_not_been_updated(explained: Explained) -> None:
    explained.here.add(dag("a", schedule=AssetScheduleSpec(condition=AssetCondition(asset="s3://x"))))
    assert kinds(find(explained.dag(), "assets")) == ["assets", "asset"]
    assert find(explained.dag(), "asset").remedy == "windlass assets create-event s3://x"


def test_the_next_run_is_not_made_while_too_many_are_open(explained: Explained) -> None:
    hourly, start = CronIntervalSpec(expression="0 * * * *"), datetime(2026, 3, 1, 9, tzinfo=UTC)
    explained.here.add(dag("a", schedule=hourly, start_date=start, catchup=True, max_active_runs=1))
    explained.step()
    cause = explained.dag().causes[-1]
    assert cause.kind == "max_active_runs"
    assert cause.fact == "its run due at 2026-03-01T11:00:00.000000+00:00 is made when one of its 1 open runs ends"
    assert cause.remedy == "wait, or raise max_active_runs (1) in dags.py"


# --- Runs


def test_max_active_runs_with_what_holds_the_run_that_is_waited_for(explained: Explained) -> None:
    explained.here.add(dag("a", max_active_runs=1))
    for run_id in ("r1", "r2"):
        explained.trigger(run_id)
    explained.step()
    cause = find(explained.run("r2"), "max_active_runs")
    assert cause.fact == "max_active_runs (1) of DAG `d` is reached"
    assert kinds(cause) == ["max_active_runs", "run", "task", "queued"]
    assert cause.causes[0].fact == "run 'r1' is running"
    assert kinds(explained.task("a", "r2"))[:3] == ["task", "run", "max_active_runs"]


def fill(explained: Explained) -> None:
    first, last = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 3, tzinfo=UTC)
    request = BackfillRequest(dag_id="d", from_date=first, to_date=last, max_active_runs=1)
    explained.here.control.backfills.create(request, actor="test")
    explained.step()


def test_a_run_of_a_backfill_waits_for_those_of_its_backfill_alone_and_for_no_pause(explained: Explained) -> None:
    explained.here.add(dag("a", schedule=CronIntervalSpec(expression="0 0 * * *"), max_active_runs=1))
    explained.trigger("r1")
    explained.step()
    explained.here.control.dags.set_paused("d", paused=True, actor="test")
    fill(explained)
    waiting = explained.run("backfill__2026-02-02T00:00:00+00:00")
    assert [cause.kind for cause in waiting.causes] == ["max_active_runs", "backfill"]
    assert waiting.causes[0].fact == "max_active_runs (1) of backfill 1 is reached"
    assert [cause.fact for cause in waiting.causes[0].causes] == [
        "run 'backfill__2026-02-01T00:00:00+00:00' is running"
    ]
    assert "max_active_runs" not in kinds(explained.run("backfill__2026-02-01T00:00:00+00:00"))
    assert kinds(explained.task("a", "backfill__2026-02-02T00:00:00+00:00"))[:3] == ["task", "run", "max_active_runs"]


def test_a_backfill_takes_no_place_of_the_other_runs(explained: Explained) -> None:
    far = datetime(2036, 1, 1, tzinfo=UTC)  # its schedule makes no run meanwhile
    explained.here.add(dag("a", schedule=CronIntervalSpec(expression="0 0 * * *"), max_active_runs=1, start_date=far))
    explained.trigger("r1")
    explained.step()
    fill(explained)
    explained.trigger("r2")
    explained.step()
    assert [cause.fact for cause in find(explained.run("r2"), "max_active_runs").causes] == ["run 'r1' is running"]


def test_an_open_backfill_with_how_far_it_is_while_its_dag_is_paused(explained: Explained) -> None:
    explained.here.add(dag("a", schedule=CronIntervalSpec(expression="0 0 * * *")), paused=True)
    fill(explained)
    tree = explained.dag()
    assert find(tree, "backfill").fact.startswith("backfill 1 has dealt with 2 of 3 intervals; 2 of its runs have not")
    assert find(tree, "backfill").remedy == "windlass backfill show 1"
    assert any(cause.kind == "run" and "02-02" in cause.fact for cause in tree.causes), "it goes on under the pause"


def test_a_run_is_explained_by_what_it_depends_on_and_not_by_what_merely_waits(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.trigger()
    explained.step()
    assert [cause.fact for cause in explained.run().causes] == ["task 'a' is queued"]


def test_a_run_with_many_tasks_names_some_and_counts_the_rest(explained: Explained) -> None:
    explained.here.add(dag(*(f"t{number}" for number in range(30)), max_active_tasks=30))
    explained.trigger()
    explained.step()
    causes = explained.run().causes
    assert len(causes) == 21
    assert causes[-1].fact == "and 10 more"


def test_a_run_that_waits_for_its_end(explained: Explained) -> None:
    explained.here.add(dag("a", dagrun_timeout=60.0))
    explained.trigger()
    explained.step()
    taken = explained.here.executor.claim()
    assert taken is not None
    explained.here.clock.advance(61)
    explained.step()
    cause = find(explained.run(), "run_ending")
    assert cause.fact == ("it ends as failed when its processes are gone: the run exceeded its dagrun_timeout of 60 s")


def test_a_failed_run(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.here.executor.script = lambda work, _: Result(Outcome.FAIL)
    explained.trigger()
    explained.here.settle()
    cause = explained.run()
    assert cause.fact == "run 'r' has ended: failed"
    assert cause.cheapest == "windlass tasks clear d --run-id r --only-failed"
    assert [inner.fact for inner in cause.causes] == [
        "failed at the end of the graph: `c`",
        "task 'a' has ended: failed",
    ]


def test_a_failed_run_whose_dag_has_other_code_by_now_is_cleared_with_that(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.here.executor.script = lambda work, _: Result(Outcome.FAIL)
    explained.trigger()
    explained.here.settle()
    newer = "UPDATE dag SET code_version = 'mended'"
    explained.here.store.db.write(lambda transaction: transaction.run(newer))
    assert explained.run().cheapest == "windlass tasks clear d --run-id r --only-failed --latest"


# --- Tasks


def test_trigger_rule_with_the_upstreams_that_hold_it_down_to_the_bottom(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.trigger()
    explained.step()
    cause = explained.task("c")
    assert kinds(cause) == ["task", "trigger_rule", "task", "trigger_rule", "task", "queued"]
    assert cause.causes[0].fact == "trigger rule all_success waits for `b` (none)"
    assert cause.causes[0].causes[0].causes[0].fact == "trigger rule all_success waits for `a` (queued)"


def test_what_two_branches_share_is_explained_once(explained: Explained) -> None:
    upstreams: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
    explained.here.add(dag(*(TaskSpec(task_id=name, upstream=ups) for name, ups in upstreams.items())))
    explained.trigger()
    explained.step()
    cause = explained.task("d")
    assert [inner.fact for inner in every(cause, "seen")] == ["task 'a' is queued: see above"]
    assert len(every(cause, "queued")) == 1


def test_map_length(explained: Explained) -> None:
    mapped = TaskSpec(
        task_id="m",
        upstream=("a",),
        trigger_rule=TriggerRule.ALWAYS,
        map=MapSpec(factors=(("x", XComLength(task_id="a")),)),
    )
    explained.here.add(dag("a", mapped))
    explained.trigger()
    explained.step()
    cause = find(explained.task("m"), "map_length")
    assert cause.fact == "`m` is expanded when its length is known; it waits for `a` (queued)"
    assert kinds(cause)[1:] == ["task", "queued"]


def test_pool_with_who_holds_its_slots(explained: Explained) -> None:
    explained.here.store.pools.set("small", 1)
    explained.here.add(dag(TaskSpec(task_id="a", pool="small"), TaskSpec(task_id="b", pool="small")))
    explained.trigger()
    explained.step()
    cause = find(explained.task("b"), "pool")
    assert cause.fact == "pool `small` has 0 of 1 slots free"
    assert cause.remedy == "windlass pools set small 2"
    assert [inner.fact for inner in cause.causes] == [
        "`a` of run 'r' of DAG 'd' is queued and holds 1 slot of pool `small`"
    ]
    explained.here.store.pools.set("small", 2)  # the advice
    explained.here.settle()
    assert explained.task("b").fact == "task 'b' has ended: success"


@pytest.mark.parametrize(
    ("slots", "kind", "remedy"),
    [(None, "no_pool", "windlass pools set p 3"), (2, "pool_too_small", "windlass pools set p 3")],
)
def test_a_pool_that_can_never_do(explained: Explained, slots: int | None, kind: str, remedy: str) -> None:
    if slots is not None:
        explained.here.store.pools.set("p", slots)
    explained.here.add(dag(TaskSpec(task_id="a", pool="p", pool_slots=3)))
    explained.trigger()
    explained.step()
    assert find(explained.task("a"), kind).remedy == remedy


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("max_active_tasks", dag("a", "b", max_active_tasks=1)),
        (
            "max_active_tis_per_dagrun",
            dag(TaskSpec(task_id="b", map=MapSpec(factors=(("x", LiteralLength(2)),)), max_active_tis_per_dagrun=1)),
        ),
        (
            "max_active_tis_per_dag",
            dag(TaskSpec(task_id="b", map=MapSpec(factors=(("x", LiteralLength(2)),)), max_active_tis_per_dag=1)),
        ),
    ],
)
def test_limits_of_tasks_with_who_uses_them_up(explained: Explained, kind: str, spec: DagSpec) -> None:
    explained.here.add(spec)
    explained.trigger()
    explained.step()
    cause = find(explained.task("b", map_index=-1 if kind == "max_active_tasks" else 1), kind)
    assert cause.fact.startswith(f"{kind} (1)")
    assert cause.remedy == f"wait, or raise {kind} in dags.py"
    assert len(every(cause, "occupant")) == 1


def test_parallelism(explained: Explained, monkeypatch: pytest.MonkeyPatch) -> None:
    explained.here.executor.parallelism = 1
    monkeypatch.setattr(explained.here.control, "_parallelism", 1)
    explained.here.add(dag("a", "b"))
    explained.trigger()
    explained.step()
    cause = find(explained.task("b"), "parallelism")
    assert cause.fact == "parallelism (1) of the executor is reached"
    assert every(cause, "occupant")[0].fact.startswith("`a` of run 'r'")


def test_depends_on_past_down_to_why_it_failed_there(explained: Explained) -> None:
    explained.here.add(dag(TaskSpec(task_id="a", depends_on_past=True)))
    for day in (1, 2):
        explained.trigger(f"r{day}", logical_date=datetime(2026, 1, day, tzinfo=UTC))
    explained.here.executor.script = lambda work, _: Result(Outcome.FAIL)
    explained.here.settle()
    cause = find(explained.task("a", "r2"), "depends_on_past")
    assert cause.fact == "depends_on_past: `a` has not succeeded in the previous run"
    assert cause.remedy == "windlass tasks clear d --run-id r1 --task-regex '^a$'"
    assert [inner.fact for inner in cause.causes] == [
        "the previous run is 'r1', which is failed",
        "task 'a' has ended: failed",
    ]
    assert kinds(explained.run("r2")) == ["run", "task", "depends_on_past", "run"]


def test_retry_delay_with_why_it_failed(explained: Explained) -> None:
    explained.here.add(dag(TaskSpec(task_id="a", retries=1, retry_delay=60.0)))
    explained.here.executor.script = lambda work, _: Result(Outcome.FAIL)
    explained.trigger()
    explained.here.settle()
    cause = find(explained.task("a"), "retry_delay")
    assert cause.fact == "try 1 of 2 is over; it goes on at 2026-03-01T12:01:00.000000+00:00"
    assert cause.remedy == "windlass tasks run d a r"
    assert find(cause, "reason").remedy == "windlass tasks logs d a r"
    explained.here.pass_time(timedelta(minutes=2))
    explained.here.settle()
    assert explained.task("a").fact == "task 'a' has ended: failed"


def test_upstream_failed_down_to_the_failure(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.here.executor.script = lambda work, _: Result(Outcome.FAIL)
    explained.trigger()
    explained.here.settle()
    cause = explained.task("c")
    assert cause.fact == "task 'c' has ended: upstream_failed"
    assert cause.causes[0].fact == "trigger rule all_success: 1 upstream_failed upstream"
    assert cause.causes[1].causes[1].fact == "task 'a' has ended: failed"
    assert cause.cheapest == "windlass tasks clear d --run-id r --only-failed"


def test_in_a_mapped_group_only_the_own_index_is_to_blame(explained: Explained) -> None:
    members = (TaskSpec(task_id="x", group="g"), TaskSpec(task_id="y", upstream=("x",), group="g"))
    group = GroupSpec(group_id="g", map=MapSpec(factors=(("v", LiteralLength(3)),)))
    explained.here.add(dag(*members, groups=(group,)))
    explained.here.executor.script = lambda work, _: Result(Outcome.FAIL)
    explained.trigger()
    explained.here.settle()
    cause = explained.task("y", map_index=1)
    assert [inner.fact for inner in cause.causes[1:]] == ["task 'x[1]' has ended: failed"]


def test_skipped_down_to_the_decision(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.here.executor.script = lambda work, _: Result(skips=("b",))
    explained.trigger()
    explained.here.settle()
    cause = explained.task("c")
    assert cause.fact == "task 'c' has ended: skipped"
    assert cause.causes[1].causes[0].fact == "`a` decided to skip it"


def test_what_the_scheduler_has_not_looked_at_yet(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.trigger()
    assert [cause.fact for cause in explained.task("a").causes] == [
        "its run 'r' has not started",
        "the scheduler is about to decide on it",
    ]
    assert find(explained.run(), "undecided").fact == "there is room for it: the scheduler starts it at its next step"


def test_a_success_needs_no_explanation(explained: Explained) -> None:
    explained.here.add(CHAIN)
    explained.trigger()
    explained.here.settle()
    assert explained.task("a").causes == ()
    assert explained.run().fact == "run 'r' has ended: success"


# --- The structure


def test_hostile_ids_are_quoted_in_commands(explained: Explained) -> None:
    explained.here.add(dag("a", dag_id="d; rm -rf ~"), paused=True)
    assert find(explained.dag("d; rm -rf ~"), "paused").remedy == "windlass dags unpause 'd; rm -rf ~'"


def test_the_structure_is_the_documented_one(explained: Explained) -> None:
    explained.here.add(CHAIN, paused=True)
    data = msgspec.to_builtins(explained.dag())
    assert list(data) == ["fact", "kind", "remedy", "causes", "cheapest"]
    assert list(data["causes"][0]) == ["fact", "kind", "remedy", "causes"]


def test_a_task_is_explained_within_a_run_that_exists(explained: Explained) -> None:
    explained.here.add(CHAIN)
    with pytest.raises(UsageError, match="name the run as well"):
        explained.here.control.explain("d", None, "a")
    explained.trigger()
    with pytest.raises(TaskNotFound, match="Did you mean"):
        explained.task("aa")
