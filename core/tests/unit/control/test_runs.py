from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from windlass.control.logs import Logs
from windlass.errors import Conflict, DagNotFound, ParamInvalid, RunExists, RunNotFound, UsageError
from windlass.spec import (
    CronIntervalSpec,
    DagSpec,
    DeltaIntervalSpec,
    ParamSpec,
    RelativeDelta,
    TaskSpec,
    TimetableSpec,
)
from windlass.states import RunState, RunType, TaskState
from windlass_testing.installation import Installation
from windlass_testing.scripted import START

A = (TaskSpec(task_id="a"),)
PLAIN = DagSpec(dag_id="d", tasks=A)


@pytest.mark.parametrize(
    ("schedule", "interval"),
    [
        (None, (START, START)),
        (CronIntervalSpec(expression="0 6 * * *"), (START - timedelta(hours=30), START - timedelta(hours=6))),
        (DeltaIntervalSpec(delta=RelativeDelta(seconds=3600.0)), (START - timedelta(hours=1), START)),
    ],
    ids=["none", "cron", "delta"],
)
def test_the_data_interval_is_the_last_complete_period(
    here: Installation, schedule: TimetableSpec | None, interval: tuple[datetime, datetime]
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    here.add(PLAIN if schedule is None else DagSpec(dag_id="d", tasks=A, schedule=schedule, start_date=start))
    run = here.control.runs.trigger("d", actor="ann")
    assert (run.data_interval_start, run.data_interval_end) == interval
    assert run.logical_date == START
    assert run.run_type is RunType.MANUAL


def test_a_run_without_a_date_takes_the_next_free_microsecond(here: Installation) -> None:
    here.add(PLAIN)
    dates = [here.control.runs.trigger("d", actor="ann").logical_date for _ in range(3)]
    assert dates == [START + timedelta(microseconds=n) for n in range(3)]


def test_a_date_that_is_taken_names_the_run(here: Installation) -> None:
    here.add(PLAIN)
    here.control.runs.trigger("d", logical_date=START, run_id="first", actor="ann")
    with pytest.raises(RunExists, match="'first'"):
        here.control.runs.trigger("d", logical_date=START, actor="ann")
    with pytest.raises(RunExists, match="'first'"):
        here.control.runs.trigger("d", run_id="first", actor="ann")
    with pytest.raises(RunExists, match="'first'"):
        here.control.runs.preview("d", run_id="first")


def test_the_same_key_gives_the_same_run_and_one_effect(here: Installation) -> None:
    here.add(PLAIN)
    first = here.control.runs.trigger("d", actor="ann", idempotency_key="k")
    here.pass_time(timedelta(minutes=1))
    assert here.control.runs.trigger("d", actor="ann", idempotency_key="k") == first
    assert len(here.control.runs.list().items) == 1


def test_a_key_that_was_used_for_something_else_is_refused(here: Installation) -> None:
    here.add(PLAIN)
    here.control.runs.trigger("d", actor="ann", idempotency_key="k")
    with pytest.raises(Conflict):
        here.control.runs.trigger("d", conf={"x": 1}, actor="ann", idempotency_key="k")


def test_a_stale_dag_is_not_triggered(here: Installation) -> None:
    here.add(PLAIN)
    here.add()
    with pytest.raises(Conflict, match="no longer in any file"):
        here.control.runs.trigger("d", actor="ann")


def test_formats_of_params_are_checked(here: Installation) -> None:
    here.add(
        DagSpec(dag_id="d", tasks=A, params={"day": ParamSpec(value="x", schema={"type": "string", "format": "date"})})
    )
    with pytest.raises(ParamInvalid, match=r"'x' is not a 'date' \(value from its default\)"):
        here.control.runs.trigger("d", actor="ann")
    here.control.runs.trigger("d", conf={"day": "2026-03-01"}, actor="ann")


def test_runs_come_newest_first_in_pages_that_stay_put(here: Installation) -> None:
    here.add(PLAIN)
    for day in (1, 2, 3):
        here.control.runs.trigger("d", logical_date=datetime(2026, 1, day, tzinfo=UTC), actor="ann")
    first = here.control.runs.list(dag_id="d", limit=2)
    here.control.runs.trigger("d", logical_date=datetime(2026, 1, 4, tzinfo=UTC), actor="ann")
    second = here.control.runs.list(dag_id="d", limit=2, cursor=first.next)
    assert [run.logical_date.day for run in (*first.items, *second.items)] == [3, 2, 1]


def test_what_is_not_visible_is_not_found(here: Installation) -> None:
    here.add(PLAIN)
    run = here.control.runs.trigger("d", actor="ann")

    def nothing(_dag_id: str) -> bool:
        return False

    assert here.control.runs.list(visible=nothing).items == ()
    with pytest.raises(DagNotFound):
        here.control.runs.get("d", run.run_id, visible=nothing)
    with pytest.raises(DagNotFound):
        here.control.runs.trigger("d", actor="ann", visible=nothing)
    with pytest.raises(DagNotFound):
        here.control.tasks.of_run("d", run.run_id, visible=nothing)
    with pytest.raises(DagNotFound):
        here.control.logs.read("d", run.run_id, "a", visible=nothing)
    with pytest.raises(DagNotFound):
        here.control.explain("d", run.run_id, visible=nothing)


def test_marking_a_run_ends_its_tasks(here: Installation) -> None:
    here.add(PLAIN)
    run = here.control.runs.trigger("d", actor="ann")
    here.control.runs.mark("d", run.run_id, RunState.FAILED, actor="ann")
    assert here.control.runs.get("d", run.run_id).state is RunState.FAILED
    [task] = here.control.tasks.of_run("d", run.run_id)
    assert task.state is TaskState.SKIPPED
    with pytest.raises(UsageError, match="success or failed, not queued"):
        here.control.runs.mark("d", run.run_id, RunState.QUEUED, actor="ann")
    with pytest.raises(RunNotFound):
        here.control.runs.mark("d", "nope", RunState.FAILED, actor="ann")


def test_marking_a_task_lets_what_failed_for_want_of_it_run(here: Installation) -> None:
    here.add(DagSpec(dag_id="d", tasks=(*A, TaskSpec(task_id="b", upstream=("a",)))))
    run = here.control.runs.trigger("d", actor="ann")
    here.control.runs.mark("d", run.run_id, RunState.FAILED, actor="ann")
    done = here.control.tasks.mark(here.control.tasks.exactly("d", run.run_id, "a"), TaskState.SUCCESS, actor="ann")
    assert done.tasks >= 1
    assert here.control.tasks.get("d", run.run_id, "a").state is TaskState.SUCCESS
    with pytest.raises(UsageError, match="success or failed, not skipped"):
        here.control.tasks.mark(here.control.tasks.exactly("d", run.run_id, "a"), TaskState.SKIPPED, actor="ann")


def test_the_audit_names_who_did_it(here: Installation) -> None:
    here.add(PLAIN)
    run = here.control.runs.trigger("d", actor="ann")
    here.control.tasks.mark(here.control.tasks.exactly("d", run.run_id, "a"), TaskState.SUCCESS, actor="bob")
    row = here.control.tasks.find("d", run.run_id, "a")
    assert [(entry.actor, entry.who) for entry in here.store.queries.transitions(row.id)] == [("mark", "bob")]


# -- logs -------------------------------------------------------------------------------------------------------------


def test_a_log_that_grows_is_read_in_whole_lines(here: Installation) -> None:
    here.add(PLAIN)
    run = here.control.runs.trigger("d", actor="ann")
    here.scheduler.step()
    here.scheduler.step()
    taken = here.executor.claim()
    assert taken is not None
    file = here.home / "logs" / taken[1].log_path
    file.parent.mkdir(parents=True)
    file.write_bytes(b'{"msg": "one"}\n{"msg": "tw')
    chunk = here.control.logs.read("d", run.run_id, "a")
    assert (chunk.lines, chunk.ended) == (('{"msg": "one"}',), False)
    file.write_bytes(b'{"msg": "one"}\n{"msg": "two"}\n')
    chunk = here.control.logs.read("d", run.run_id, "a", offset=chunk.offset)
    assert chunk.lines == ('{"msg": "two"}',)
    assert here.control.logs.read("d", run.run_id, "a", offset=chunk.offset).lines == ()


def test_a_long_log_is_read_in_chunks_without_losing_a_line(here: Installation) -> None:
    here.add(PLAIN)
    run = here.control.runs.trigger("d", actor="ann")
    here.settle()
    file = here.control.logs.path("d", run.run_id, "a", -1, 1)
    file.parent.mkdir(parents=True)
    message = "x\u2028" * 500  # a separator that is no end of line
    written = [json.dumps({"msg": message, "n": n}, ensure_ascii=False) for n in range(3000)]
    file.write_text("\n".join(written), encoding="utf-8")  # the last line without its end: cut short by a kill
    read: list[str] = []
    offset, ended = 0, False
    while not ended:
        chunk = here.control.logs.read("d", run.run_id, "a", offset=offset)
        read += chunk.lines
        offset, ended = chunk.offset, chunk.ended
    assert read == written


def test_a_log_that_is_no_longer_here_is_read_where_it_is_stored(here: Installation) -> None:
    here.add(PLAIN)
    run = here.control.runs.trigger("d", actor="ann")
    asked: list[str] = []
    content = b"".join(b'{"n": %d}\n' % number for number in range(200_000))

    def stored(path: str, offset: int, limit: int) -> bytes:
        asked.append(path)
        return content[offset : offset + limit]

    logs = Logs(here.home / "logs", here.control.tasks, stored)
    assert logs.read("d", run.run_id, "a").lines == ()
    assert asked == [], "a task that has not ended has its log here"
    here.settle()
    read: list[str] = []
    offset, ended = 0, False
    while not ended:
        chunk = logs.read("d", run.run_id, "a", offset=offset)
        read += chunk.lines
        offset, ended = chunk.offset, chunk.ended
    assert len(read) == 200_000
    assert set(asked) == {f"dag_id=d/run_id={run.run_id}/task_id=a/attempt=1.log".replace("%3A", ":")}
    here.control.logs.path("d", run.run_id, "a", -1, 1).parent.mkdir(parents=True)
    here.control.logs.path("d", run.run_id, "a", -1, 1).write_text('{"here": 1}\n')
    assert logs.read("d", run.run_id, "a").lines == ('{"here": 1}',)


# -- who is alive -----------------------------------------------------------------------------------------------------


def test_a_stale_lock_file_is_nobody(here: Installation) -> None:
    (here.home / "run").mkdir()
    (here.home / "run" / "scheduler.lock").write_text("1", encoding="ascii")  # alive, but not the holder
    (here.home / "run" / "supervisor.lock").write_text("garbage", encoding="ascii")
    assert not here.control.alive.scheduler()
    assert not here.control.alive.supervisor()
