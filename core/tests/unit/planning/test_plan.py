"""What a run's plan decides, rule by rule of the specification. ``test_plan_model`` proves it for every history."""

from __future__ import annotations

import pytest

from windlass.errors import TaskNotFound
from windlass.planning.plan import Conclusion, Expand, Instance, Move, RunPlan
from windlass.spec import DagSpec, GroupSpec, LiteralLength, MapSpec, TaskSpec, TriggerRule, XComLength
from windlass.states import RunState, TaskState

S = TaskState
R = TriggerRule


def task(task_id: str, upstream: str = "", rule: R = R.ALL_SUCCESS, **settings: object) -> TaskSpec:
    fields = {"task_id": task_id, "upstream": tuple(upstream.split()), "trigger_rule": rule, **settings}
    return TaskSpec(**fields)  # type: ignore[arg-type]


def setup(task_id: str, upstream: str = "") -> TaskSpec:
    return task(task_id, upstream, is_setup=True)


def teardown(task_id: str, upstream: str, setups: str, *, fails: bool = False) -> TaskSpec:
    return task(
        task_id,
        upstream,
        R.ALL_DONE_SETUP_SUCCESS,
        is_teardown=True,
        setups=tuple(setups.split()),
        on_failure_fail_dagrun=fails,
    )


def over(source: str) -> MapSpec:
    return MapSpec(factors=(("x", XComLength(task_id=source)),))


def dag(*tasks: TaskSpec, groups: tuple[GroupSpec, ...] = (), fail_fast: bool = False) -> DagSpec:
    return DagSpec(dag_id="d", tasks=tasks, groups=groups, fail_fast=fail_fast)


class Run:
    """A plan with its first decisions taken, and short names for what tests say."""

    def __init__(self, spec: DagSpec) -> None:
        self.plan = RunPlan(spec, [Instance(task_id=one.task_id) for one in spec.tasks])
        self.started = self.decide()

    def decide(self) -> list[str]:
        return [shown(decision) for decision in self.plan.decide()]

    def clear(self, *names: str) -> list[str]:
        """Clear several instances in one transaction."""
        for name in names:
            task_id, _, index = name.partition("#")
            self.plan.update(task_id, int(index or -1), S.NONE)
        return self.decide()

    def __call__(self, name: str, state: S, *skips: str, length: int | None = None) -> list[str]:
        task_id, _, index = name.partition("#")
        self.plan.update(task_id, int(index or -1), state, skip_targets=skips, result_length=length)
        return self.decide()


def shown(decision: Move | Expand) -> str:
    if isinstance(decision, Expand):
        return f"{decision.task_id} x{decision.length}"
    index = "" if decision.map_index < 0 else f"#{decision.map_index}"
    return f"{decision.task_id}{index} {decision.to}"


# -- the graph ----------------------------------------------------------------------------------------------------


def test_roots_go_first_and_downstreams_follow() -> None:
    run = Run(dag(task("a"), task("b"), task("c", "a b")))
    assert run.started == ["a scheduled", "b scheduled"]
    assert run("a", S.SUCCESS) == []
    assert run("b", S.SUCCESS) == ["c scheduled"]


def test_a_failure_runs_down_the_whole_graph_in_one_call() -> None:
    run = Run(dag(task("a"), task("b", "a"), task("c", "b"), task("d", "c", R.ALL_DONE)))
    assert run("a", S.FAILED) == ["b upstream_failed", "c upstream_failed", "d scheduled"]


def test_a_move_says_where_from_where_to_and_why() -> None:
    run = Run(dag(task("a"), task("b"), task("c", "a b")))
    run("a", S.SUCCESS)
    run.plan.update("b", -1, S.FAILED)
    assert run.plan.decide() == [
        Move(
            task_id="c",
            map_index=-1,
            before=S.NONE,
            to=S.UPSTREAM_FAILED,
            reason="trigger rule all_success: 1 succeeded, 1 failed upstream",
        )
    ]


def test_a_retrying_upstream_is_not_done() -> None:
    run = Run(dag(task("a"), task("b", "a", R.ALL_DONE)))
    for state in (S.QUEUED, S.RUNNING, S.UP_FOR_RETRY, S.UP_FOR_RESCHEDULE, S.DEFERRED, S.SCHEDULED):
        assert run("a", state) == []
    assert run("a", S.FAILED) == ["b scheduled"]


