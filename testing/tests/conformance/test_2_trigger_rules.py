"""SEMANTICS, section 2: the table of trigger rules, row by row, through the engine."""

from __future__ import annotations

from datetime import timedelta

import pytest
from testing.tests.conformance.steps import bad, good, skip

from windlass import DAG, task
from windlass.errors import TaskSkipped
from windlass_testing.virtual import VirtualInstallation

RUNS, SKIPPED, BROKEN = "success", "skipped", "upstream_failed"
#: rule, what happens upstream, what becomes of the task. ``upstream_failed`` upstream is a task behind a failed one.
ROWS = [
    ("all_success", "good good", RUNS),
    ("all_success", "good bad", BROKEN),
    ("all_success", "good broken", BROKEN),
    ("all_success", "good skip", SKIPPED),
    ("all_failed", "bad broken", RUNS),
    ("all_failed", "bad good", SKIPPED),
    ("all_failed", "bad skip", SKIPPED),
    ("all_done", "good bad skip broken", RUNS),
    ("all_skipped", "skip skip", RUNS),
    ("all_skipped", "skip good", SKIPPED),
    ("all_skipped", "skip bad", SKIPPED),
    ("one_success", "bad good", RUNS),
    ("one_success", "skip skip", SKIPPED),
    ("one_success", "skip bad", BROKEN),
    ("one_failed", "good bad", RUNS),
    ("one_failed", "good broken", RUNS),
    ("one_failed", "good skip", SKIPPED),
    ("one_done", "skip good", RUNS),
    ("one_done", "skip bad", RUNS),
    ("one_done", "skip skip", SKIPPED),
    ("none_failed", "good skip", RUNS),
    ("none_failed", "skip skip", RUNS),
    ("none_failed", "good bad", BROKEN),
    ("none_failed_min_one_success", "good skip", RUNS),
    ("none_failed_min_one_success", "skip skip", SKIPPED),
    ("none_failed_min_one_success", "good bad", BROKEN),
    ("none_skipped", "good bad", RUNS),
    ("none_skipped", "good skip", SKIPPED),
    ("always", "bad skip", RUNS),
    ("all_done_min_one_success", "good bad skip", RUNS),
    ("all_done_min_one_success", "skip skip", SKIPPED),
    ("all_done_min_one_success", "skip bad", BROKEN),
    ("all_done_min_one_success", "bad bad", BROKEN),
]
ENDINGS = {"good": good, "bad": bad, "skip": skip}


@pytest.mark.parametrize(("rule", "upstream", "state"), ROWS)
def test_a_rule_does_what_its_row_says(windlass: VirtualInstallation, rule: str, upstream: str, state: str) -> None:
    with DAG("d", schedule=None) as dag:
        judged = good.override(task_id="judged", trigger_rule=rule)()
        for number, ending in enumerate(upstream.split()):
            if ending == "broken":
                bad.override(task_id=f"cause{number}")() >> good.override(task_id=f"up{number}")() >> judged
            else:
                ENDINGS[ending].override(task_id=f"up{number}")() >> judged
    run = windlass.run(dag)
    assert windlass.states(run)["judged"] == state


@pytest.mark.parametrize(("rule", "upstream", "state"), [row for row in ROWS if "broken" not in row[1]])
def test_mapped_upstreams_count_per_expanded_instance(
    windlass: VirtualInstallation, rule: str, upstream: str, state: str
) -> None:
    @task
    def up(ending: str) -> None:
        if ending == "bad":
            raise ValueError(ending)
        if ending == "skip":
            raise TaskSkipped(ending)

    with DAG("d", schedule=None) as dag:
        up.expand(ending=upstream.split()) >> good.override(task_id="judged", trigger_rule=rule)()
    run = windlass.run(dag)
    assert windlass.states(run)["judged"] == state


@pytest.mark.parametrize("rule", sorted({rule for rule, *_ in ROWS}))
def test_a_root_always_runs(windlass: VirtualInstallation, rule: str) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(trigger_rule=rule)()
    assert windlass.states(windlass.run(dag)) == {"good": "success"}


