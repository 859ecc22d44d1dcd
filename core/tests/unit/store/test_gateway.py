"""At most one attempt holds a task instance, and its end is written exactly once, with all that belongs to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from windlass.app.clocks import VirtualClock
from windlass.errors import Conflict, RunExists, UsageError
from windlass.ports import Claim, Claimed, StopKind
from windlass.protocol import (
    AssetEvent,
    GetConnection,
    Outcome,
    Query,
    Rendered,
    Reschedule,
    TriggerRun,
    Variable,
    XComGet,
    XComInfo,
    XComSet,
    XComValue,
)
from windlass.spec import CustomTimetableSpec, MapSpec, ParamSpec, TaskSpec, XComLength
from windlass.states import TaskState
from windlass.store import Store
from windlass_testing.hand_driven import HandDriven, result

S = TaskState


def text(value: str) -> XComValue:
    return XComValue(codec="json", data=value.encode(), size=len(value))


# --- Claims


def test_a_claim_gives_a_lease_and_all_that_the_child_must_know(engine: HandDriven) -> None:
    engine.dag(
        TaskSpec(task_id="a/b", retries=2, execution_timeout=30.0, params={"x": ParamSpec(value=2)}),
        params={"x": ParamSpec(value=1), "y": ParamSpec(value=1), "z": ParamSpec(has_value=False)},
    )
    run = engine.new_run(conf={"y": 3, "other": 4})

    claimed = engine.run(engine.ti(run, "a/b"))

    context = claimed.context
    assert claimed.execution_timeout == 30.0
    assert claimed.log_path == context.log_path
    assert claimed.log_path.count("/") == 3
    assert context.params == {"x": 2, "y": 3, "other": 4}
    assert context.conf == {"y": 3, "other": 4}
    assert (context.try_number, context.max_tries, context.epoch, context.mapped_count) == (1, 2, 1, None)
    assert context.logical_date == run.logical_date
    ti = engine.ti(run, "a/b")
    assert (ti.state, ti.lease_id) == (S.RUNNING, claimed.lease_id)


def test_a_ticket_is_good_for_one_claim(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    engine.queue(engine.ti(run))
    assert engine.claim(engine.ti(run), pid=1) is not None
    assert engine.claim(engine.ti(run), pid=2) is None
    assert engine.count("attempt") == 1


def test_a_claim_whose_answer_was_lost_gets_the_same_lease_again(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    engine.queue(engine.ti(run))
    first = engine.claim(engine.ti(run), pid=1)
    assert engine.claim(engine.ti(run), pid=1) == first
    assert engine.count("attempt") == 1


@pytest.mark.parametrize(("epoch", "ticket"), [(0, None), (2, None), (1, "another")])
def test_an_old_epoch_or_another_ticket_is_refused(engine: HandDriven, epoch: int, ticket: str | None) -> None:
    engine.dag("a")
    run = engine.new_run()
    engine.queue(engine.ti(run))
    ti = engine.ti(run)
    claim = Claim(task=ti.id, epoch=epoch, ticket=ticket or ti.ticket or "", pid=1, hostname="h")
    assert engine.gateway.claim([claim], "s1") == [None]
    assert engine.state(run) is S.QUEUED


def test_a_refused_claim_does_not_hinder_the_others_of_its_batch(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    engine.queue(engine.ti(run, "a"), engine.ti(run, "b"))
    a, b = engine.ti(run, "a"), engine.ti(run, "b")
    claims = [
        Claim(task=a.id, epoch=1, ticket="wrong", pid=1, hostname="h"),
        Claim(task=b.id, epoch=1, ticket=b.ticket or "", pid=2, hostname="h"),
        Claim(task=99, epoch=1, ticket="x", pid=3, hostname="h"),
    ]
    none, granted, unknown = engine.gateway.claim(claims, "s1")
    assert none is None
    assert unknown is None
    assert granted is not None
    assert granted.task == b.id


def test_a_new_try_starts_without_the_xcoms_of_the_last(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), Outcome.FAIL, xcoms=(result("first"),))
    assert engine.count("xcom") == 1
    engine.run(engine.ti(run))
    assert engine.count("xcom") == 0


def test_the_idempotency_key_outlives_tries_but_not_a_clear(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    first = engine.run(engine.ti(run))
    engine.report(first, Outcome.FAIL)
    second = engine.run(engine.ti(run))
    engine.report(second)
    engine.store.runs.clear([second.task], who="ann")
    third = engine.run(engine.ti(run))
    keys = [c.context.idempotency_key for c in (first, second, third)]
    assert keys[0] == keys[1] != keys[2]


# --- Heartbeats


def test_a_heartbeat_renews_the_lease_and_brings_stop_requests(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    a, b = engine.run(engine.ti(run, "a")), engine.run(engine.ti(run, "b"))
    engine.store.runs.clear([b.task], who="ann")
    clock.advance(50)

    stops = engine.gateway.heartbeat([a.lease_id, b.lease_id], "s1")

    assert [(s.task, s.kind, s.actor) for s in stops] == [(b.task, StopKind.CLEAR, "ann")]
    assert engine.state(run, "b") is S.RUNNING
    clock.advance(50)
    assert engine.scheduler.reap(queued_timeout=600) == 0


def test_a_lease_that_is_no_longer_ours_must_stop(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    claimed = engine.run(engine.ti(run))
    engine.gateway.recover("s1")
    stops = engine.gateway.heartbeat([claimed.lease_id, "never heard of"], "s1")
    assert [(s.lease_id, s.kind) for s in stops] == [
        (claimed.lease_id, StopKind.CLEAR),
        ("never heard of", StopKind.CLEAR),
    ]


# --- Reports


def test_a_success_is_written_with_its_result_rendered_fields_and_signal(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    claimed = engine.run(engine.ti(run))
    engine.store.db.write(lambda t: t.run('DELETE FROM "signal"'))

    assert engine.report(claimed, xcoms=(result([1, 2]),), rendered=Rendered(fields={"sql": "x"}), log_size=9)

    ti = engine.ti(run)
    assert (ti.state, ti.result_length, ti.lease_id, ti.ticket) == (S.SUCCESS, 2, None, None)
    assert [(s.kind, s.run, s.task) for s in engine.scheduler.signals()] == [("task", run.id, ti.id)]
    [attempt] = engine.store.queries.attempts(ti.id)
    assert (attempt.outcome, attempt.duration, attempt.log_size, attempt.rendered) == ("success", 1.0, 9, {"sql": "x"})
    assert [x.key for x in engine.store.queries.xcoms(ti.id)] == ["return_value"]


def test_a_report_sent_twice_is_written_once(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    report = engine.reporting(engine.run(engine.ti(run)))
    assert engine.gateway.report([report], "s1") == [True]
    assert engine.gateway.report([report], "s1") == [True]
    assert engine.count("transition", "to_state = 'success'") == 1


def test_a_report_whose_lease_has_ended_changes_nothing(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    stale = engine.run(engine.ti(run))
    engine.gateway.recover("s1")
    assert engine.report(stale, xcoms=(result("late"),)) is False
    assert engine.state(run) is S.FAILED
    assert engine.count("xcom") == 0


def test_a_conflict_does_not_hinder_the_other_reports_of_its_batch(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    a = engine.run(engine.ti(run, "a"))
    engine.gateway.recover("s1")
    b = engine.run(engine.ti(run, "b"))
    assert engine.gateway.report([engine.reporting(a), engine.reporting(b)], "s1") == [False, True]
    assert engine.state(run, "b") is S.SUCCESS


def test_ends_and_beginnings_share_a_commit(engine: HandDriven) -> None:
    engine.dag("a", "b", "c")
    run = engine.new_run()
    a, b = engine.run(engine.ti(run, "a")), engine.run(engine.ti(run, "b"))
    engine.queue(engine.ti(run, "c"))
    commits = engine.store.db.commits
    reports = [engine.reporting(a), engine.reporting(b, Outcome.FAIL)]
    written, (claimed,) = engine.gateway.exchange(reports, [engine.claiming(engine.ti(run, "c"))], "s1")
    assert engine.store.db.commits == commits + 1
    assert written == [True, True]
    assert claimed is not None
    assert [engine.state(run, task) for task in "abc"] == [S.SUCCESS, S.FAILED, S.RUNNING]
    assert engine.report(claimed)


@pytest.mark.parametrize("is_over", [True, False])
@pytest.mark.parametrize("is_taken", [True, False])
def test_a_conflict_among_ends_hinders_no_beginning_and_the_other_way_round(
    engine: HandDriven, is_over: bool, is_taken: bool
) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    a = engine.run(engine.ti(run, "a"))
    engine.queue(engine.ti(run, "b"))
    claim = engine.claiming(engine.ti(run, "b"), pid=2)
    if is_over:
        engine.gateway.recover("s1")
    if is_taken:
        assert engine.claim(engine.ti(run, "b"), pid=1)
    written, claimed = engine.gateway.exchange([engine.reporting(a)], [claim], "s1")
    assert written == [not is_over]
    assert [one is not None for one in claimed] == [not is_taken]
    assert engine.violations() == []


def test_ends_are_written_where_nothing_can_begin(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    a = engine.run(engine.ti(run, "a"))
    unknown = Claim(task=99, epoch=1, ticket="x", pid=3, hostname="h")
    assert engine.gateway.exchange([engine.reporting(a)], [unknown], "s1") == ([True], [None])
    assert engine.state(run, "a") is S.SUCCESS


def test_another_process_can_report_what_this_one_claimed(engine: HandDriven, store: Store) -> None:
    engine.dag("a")
    run = engine.new_run()
    claimed = engine.run(engine.ti(run))
    engine.gateway = Store(store.db).gateway
    assert engine.report(claimed)


def test_a_failure_is_retried_while_tries_remain(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1, retry_delay=60.0, callbacks=("retry", "failure")))
    run = engine.new_run()

    engine.report(engine.run(engine.ti(run)), ending=engine.finish(Outcome.FAIL, reason="boom"))
    ti = engine.ti(run)
    assert (ti.state, ti.not_before) == (S.UP_FOR_RETRY, clock.now() + timedelta(seconds=60))

    engine.report(engine.run(ti), ending=engine.finish(Outcome.FAIL, reason="boom"))
    ti = engine.ti(run)
    assert (ti.state, ti.try_number) == (S.FAILED, 2)
    assert engine.store.db.rows("SELECT event, try_number, reason FROM outbox ORDER BY id") == [
        ("retry", 1, "boom"),
        ("failure", 2, "boom"),
    ]


def test_fail_without_retry_and_skip_end_the_task_at_once(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=3), TaskSpec(task_id="b", retries=3, callbacks=("skipped",)))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run, "a")), Outcome.FAIL_NO_RETRY)
    engine.report(engine.run(engine.ti(run, "b")), Outcome.SKIP)
    assert (engine.state(run, "a"), engine.state(run, "b")) == (S.FAILED, S.SKIPPED)
    assert engine.count("outbox", "event = 'skipped'") == 1


def test_a_loss_charges_the_try_and_is_retried_without_delay(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1, retry_delay=600.0))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), lost="killed by signal 9")
    ti = engine.ti(run)
    assert (ti.state, ti.not_before) == (S.UP_FOR_RETRY, clock.now())
    engine.report(engine.run(ti), lost="killed by signal 9")
    assert engine.state(run) is S.FAILED
    assert engine.store.queries.task("d", run.run_id, "a").reason == "killed by signal 9"


def test_a_timeout_counts_as_a_failure(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), timed_out="longer than 30 s")
    assert engine.state(run) is S.UP_FOR_RETRY
    assert engine.store.queries.attempts(engine.ti(run).id)[0].outcome == "timed_out"


def test_skip_targets_are_kept(engine: HandDriven) -> None:
    engine.dag("a", TaskSpec(task_id="b", upstream=("a",)))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), ending=engine.finish(skip_targets=("b",)))
    assert engine.ti(run).skip_targets == ("b",)


@pytest.mark.parametrize(
    ("xcom", "words"), [(result(list(range(6))), "6 items.* 5"), (result("text"), "neither a list")]
)
def test_a_result_that_cannot_be_mapped_over_fails_its_task(engine: HandDriven, xcom: XComSet, words: str) -> None:
    mapped = TaskSpec(task_id="m", upstream=("a",), map=MapSpec(factors=(("x", XComLength(task_id="a")),)))
    engine.dag(TaskSpec(task_id="a", retries=3), mapped, max_map_length=5)
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), xcoms=(xcom,))
    row = engine.store.queries.task("d", run.run_id, "a")
    assert row.state is S.FAILED
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(row.reason)


def test_a_deferral_waits_and_resumes_within_the_same_try(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    first = engine.run(engine.ti(run))
    engine.report(first, ending=engine.deferral(kwargs=text('{"n":1}')), xcoms=(result("kept"),))
    assert engine.state(run) is S.DEFERRED

    again = engine.run(engine.ti(run))

    assert (again.context.try_number, again.context.epoch) == (1, 2)
    assert again.context.resume_method == "resume"
    assert again.context.resume_kwargs == text('{"n":1}')
    assert again.log_path == first.log_path
    assert engine.count("xcom") == 1
    assert engine.claim(engine.ti(run)) == again, "and a repeated claim knows it still"
    engine.report(again)
    assert engine.count("trigger_wait") == 0


def test_a_resumed_attempt_that_fails_starts_from_the_beginning(engine: HandDriven) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run)), ending=engine.deferral())
    engine.report(engine.run(engine.ti(run)), Outcome.FAIL)
    claimed = engine.run(engine.ti(run))
    assert claimed.context.resume_method is None
    assert claimed.context.try_number == 2


def test_a_reschedule_keeps_the_try_and_the_first_poke(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag("a")
    run = engine.new_run()
    begun = clock.now()
    at = begun + timedelta(seconds=30)
    engine.report(
        engine.run(engine.ti(run)), ending=Reschedule(at=at, first_poke=begun, started_at=begun, ended_at=begun)
    )
    ti = engine.ti(run)
    assert (ti.state, ti.not_before) == (S.UP_FOR_RESCHEDULE, at)
    clock.advance(30)
    claimed = engine.run(ti)
    assert claimed.context.first_poke == begun
    assert claimed.context.try_number == 1
    now = clock.now()
    engine.report(claimed, ending=Reschedule(at=now, started_at=now, ended_at=now))
    claimed = engine.run(engine.ti(run))
    assert claimed.context.first_poke == begun
    engine.report(claimed)
    assert engine.store.queries.task("d", run.run_id, "a").start_date == begun


@pytest.mark.parametrize(
    ("stop", "state"),
    [
        (StopKind.MARK_SUCCESS, S.SUCCESS),
        (StopKind.MARK_FAILED, S.FAILED),
        (StopKind.CLEAR, S.NONE),
        (StopKind.TIMEOUT, S.SKIPPED),
        (StopKind.FAIL_FAST, S.SKIPPED),
    ],
)
def test_a_stopped_attempt_ends_as_the_stop_says(engine: HandDriven, stop: StopKind, state: TaskState) -> None:
    engine.dag(TaskSpec(task_id="a", retries=1))
    run = engine.new_run()
    claimed = engine.run(engine.ti(run))
    assert engine.report(claimed, stopped=stop)
    ti = engine.ti(run)
    assert ti.state is state
    assert ti.max_tries == (2 if stop is StopKind.CLEAR else 1)
    assert engine.store.queries.attempts(ti.id)[0].outcome == "stopped"


def test_a_clear_wins_over_a_result_that_comes_before_the_stop(engine: HandDriven) -> None:
    engine.dag("a")
    run = engine.new_run()
    claimed = engine.run(engine.ti(run))
    engine.store.runs.clear([claimed.task], who="ann")
    assert engine.report(claimed)
    assert engine.state(run) is S.NONE
    assert engine.store.queries.transitions(claimed.task)[-1].who == "ann"


def test_a_recovered_supervisor_closes_its_own_leases_only(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    engine.run(engine.ti(run, "a"))
    engine.queue(engine.ti(run, "b"))
    assert engine.claim(engine.ti(run, "b"), supervisor="s2")
    assert engine.gateway.recover("s1") == 1
    assert engine.gateway.recover("s1") == 0
    assert (engine.state(run, "a"), engine.state(run, "b")) == (S.FAILED, S.RUNNING)


# --- Calls


def running(engine: HandDriven, *tasks: TaskSpec | str) -> Claimed:
    engine.dag(*(tasks or ("a",)))
    return engine.run(engine.ti(engine.new_run()))


def test_xcoms_are_read_by_run_task_and_key(engine: HandDriven) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    engine.report(engine.run(engine.ti(run, "a")), xcoms=(result([1, 2, 3]), XComSet(key="k", value=text("v"))))
    b = engine.run(engine.ti(run, "b"))
    assert engine.gateway.call(b.lease_id, XComGet(task_id="a", key="k")) == [[-1, text("v")]]
    assert engine.gateway.call(b.lease_id, XComGet(task_id="a", key="other")) == []
    assert engine.gateway.call(b.lease_id, XComInfo(task_id="a")) == {"count": 1, "length": 3, "instances": 0}


def test_prior_dates_find_the_newest_run_that_has_the_key(engine: HandDriven) -> None:
    engine.dag("a", "b")
    for day in (1, 2):
        engine.report(engine.run(engine.ti(engine.new_run(day=day), "a")), xcoms=(result(f"day {day}"),))
    b = engine.run(engine.ti(engine.new_run(day=3), "b"))
    [[index, value]] = engine.gateway.call(b.lease_id, XComGet(task_id="a", include_prior_dates=True))
    assert (index, value.data) == (-1, b"'day 2'")


def test_an_attempt_that_is_over_reads_and_writes_nothing(engine: HandDriven) -> None:
    claimed = running(engine)
    engine.gateway.call(claimed.lease_id, XComSet(key="k", value=text("v")))
    held = engine.gateway
    Store(engine.store.db).gateway.recover("s1")
    with pytest.raises(Conflict, match="this attempt is over"):
        held.call(claimed.lease_id, XComSet(key="k", value=text("late")))
    with pytest.raises(Conflict, match="this attempt is over"):
        held.call("no lease", XComGet(task_id="a"))
    assert engine.store.db.rows("SELECT data FROM xcom") == [(b"v",)]


def test_queries_answer_with_flat_dicts(engine: HandDriven) -> None:
    engine.dag("a", "b")
    first = engine.new_run(day=1)
    engine.report(engine.run(engine.ti(first, "a")))
    b = engine.run(engine.ti(engine.new_run(day=2), "b"))

    def ask(what: str, **filters: object) -> list[dict[str, object]]:
        answer: list[dict[str, object]] = engine.gateway.call(b.lease_id, Query(what=what, filters=filters))
        return answer

    assert [r["run_id"] for r in ask("runs", logical_date=first.logical_date)] == [first.run_id]
    states = ask("task_states", task_ids=["a"], run_id=first.run_id)
    assert [(s["task_id"], s["state"]) for s in states] == [("a", "success")]
    assert [r["run_id"] for r in ask("previous")] == [first.run_id]
    assert ask("previous", success=True) == []
    with pytest.raises(UsageError, match="no filter 'colour'"):
        ask("runs", colour="red")
    with pytest.raises(UsageError, match="no query 'weather'"):
        ask("weather")


def test_a_task_triggers_another_dag(engine: HandDriven) -> None:
    engine.dag("x", dag_id="other", file="o.py")
    claimed = running(engine)
    made = engine.gateway.call(claimed.lease_id, TriggerRun(dag_id="other", run_id="mine", conf={"n": 1}))
    assert (made["run_id"], made["run_type"], made["conf"]) == ("mine", "manual", {"n": 1})
    with pytest.raises(RunExists, match="'mine'"):
        engine.gateway.call(claimed.lease_id, TriggerRun(dag_id="other", run_id="mine"))
    assert (
        engine.gateway.call(claimed.lease_id, TriggerRun(dag_id="other", run_id="mine", reset=True))["run_id"] == "mine"
    )


def test_a_run_that_a_task_triggers_waits_for_its_timetable_as_any_other(engine: HandDriven) -> None:
    engine.dag("x", dag_id="moon", file="m.py", schedule=CustomTimetableSpec(name="acme.Moon", data={}))
    claimed = running(engine)
    engine.gateway.call(claimed.lease_id, TriggerRun(dag_id="moon", run_id="mine"))
    [waiting] = [run for run in engine.scheduler.open_runs() if run.dag_id == "moon"]
    assert waiting.interval_pending


def test_variables_are_set_here_and_read_through_the_secrets_chain(engine: HandDriven) -> None:
    claimed = running(engine)
    engine.gateway.call(claimed.lease_id, Variable(op="set", key="k", value="v"))
    assert engine.store.credentials.variable("k") == "v"
    engine.gateway.call(claimed.lease_id, Variable(op="delete", key="k"))
    assert engine.store.credentials.variable("k") is None
    for verb in (Variable(op="get", key="k"), GetConnection(conn_id="c")):
        with pytest.raises(UsageError, match="answered by the supervisor"):
            engine.gateway.call(claimed.lease_id, verb)


def test_asset_events_name_their_source(engine: HandDriven) -> None:
    claimed = running(engine)
    engine.gateway.call(claimed.lease_id, AssetEvent(uri="s3://x", extra={"rows": 1}))
    engine.report(claimed, ending=engine.finish(outlets=(AssetEvent(uri="s3://x"),)))
    events = engine.store.db.rows("SELECT source_dag_id, source_task_id, extra FROM asset_event ORDER BY id")
    assert events == [("d", "a", '{"rows":1}'), ("d", "a", "{}")]
    assert engine.count("asset") == 1