def test_a_cleared_task_and_its_downstream_go_again() -> None:
    run = Run(dag(task("a"), task("b", "a")))
    run("a", S.SUCCESS)
    run("b", S.FAILED)
    assert run("b", S.NONE) == ["b scheduled"]
    assert run("a", S.NONE) == ["a scheduled"]
    assert run("b", S.NONE) == []
    assert run("a", S.SUCCESS) == ["b scheduled"]


def test_an_instance_the_plan_does_not_know_is_an_error_that_says_what_to_do() -> None:
    plan = Run(dag(task("a"))).plan
    with pytest.raises(TaskNotFound, match=r"DAG `d` has no task instance `a\[4\]`; build it anew from the store"):
        plan.update("a", 4, S.SUCCESS)
    with pytest.raises(TaskNotFound, match="`b`"):
        plan.update("b", -1, S.SUCCESS)


def test_a_task_that_the_dag_no_longer_has_is_removed() -> None:
    plan = RunPlan(
        dag(task("a")), [Instance(task_id="old"), Instance(task_id="a"), Instance(task_id="gone", state=S.RUNNING)]
    )
    assert [shown(decision) for decision in plan.decide()] == ["a scheduled", "old removed"]
    plan.update("a", -1, S.SUCCESS)
    assert plan.conclusion() is None
    plan.update("gone", -1, S.FAILED)
    assert plan.conclusion() is not None


def test_tasks_without_an_instance_are_no_part_of_the_run() -> None:
    spec = dag(task("a"), task("b", "a", R.ONE_SUCCESS), task("c", "b"))
    plan = RunPlan(spec, [Instance(task_id="b")])
    assert [shown(decision) for decision in plan.decide()] == ["b scheduled"]
    plan.update("b", -1, S.FAILED)
    conclusion = plan.conclusion()
    assert conclusion is not None
    assert conclusion.state is RunState.FAILED


# -- decisions to skip --------------------------------------------------------------------------------------------


def test_a_branch_skips_what_it_did_not_choose_and_the_rules_propagate() -> None:
    run = Run(dag(task("b"), task("left", "b"), task("right", "b"), task("after", "right"), task("join", "left right")))
    assert run("b", S.SUCCESS, "right") == ["left scheduled", "right skipped", "after skipped", "join skipped"]


def test_a_kept_decision_skips_a_cleared_child_again() -> None:
    run = Run(dag(task("b"), task("child", "b", R.ALWAYS)))
    run("b", S.SUCCESS, "child")
    assert run("child", S.NONE) == ["child skipped"]


def test_a_cleared_branch_decides_anew() -> None:
    run = Run(dag(task("b"), task("left", "b"), task("right", "b")))
    run("b", S.SUCCESS, "right")
    run("b", S.NONE)
    assert run("right", S.NONE) == []
    assert run("b", S.SUCCESS, "left") == ["left skipped", "right scheduled"]


def test_a_decision_skips_what_was_scheduled_but_not_what_was_handed_out() -> None:
    run = Run(dag(task("b"), task("x", "b", R.ALWAYS), task("y", "b", R.ALWAYS)))
    run("y", S.QUEUED)
    run.plan.update("b", -1, S.SUCCESS, skip_targets=("x", "y"))
    (move,) = run.plan.decide()
    assert move == Move(task_id="x", map_index=-1, before=S.SCHEDULED, to=S.SKIPPED, reason="`b` decided to skip it")


def test_a_decision_never_skips_a_teardown() -> None:
    run = Run(dag(setup("s"), task("stop", "s"), task("w", "stop"), teardown("t", "s w", "s")))
    run("s", S.SUCCESS)
    assert run("stop", S.SUCCESS, "w", "t") == ["w skipped", "t scheduled"]


# -- setup and teardown -------------------------------------------------------------------------------------------


def test_a_teardown_runs_after_failed_work_if_its_setup_ran() -> None:
    run = Run(dag(setup("s"), task("w", "s"), teardown("t", "s w", "s")))
    run("s", S.SUCCESS)
    assert run("w", S.FAILED) == ["t scheduled"]


@pytest.mark.parametrize(("state", "expected"), [(S.SKIPPED, "skipped"), (S.FAILED, "upstream_failed")])
def test_a_teardown_does_not_run_if_no_setup_did(state: S, expected: str) -> None:
    run = Run(dag(setup("s"), task("w", "s"), teardown("t", "s w", "s")))
    assert run("s", state) == [f"w {expected}", f"t {expected}"]


def test_one_of_several_setups_is_enough() -> None:
    run = Run(dag(setup("s"), setup("r"), teardown("t", "s r", "s r")))
    run("s", S.FAILED)
    assert run("r", S.SUCCESS) == ["t scheduled"]