#: rule, how the quick upstream ends, what becomes of the task before the slow one has ended ("none": it waits).
EAGER = [
    ("all_success", "bad", BROKEN),
    ("all_success", "skip", SKIPPED),
    ("all_success", "good", "none"),
    ("all_failed", "good", SKIPPED),
    ("all_failed", "bad", "none"),
    ("all_done", "bad", "none"),
    ("all_skipped", "good", SKIPPED),
    ("all_skipped", "skip", "none"),
    ("one_success", "good", RUNS),
    ("one_success", "bad", "none"),
    ("one_failed", "bad", RUNS),
    ("one_failed", "good", "none"),
    ("one_done", "good", RUNS),
    ("one_done", "bad", RUNS),
    ("one_done", "skip", "none"),
    ("none_failed", "bad", BROKEN),
    ("none_failed", "skip", "none"),
    ("none_failed_min_one_success", "good", "none"),
    ("none_failed_min_one_success", "bad", BROKEN),
    ("none_skipped", "skip", SKIPPED),
    ("none_skipped", "bad", "none"),
    ("always", "good", RUNS),
    ("all_done_min_one_success", "good", "none"),
    ("all_done_min_one_success", "bad", "none"),
]


@pytest.mark.parametrize(("rule", "quick", "state"), EAGER)
def test_a_rule_decides_before_all_is_done_where_its_row_says_so(
    windlass: VirtualInstallation, rule: str, quick: str, state: str
) -> None:
    with DAG("d", schedule=None) as dag:
        up = [ENDINGS[quick].override(task_id="quick")(), good.override(task_id="slow")()]
        up >> good.override(task_id="judged", trigger_rule=rule)()
    windlass.worker.takes("slow", timedelta(hours=1))
    run = windlass.start(dag)
    assert {**windlass.states(run), "quick": ""} == {"quick": "", "slow": "running", "judged": state}


def test_a_failure_or_skip_runs_down_the_whole_graph(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad() >> good.override(task_id="a")() >> good.override(task_id="b")() >> good.override(task_id="c")()
        skip() >> good.override(task_id="x")() >> good.override(task_id="y")()
    states = windlass.states(windlass.run(dag))
    assert {states[name] for name in "abc"} == {"upstream_failed"}
    assert {states[name] for name in "xy"} == {"skipped"}


# --- Setup and teardown

#: setup, the work between, whether the teardown runs.
TEARDOWNS = [
    ("good", "good", RUNS),
    ("good", "bad", RUNS),
    ("good", "skip", RUNS),
    ("bad", "good", BROKEN),
    ("skip", "good", SKIPPED),
]


@pytest.mark.parametrize(("setup", "work", "state"), TEARDOWNS)
def test_a_teardown_runs_if_its_setup_ran(windlass: VirtualInstallation, setup: str, work: str, state: str) -> None:
    with DAG("d", schedule=None) as dag:
        begin = ENDINGS[setup].override(task_id="begin")().as_setup()
        begin >> ENDINGS[work].override(task_id="work")() >> good.override(task_id="end")().as_teardown(setups=begin)
    assert windlass.states(windlass.run(dag))["end"] == state


def test_one_setup_that_went_well_is_enough_for_the_teardown(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        setups = [ENDINGS[name].override(task_id=f"begin_{name}")().as_setup() for name in ENDINGS]
        setups >> good.override(task_id="work")() >> good.override(task_id="end")().as_teardown(setups=setups)
    assert windlass.states(windlass.run(dag))["end"] == "success"


def test_a_teardown_waits_for_everything_between_it_and_its_setup(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        begin = good.override(task_id="begin")().as_setup()
        end = good.override(task_id="end")().as_teardown(setups=begin)
        begin >> [good.override(task_id="quick")(), good.override(task_id="slow")()] >> end
    windlass.worker.takes("slow", timedelta(hours=1))
    run = windlass.start(dag)
    assert windlass.states(run)["end"] == "none"
    windlass.pass_time(timedelta(hours=1))
    assert windlass.states(run)["end"] == "success"


def test_clearing_a_task_runs_its_setup_and_teardown_again(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        begin = good.override(task_id="begin")().as_setup()
        begin >> good.override(task_id="work")() >> good.override(task_id="end")().as_teardown(setups=begin)
    run = windlass.run(dag)
    windlass.clear(run, "work")
    windlass.end_of(run)
    assert [windlass.task(run, name).try_number for name in ("begin", "work", "end")] == [2, 2, 2]
