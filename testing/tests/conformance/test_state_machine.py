"""Anything that people, time and accidents do to some runs, in any order, comes out as a small model says.

The engine is the real one over SQL, with its invariants checked at every commit; the model (``model.py``) is a page of
dictionaries. ``WINDLASS_CONFORMANCE_EXAMPLES`` sets how many histories are tried; a nightly run tries many.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import os
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from testing.tests.conformance import model

from windlass import DAG, task
from windlass.authoring import scope
from windlass.control import RunRow
from windlass.errors import TaskDeferred, TaskFailed, TaskSkipped
from windlass.operators import BaseOperator, Context
from windlass.states import RunState, TaskState
from windlass.triggers import TimeDeltaTrigger
from windlass_testing.virtual import VirtualInstallation

#: Shrinking a failure takes minutes, so only a run that asks for many histories does it.
EXAMPLES = int(os.environ.get("WINDLASS_CONFORMANCE_EXAMPLES", "0"))
# Where the tables are on a server, each of the many statements is a trip.
pytestmark = pytest.mark.timeout(max(600, 2 * EXAMPLES))
PHASES = [phase for phase in Phase if EXAMPLES or phase is not Phase.shrink]
ENDINGS = st.sampled_from(["good", "good", "bad", "hard", "skip"])
WITH_DEFERRALS = st.lists(st.sampled_from(["defer", "defer", "good", "bad"]), max_size=3)
SCRIPTS = st.fixed_dictionaries(
    {**{name: st.lists(ENDINGS, max_size=3) for name in ("first", "each0", "each1")}, "join": WITH_DEFERRALS}
)


def end(context: Any) -> None:
    """End as the script of the run says."""
    ti, script = context["ti"], context["dag_run"].conf["script"]
    endings = script.get(ti.task_id if ti.map_index < 0 else f"{ti.task_id}{ti.map_index}", [])
    match endings[ti.try_number - 1] if ti.try_number <= len(endings) else "good":
        case "bad":
            raise ValueError("bad")
        case "hard":
            raise TaskFailed("hard")
        case "skip":
            raise TaskSkipped("skip")
        case "defer":
            raise TaskDeferred(
                trigger=TimeDeltaTrigger(timedelta(seconds=model.DEFERRAL)), method_name="resumed", kwargs=None
            )


class Joining(BaseOperator):
    """A task that may defer before it ends."""

    def execute(self, context: Context) -> None:
        end(context)

    def resumed(self, context: Context, event: object) -> None:
        """Be content."""


def scripted() -> DAG:
    """Return the DAG that the model knows."""
    with DAG("d", schedule=None, max_active_runs=model.MAX_ACTIVE_RUNS) as dag:

        @task(retries=model.RETRIES["first"], retry_delay=model.RETRY_DELAY)
        def first(**context: Any) -> list[int]:
            end(context)
            return list(range(context["dag_run"].conf["length"]))

        @task
        def each(number: int, **context: Any) -> None:
            end(context)

        mapped = each.expand(number=first())
        join = Joining(task_id="join", trigger_rule=model.RULES["join"])
        alarm, last = (
            task(task_id=name, trigger_rule=model.RULES[name])(lambda **context: end(context))()
            for name in ("alarm", "last")
        )
        mapped >> join
        [dag.get_task("first"), mapped] >> alarm >> last
    return dag


class Histories(RuleBasedStateMachine):
    """The engine and the model, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="windlass-conformance-"))
        self.windlass = VirtualInstallation(self.folder)
        self.model = model.Model()
        self.runs: dict[str, RunRow] = {}

    @initialize(script=SCRIPTS, length=st.integers(0, 2))
    def begin(self, script: dict[str, list[str]], length: int) -> None:
        with scope.detached():
            self.windlass.add(scripted())
        for name, seconds in model.DURATION.items():
            self.windlass.worker.takes(name, timedelta(seconds=seconds))
        self.trigger(script, length)

    def teardown(self) -> None:
        self.windlass.close()
        shutil.rmtree(self.folder)

    def settle(self) -> None:
        self.windlass.settle()
        self.model.settle()

    def pick(self, number: int) -> tuple[model.Run, RunRow]:
        """Return one of the runs, in the model and in the engine."""
        run = self.model.runs[number % len(self.model.runs)]
        return run, self.runs[run.run_id]

    # --- People

    @precondition(lambda self: len(self.model.runs) < 3)
    @rule(script=SCRIPTS, length=st.integers(0, 2))
    def trigger(self, script: dict[str, list[str]], length: int) -> None:
        run_id = f"run{len(self.runs)}"
        self.runs[run_id] = self.windlass.trigger("d", run_id=run_id, conf={"script": script, "length": length})
        self.model.runs.append(model.Run(run_id, script, length))
        self.settle()

    @rule(number=st.integers(0, 3), names=st.sets(st.sampled_from(list(model.UPSTREAM)), min_size=1))
    def clear(self, number: int, names: set[str]) -> None:
        run, row = self.pick(number)
        self.windlass.clear(row, f"^({'|'.join(sorted(names))})$")
        self.model.clear(run, names)
        self.settle()

    @rule(number=st.integers(0, 3), name=st.sampled_from(list(model.UPSTREAM)[1:]), well=st.booleans())
    def mark(self, number: int, name: str, well: bool) -> None:
        run, row = self.pick(number)
        state = TaskState.SUCCESS if well else TaskState.FAILED
        selected = self.windlass.control.tasks.select("d", run_ids=[row.run_id], task_regex=f"^{name}$")
        self.windlass.control.tasks.mark(selected, state, actor="somebody")
        self.model.mark(run, name, state.value)
        self.settle()

    @rule(number=st.integers(0, 3), well=st.booleans())
    def mark_run(self, number: int, well: bool) -> None:
        run, row = self.pick(number)
        state = RunState.SUCCESS if well else RunState.FAILED
        self.windlass.control.runs.mark("d", row.run_id, state, actor="somebody")
        self.model.mark_run(run, state.value)
        self.settle()

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.windlass.control.dags.set_paused("d", paused=paused, actor="somebody")
        self.model.paused = paused
        self.settle()

    # --- Time and accidents

    @rule(minutes=st.integers(1, 5))
    def tick(self, minutes: int) -> None:
        """Let time pass; everything takes half-minutes, so nothing happens between two steps of the model."""
        for _ in range(minutes * 2):
            self.windlass.pass_time(timedelta(seconds=30))
            self.model.now += 30
            self.model.settle()

    @rule()
    def scheduler_dies(self) -> None:
        self.windlass.restart_scheduler()
        self.settle()

    @rule()
    def supervisor_dies(self) -> None:
        self.windlass.worker.crash()
        self.model.lose()
        self.settle()

    # --- What must hold

    @invariant()
    def both_say_the_same(self) -> None:
        for run in self.model.runs:
            row = self.runs[run.run_id]
            tasks = self.windlass.control.tasks.of_run("d", row.run_id)
            states = {
                item.task_id if item.map_index < 0 else f"{item.task_id}[{item.map_index}]": (
                    str(item.state),
                    item.try_number,
                )
                for item in tasks
            }
            assert (str(self.windlass.now(row).state), states) == (run.state, run.states())


Histories.TestCase.settings = settings(
    max_examples=EXAMPLES or 60,
    stateful_step_count=25,
    phases=PHASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
test_every_history_comes_out_as_the_model_says = Histories.TestCase