def test_a_teardown_waits_for_work_between_that_is_not_directly_upstream() -> None:
    run = Run(
        dag(setup("s"), task("slow", "s"), task("quick", "s"), task("sum", "slow quick"), teardown("t", "sum", "s"))
    )
    run("s", S.SUCCESS)
    assert run("quick", S.FAILED) == ["sum upstream_failed"]
    assert run.plan.blockers("t", -1) == ["trigger rule all_done_setup_success waits for `slow` (scheduled)"]
    assert run("slow", S.SUCCESS) == ["t scheduled"]


# -- mapping ------------------------------------------------------------------------------------------------------


def test_a_mapped_task_expands_to_the_length_of_its_source() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a")), task("end", "m")))
    assert run("a", S.SUCCESS, length=3) == ["m x3", "m#0 scheduled", "m#1 scheduled", "m#2 scheduled"]
    assert run("m#0", S.SUCCESS) == []
    assert run("m#2", S.SUCCESS) == []
    assert run("m#1", S.SUCCESS) == ["end scheduled"]


def test_a_literal_needs_no_source() -> None:
    run = Run(dag(task("m", map=MapSpec(factors=(("x", LiteralLength(2)), ("y", LiteralLength(1)))))))
    assert run.started == ["m x2", "m#0 scheduled", "m#1 scheduled"]


def test_a_length_of_zero_skips_the_mapped_task() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a")), task("end", "m", R.NONE_FAILED)))
    assert run("a", S.SUCCESS, length=0) == ["m skipped", "end scheduled"]


@pytest.mark.parametrize(
    ("rule", "state", "expected"),
    [
        (R.ALL_SUCCESS, S.SKIPPED, "skipped"),
        (R.ALL_SUCCESS, S.FAILED, "upstream_failed"),
        (R.ALL_DONE, S.SKIPPED, "skipped"),
        (R.ALL_DONE, S.FAILED, "skipped"),
        (R.ALL_DONE, S.SUCCESS, "upstream_failed"),
    ],
)
def test_without_a_length_a_mapped_task_never_runs(rule: R, state: S, expected: str) -> None:
    """It follows its rule; would that let it run, there is nothing to run, or (no list returned) something is wrong."""
    run = Run(dag(task("a"), task("m", "a", rule, map=over("a"))))
    assert run("a", state) == [f"m {expected}"]


def test_a_mapped_task_waits_for_other_upstreams_before_it_expands() -> None:
    run = Run(dag(task("a"), task("b"), task("m", "a b", map=over("a"))))
    assert run("a", S.SUCCESS, length=2) == []
    assert run("b", S.FAILED) == ["m upstream_failed"]


def test_an_eager_rule_waits_for_the_length() -> None:
    run = Run(dag(task("a"), task("b"), task("m", "a b", R.ONE_SUCCESS, map=over("a"))))
    assert run("b", S.SUCCESS) == []
    assert run.plan.blockers("m", -1) == ["`m` is expanded when its length is known; it waits for `a` (scheduled)"]
    assert run("a", S.SUCCESS, length=1) == ["m x1", "m#0 scheduled"]


def test_a_mapped_source_counts_its_instances_whatever_they_returned() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a")), task("n", "m", R.ALL_DONE, map=over("m"))))
    run("a", S.SUCCESS, length=3)
    run("m#0", S.SUCCESS, length=7)
    run("m#1", S.FAILED)
    assert run("m#2", S.SKIPPED) == ["n x3", "n#0 scheduled", "n#1 scheduled", "n#2 scheduled"]


def test_a_shorter_list_after_a_clear_removes_what_is_beyond_it() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a")), task("end", "m")))
    run("a", S.SUCCESS, length=3)
    assert run.clear("a", "m#0", "m#1", "m#2") == ["a scheduled"]
    assert run("a", S.SUCCESS, length=1) == ["m#0 scheduled", "m#1 removed", "m#2 removed"]
    assert run("m#0", S.SUCCESS) == ["end scheduled"]


def test_a_longer_list_after_a_clear_adds_instances() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a"))))
    run("a", S.SUCCESS, length=1)
    assert run.clear("a", "m#0") == ["a scheduled"]
    assert run("a", S.SUCCESS, length=2) == ["m x2", "m#0 scheduled", "m#1 scheduled"]


