"""SEMANTICS, section 2: callbacks and notifiers run at least once, also when the task was killed."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from testing.tests.conformance.steps import bad, good, skip

from windlass import DAG, TaskGroup, task
from windlass.backends import Notifier
from windlass_testing.virtual import VirtualInstallation

Told = list[tuple[Any, ...]]


def tell(told: Told, word: str) -> Callable[[Any], None]:
    """Return a callback that notes what it was told."""

    def callback(context: Any) -> None:
        told.append((word, context["ti"].task_id, context["ti"].try_number, context["reason"]))

    return callback


def test_success_calls_on_success_callback(windlass: VirtualInstallation) -> None:
    told: Told = []
    with DAG("d", schedule=None) as dag:
        good.override(on_success_callback=tell(told, "well"), on_failure_callback=tell(told, "never"))()
    windlass.run(dag)
    assert told == [("well", "good", 1, "")]


def test_retry_and_failure_call_their_callbacks_and_say_why(windlass: VirtualInstallation) -> None:
    told: Told = []
    with DAG("d", schedule=None) as dag:
        bad.override(retries=1, on_retry_callback=tell(told, "again"), on_failure_callback=tell(told, "failed"))()
    windlass.run(dag)
    reason = "ValueError: it is bad"
    assert told == [("again", "bad", 1, reason), ("failed", "bad", 2, reason)]


def test_a_skip_calls_on_skipped_callback(windlass: VirtualInstallation) -> None:
    told: Told = []
    with DAG("d", schedule=None) as dag:
        skip.override(on_skipped_callback=tell(told, "skipped"))()
    windlass.run(dag)
    assert told == [("skipped", "skip", 1, "nothing to do")]


def test_on_execute_callback_is_called_in_the_task_before_it_runs(windlass: VirtualInstallation) -> None:
    order: list[str] = []

    @task(on_execute_callback=lambda context: order.append("callback"))
    def step() -> None:
        order.append("task")

    with DAG("d", schedule=None) as dag:
        step()
    windlass.run(dag)
    assert order == ["callback", "task"]


def test_a_killed_task_has_its_failure_callback_with_the_true_reason(windlass: VirtualInstallation) -> None:
    told: Told = []
    with DAG("d", schedule=None) as dag:
        good.override(on_failure_callback=tell(told, "failed"))()
    windlass.worker.kill("good", "the task's process was killed by the kernel: out of memory")
    windlass.run(dag)
    assert told == [("failed", "good", 1, "the task's process was killed by the kernel: out of memory")]


def test_a_timeout_calls_the_failure_callback(windlass: VirtualInstallation) -> None:
    told: Told = []
    with DAG("d", schedule=None) as dag:
        good.override(execution_timeout=60, on_failure_callback=tell(told, "failed"))()
    windlass.worker.takes("good", timedelta(minutes=2))
    windlass.run(dag)
    assert told == [("failed", "good", 1, "it ran longer than its execution_timeout of 60 s")]


@pytest.mark.parametrize(("ending", "word"), [(good, "success"), (bad, "failure")], ids=["success", "failure"])
def test_a_run_has_callbacks_of_its_own(windlass: VirtualInstallation, ending: Any, word: str) -> None:
    told: list[tuple[str, str, bool]] = []

    def note(kind: str) -> Callable[[Any], None]:
        return lambda context: told.append((kind, context["dag_run"].run_id, "ti" in context))

    with DAG("d", schedule=None, on_success_callback=note("success"), on_failure_callback=note("failure")) as dag:
        ending()
    run = windlass.run(dag)
    assert told == [(word, run.run_id, False)]


def test_a_callback_that_raises_is_called_again_and_the_others_are_not_spared(windlass: VirtualInstallation) -> None:
    told: list[str] = []

    def stubborn(context: Any) -> None:
        told.append("stubborn")
        if told.count("stubborn") == 1:
            raise ValueError("the line is busy")

    with DAG("d", schedule=None) as dag:
        good.override(on_success_callback=[stubborn, lambda context: told.append("other")])()
    windlass.run(dag)
    windlass.pass_time(timedelta(days=1))
    assert told == ["stubborn", "other", "stubborn", "other"]


def test_a_notifier_is_a_callback_whose_fields_are_templates(windlass: VirtualInstallation) -> None:
    sent: list[str] = []

    class Postcard(Notifier):
        template_fields = ("text",)

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

        def notify(self, context: Any) -> None:
            sent.append(self.text)

    with DAG("d", schedule=None) as dag:
        bad.override(on_failure_callback=Postcard("{{ ti.task_id }} of {{ ds }}: {{ reason }}"))()
    windlass.run(dag)
    assert sent == ["bad of 2026-03-01: ValueError: it is bad"]


def test_callbacks_of_default_args_reach_every_task(windlass: VirtualInstallation) -> None:
    told: Told = []
    with DAG("d", schedule=None, default_args={"on_success_callback": tell(told, "well")}) as dag, TaskGroup("g"):
        good() >> good.override(task_id="other")()
    windlass.run(dag)
    assert [(word, name) for word, name, *_ in told] == [("well", "g.good"), ("well", "g.other")]


def test_callbacks_are_called_after_a_restart_of_the_scheduler(windlass: VirtualInstallation) -> None:
    told: Told = []
    with DAG("d", schedule=None) as dag:
        good.override(on_success_callback=tell(told, "well"))()
    windlass.add(dag)
    run = windlass.trigger("d")
    windlass.settle()
    windlass.restart_scheduler()
    windlass.end_of(run)
    assert [word for word, *_ in told] == ["well"]