def test_finished_instances_are_kept_when_the_list_gets_longer() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a"))))
    run("a", S.SUCCESS, length=2)
    run("m#1", S.SUCCESS)
    assert run.clear("a", "m#0") == ["a scheduled"]
    assert run("a", S.SUCCESS, length=3) == ["m x3", "m#0 scheduled", "m#2 scheduled"]


def test_a_list_that_became_empty_after_a_clear_skips_the_task() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a")), task("end", "m")))
    run("a", S.SUCCESS, length=2)
    run.clear("a", "m#0", "m#1")
    assert run("a", S.SUCCESS, length=0) == ["m#0 skipped", "m#1 removed", "end skipped"]


def test_removed_instances_do_not_count_in_the_length_of_what_is_mapped_over_them() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a")), task("n", "m", map=over("m"))))
    run("a", S.SUCCESS, length=3)
    run.clear("a", "m#0", "m#1", "m#2")
    run("a", S.SUCCESS, length=2)
    run("m#0", S.SUCCESS)
    assert run("m#1", S.SUCCESS) == ["n x2", "n#0 scheduled", "n#1 scheduled"]


def test_a_source_that_runs_again_alone_leaves_finished_instances_alone() -> None:
    run = Run(dag(task("a"), task("m", "a", map=over("a"))))
    run("a", S.SUCCESS, length=2)
    for name in ("m#0", "m#1"):
        run(name, S.SUCCESS)
    run("a", S.NONE)
    assert run("a", S.SUCCESS, length=5) == []


def mapped_group() -> Run:
    return Run(
        dag(
            task("a"),
            task("g.x", "a", group="g"),
            task("g.y", "g.x", group="g"),
            task("end", "g.y"),
            groups=(GroupSpec(group_id="g", map=over("a")),),
        )
    )


def test_a_mapped_group_expands_as_a_whole_and_index_i_waits_only_for_its_own_i() -> None:
    run = mapped_group()
    assert run("a", S.SUCCESS, length=2) == ["g.x x2", "g.y x2", "g.x#0 scheduled", "g.x#1 scheduled"]
    assert run("g.x#1", S.SUCCESS) == ["g.y#1 scheduled"]
    assert run("g.x#0", S.FAILED) == ["g.y#0 upstream_failed", "end upstream_failed"]


def test_a_mapped_group_over_nothing_is_skipped() -> None:
    assert mapped_group()("a", S.SUCCESS, length=0) == ["g.x skipped", "g.y skipped", "end skipped"]


def test_a_mapped_group_without_a_length_follows_its_rules() -> None:
    assert mapped_group()("a", S.FAILED) == ["g.x upstream_failed", "g.y upstream_failed", "end upstream_failed"]


def test_a_branch_inside_a_mapped_group_skips_its_own_index() -> None:
    run = mapped_group()
    run("a", S.SUCCESS, length=2)
    assert run("g.x#0", S.SUCCESS, "g.y") == ["g.y#0 skipped", "end skipped"]
    assert run("g.x#1", S.SUCCESS) == ["g.y#1 scheduled"]


def test_a_branch_outside_skips_every_index_inside() -> None:
    run = mapped_group()
    assert run("a", S.SUCCESS, "g.x", length=2) == [
        "g.x skipped",
        "g.y x2",
        "g.y#0 skipped",
        "g.y#1 skipped",
        "end skipped",
    ]


def branched_group() -> Run:
    return Run(
        dag(
            task("a"),
            task("b"),
            task("g.x", "a b", group="g"),
            task("g.y", "g.x", group="g"),
            groups=(GroupSpec(group_id="g", map=over("a")),),
        )
    )


def test_a_task_of_a_group_that_was_never_expanded_stands_for_every_index() -> None:
    run = branched_group()
    run("b", S.SUCCESS, "g.x")
    assert run("a", S.SUCCESS, length=2) == ["g.y x2", "g.y#0 skipped", "g.y#1 skipped"]
    run("g.x", S.SUCCESS)  # marked
    assert run.clear("g.y#0", "g.y#1") == ["g.y#0 scheduled", "g.y#1 scheduled"]


def test_a_task_of_a_group_that_was_never_expanded_looks_at_every_index() -> None:
    run = branched_group()
    run("b", S.SUCCESS, "g.y")
    assert run("a", S.SUCCESS, length=2) == ["g.x x2", "g.x#0 scheduled", "g.x#1 scheduled"]
    run("g.x#0", S.SUCCESS)
    assert run.clear("a", "b", "g.y") == ["a scheduled", "b scheduled"]
    assert run("a", S.FAILED) == []
    assert run.plan.blockers("g.y", -1) == ["trigger rule all_success waits for `g.x[1]` (scheduled)"]
    assert run("g.x#1", S.SUCCESS) == ["g.y skipped"]


# -- fail_fast ----------------------------------------------------------------------------------------------------


def test_fail_fast_skips_what_waits_asks_to_stop_what_runs_and_lets_teardowns_run() -> None:
    names = ("bad", "running", "queued", "deferred", "retrying", "waiting")
    run = Run(dag(setup("s"), *(task(n, "s") for n in names), teardown("t", " ".join(names), "s"), fail_fast=True))
    run("s", S.SUCCESS)
    states = (S.RUNNING, S.RUNNING, S.QUEUED, S.DEFERRED, S.UP_FOR_RETRY, S.SCHEDULED)
    for name, state in zip(names, states, strict=True):
        assert run(name, state) == []
    assert run.plan.to_stop() == []
    run.plan.update("bad", -1, S.FAILED)
    assert run.plan.to_stop() == [("running", -1), ("queued", -1), ("deferred", -1)]
    assert run.decide() == ["retrying skipped", "waiting skipped"]
    assert run.plan.to_stop() == [("running", -1), ("queued", -1), ("deferred", -1)]
    assert run("running", S.UP_FOR_RETRY) == ["running skipped"]
    run("queued", S.SKIPPED)
    assert run("deferred", S.SKIPPED) == ["t scheduled"]
    run("t", S.RUNNING)
    assert run.plan.to_stop() == []


def test_fail_fast_ends_when_the_failed_task_is_cleared() -> None:
    run = Run(dag(task("a"), task("b"), fail_fast=True))
    assert run("a", S.FAILED) == ["b skipped"]
    assert run("b", S.NONE) == ["b skipped"]
    run("a", S.NONE)
    assert run("b", S.NONE) == ["b scheduled"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_failed_teardown_stops_the_run_only_if_it_shall_fail_it(fails: bool) -> None:
    run = Run(dag(setup("s"), teardown("t", "s", "s", fails=fails), task("x"), fail_fast=True))
    run("s", S.SUCCESS)
    assert run("t", S.FAILED) == (["x skipped"] if fails else [])


# -- the past -----------------------------------------------------------------------------------------------------


def test_what_depends_on_the_past_waits_for_the_answer() -> None:
    run = Run(dag(task("a"), task("b", "a", depends_on_past=True)))
    assert run.plan.waiting_for_past() == []
    assert run("a", S.SUCCESS) == []
    assert run.plan.waiting_for_past() == [("b", -1)]
    assert run.plan.blockers("b", -1) == ["depends_on_past: `b` has not succeeded in the previous run"]
    assert run.plan.conclusion() is None
    run.plan.set_past("b", -1, ok=False)
    assert run.decide() == []
    assert run.plan.waiting_for_past() == [("b", -1)]
    run.plan.set_past("b", -1, ok=True)
    assert run.decide() == ["b scheduled"]
    assert run.plan.waiting_for_past() == []


def test_the_answer_is_asked_again_after_a_clear() -> None:
    run = Run(dag(task("a", wait_for_downstream=True)))
    run.plan.set_past("a", -1, ok=True)
    assert run.decide() == ["a scheduled"]
    assert run("a", S.NONE) == []
    assert run.plan.waiting_for_past() == [("a", -1)]


def test_what_was_marked_waits_for_no_past() -> None:
    run = Run(dag(task("a", depends_on_past=True)))
    assert run.plan.waiting_for_past() == [("a", -1)]
    run("a", S.SUCCESS)
    assert run.plan.waiting_for_past() == []


def test_the_past_holds_back_running_only() -> None:
    run = Run(dag(task("a"), task("b", "a", depends_on_past=True)))
    assert run("a", S.FAILED) == ["b upstream_failed"]


def test_an_upstream_that_is_cleared_ends_the_wait_for_the_past() -> None:
    run = Run(dag(task("a"), task("b", "a", depends_on_past=True)))
    run("a", S.SUCCESS)
    run("a", S.NONE)
    assert run.plan.waiting_for_past() == []


def test_known_answers_are_taken_from_the_caller() -> None:
    answers = {"a": True, "b": False}
    spec = dag(*(task(name, depends_on_past=True) for name in ("a", "b", "c")))
    plan = RunPlan(spec, [Instance(task_id=n) for n in ("a", "b", "c")], past_ok=lambda name, _: answers.get(name))
    assert [shown(decision) for decision in plan.decide()] == ["a scheduled"]
    assert plan.waiting_for_past() == [("b", -1), ("c", -1)]


# -- the end ------------------------------------------------------------------------------------------------------


def ended(spec: DagSpec, **states: S) -> Conclusion | None:
    plan = RunPlan(spec, [Instance(task_id=name, state=state) for name, state in states.items()])
    plan.decide()
    return plan.conclusion()


def test_a_run_ends_by_its_leaves() -> None:
    chain = dag(task("a"), task("b", "a", R.ALL_DONE))
    success = ended(chain, a=S.FAILED, b=S.SUCCESS)
    assert success is not None
    assert success.state is RunState.SUCCESS
    assert ended(chain, a=S.SUCCESS, b=S.FAILED) == Conclusion(
        state=RunState.FAILED, reason="failed at the end of the graph: `b`"
    )
    assert ended(chain, a=S.FAILED, b=S.RUNNING) is None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (S.SUCCESS, RunState.SUCCESS),
        (S.SKIPPED, RunState.SUCCESS),
        (S.REMOVED, RunState.SUCCESS),
        (S.FAILED, RunState.FAILED),
        (S.UPSTREAM_FAILED, RunState.FAILED),
    ],
)
def test_a_leafs_state_decides(state: S, expected: RunState) -> None:
    conclusion = ended(dag(task("a"), task("b")), a=S.SUCCESS, b=state)
    assert conclusion is not None
    assert conclusion.state is expected


@pytest.mark.parametrize(("fails", "expected"), [(False, RunState.SUCCESS), (True, RunState.FAILED)])
def test_a_teardown_is_no_leaf_unless_it_shall_fail_the_run(fails: bool, expected: RunState) -> None:
    spec = dag(setup("s"), task("w", "s"), teardown("t", "s w", "s", fails=fails))
    conclusion = ended(spec, s=S.SUCCESS, w=S.SUCCESS, t=S.FAILED)
    assert conclusion is not None
    assert conclusion.state is expected


def test_a_teardown_does_not_hide_failed_work() -> None:
    conclusion = ended(dag(setup("s"), task("w", "s"), teardown("t", "s w", "s")), s=S.SUCCESS, w=S.FAILED, t=S.SUCCESS)
    assert conclusion == Conclusion(state=RunState.FAILED, reason="failed at the end of the graph: `w`")


def test_a_task_is_a_leaf_if_its_downstreams_are_no_part_of_the_run() -> None:
    spec = dag(task("a"), task("b", "a"), task("other"))
    assert ended(spec, a=S.FAILED, other=S.SUCCESS) == Conclusion(
        state=RunState.FAILED, reason="failed at the end of the graph: `a`"
    )


def test_an_empty_dag_succeeds() -> None:
    conclusion = ended(dag())
    assert conclusion is not None
    assert conclusion.state is RunState.SUCCESS


def test_a_run_in_which_nothing_can_move_fails_and_names_what_is_blocked() -> None:
    circle = dag(task("a", "b"), task("b", "a"))  # no DAG file can say this; a plan must still come to an end
    assert ended(circle, a=S.NONE, b=S.NONE) == Conclusion(
        state=RunState.FAILED,
        reason="deadlock: 2 task instance(s) can never run and nothing is running. "
        "`a`: trigger rule all_success waits for `b` (none); `b`: trigger rule all_success waits for `a` (none)",
    )


def test_a_plan_that_has_not_decided_yet_concludes_no_deadlock() -> None:
    assert RunPlan(dag(task("a")), [Instance(task_id="a")]).conclusion() is None


# -- why not ------------------------------------------------------------------------------------------------------


def test_blockers_name_what_is_waited_for() -> None:
    names = [f"u{number}" for number in range(7)]
    run = Run(dag(*(task(name) for name in names), task("z", " ".join(names)), task("end", "z")))
    run("u0", S.RUNNING)
    (sentence,) = run.plan.blockers("z", -1)
    first = ", ".join(f"`u{number}` (scheduled)" for number in range(1, 5))
    assert sentence == f"trigger rule all_success waits for `u0` (running), {first} and more"
    assert run.plan.blockers("end", -1) == ["trigger rule all_success waits for `z` (none)"]
    assert run.plan.blockers("u0", -1) == []


def test_blockers_inside_a_mapped_group_are_those_of_the_index() -> None:
    run = mapped_group()
    run("a", S.SUCCESS, length=3)
    assert run.plan.blockers("g.y", 1) == ["trigger rule all_success waits for `g.x[1]` (scheduled)"]
