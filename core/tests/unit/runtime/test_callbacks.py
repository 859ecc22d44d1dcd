"""Callbacks see what ended; all of them are called, whatever one raises, and they change nothing of the task."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type, and authors' values any
from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from windlass import DAG, DeadlineAlert, DeadlineReference, Variable, task
from windlass.errors import TaskFailed
from windlass.interfaces.notifier import Notifier
from windlass.operators import EmptyOperator
from windlass.protocol import Outcome

Context = dict[str, Any]


class Told:
    """Notes the contexts that it was called with."""

    def __init__(self) -> None:
        self.contexts: list[Any] = []

    def __call__(self, context: Any) -> None:
        self.contexts.append(context)


@pytest.fixture
def told() -> Told:
    return Told()


def boom(_: Any) -> None:
    raise ConnectionError("pager is down")


@pytest.mark.parametrize(
    ("event", "state"),
    [("success", "success"), ("failure", "failed"), ("retry", "up_for_retry"), ("skipped", "skipped")],
)
def test_a_tasks_callback_finds_the_state_it_is_about(lab: Any, dag: DAG, told: Told, event: str, state: str) -> None:
    EmptyOperator(task_id="a", **{f"on_{event}_callback": told})  # type: ignore[arg-type]
    ending = lab.finish(dag, "a", callback=event, reason="so it was", params={"size": 3}, try_number=2)
    assert ending.outcome is Outcome.SUCCESS
    [context] = told.contexts
    assert context["ti"].state == state
    assert (context["ti"].try_number, context["params"], context["reason"]) == (2, {"size": 3}, "so it was")
    assert (context["task"].task_id, context["ds"], context["dag"].dag_id) == ("a", "2026-03-01", "d")


def test_the_exception_of_a_failure_says_what_the_tasks_did(lab: Any, dag: DAG, told: Told) -> None:
    EmptyOperator(task_id="a", on_failure_callback=told, on_success_callback=told)
    lab.finish(dag, "a", callback="failure", reason="ValueError: no rain")
    lab.finish(dag, "a", callback="success")
    failure, success = told.contexts
    assert isinstance(failure["exception"], TaskFailed)
    assert str(failure["exception"]) == "ValueError: no rain"
    assert success["exception"] is None


def test_the_task_itself_is_not_run_and_nothing_is_rendered(lab: Any, dag: DAG, told: Told) -> None:
    @task(on_success_callback=told)
    def never(text: str) -> None:
        raise AssertionError("the task ran")

    never("{{ nonsense }}")
    assert lab.finish(dag, "never", callback="success").outcome is Outcome.SUCCESS
    assert lab.session.told == []


def test_all_callbacks_are_called_and_one_that_raises_has_them_called_again(
    lab: Any, dag: DAG, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    EmptyOperator(task_id="a", on_failure_callback=[boom, told])
    with caplog.at_level(logging.INFO):
        ending = lab.finish(dag, "a", callback="failure")
    assert (ending.outcome, ending.reason) == (Outcome.FAIL, "boom: ConnectionError: pager is down")
    assert len(told.contexts) == 1
    assert "on_failure_callback boom failed: pager is down" in caplog.messages


def test_a_notifier_is_a_callback(lab: Any, dag: DAG) -> None:
    class Bell(Notifier):
        rung = 0

        def notify(self, context: Any) -> None:
            Bell.rung += 1

    EmptyOperator(task_id="a", on_failure_callback=Bell())
    assert lab.finish(dag, "a", callback="failure").outcome is Outcome.SUCCESS
    assert Bell.rung == 1


def test_the_fields_of_a_notifier_are_rendered_for_each_call(lab: Any, told: Told) -> None:
    class Mail(Notifier):
        template_fields = ("subject",)

        def __init__(self, subject: str) -> None:
            self.subject = subject

        def notify(self, context: Any) -> None:
            told(self.subject)

    mail = Mail("{{ dag.dag_id }} {{ ds }}: {{ reason }}")
    with DAG("d", on_failure_callback=mail) as dag:
        EmptyOperator(task_id="a", on_failure_callback=mail)
        EmptyOperator(task_id="b", on_failure_callback=Mail("{{ nonsense }}"))
    lab.finish(dag, "a", callback="failure", reason="rain")
    lab.finish(dag, "", callback="run_failure", reason="snow")
    assert told.contexts == ["d 2026-03-01: rain", "d 2026-03-01: snow"]
    ending = lab.finish(dag, "b", callback="failure")
    assert ending.outcome is Outcome.FAIL
    assert "nonsense" in ending.reason


def test_an_instance_of_a_mapped_task_has_its_tasks_callbacks(lab: Any, dag: DAG, told: Told) -> None:
    @task(on_failure_callback=told)
    def each(n: int) -> None:
        raise AssertionError("the task ran")

    each.expand(n=[1, 2])
    lab.finish(dag, "each", 1, callback="failure")
    assert told.contexts[0]["ti"].map_index == 1


def test_a_callback_reads_xcoms_and_variables_and_may_push_no_xcom(lab: Any, dag: DAG) -> None:
    seen = []

    def look(context: Any) -> None:
        seen.extend([context["ti"].xcom_pull("before"), Variable.get("song")])
        context["ti"].xcom_push("late", 1)

    EmptyOperator(task_id="a", on_success_callback=look)
    lab.give("before", "rain")
    lab.session.variables["song"] = "tirili"
    ending = lab.finish(dag, "a", callback="success")
    assert seen == ["rain", "tirili"]
    assert ending.outcome is Outcome.FAIL
    assert "a callback cannot push an XCom" in ending.reason


def test_a_runs_callback_has_the_run_and_no_task(lab: Any, told: Told) -> None:
    with DAG("d", on_failure_callback=[told], on_success_callback=told) as dag:
        EmptyOperator(task_id="a")
    ending = lab.finish(dag, "", callback="run_failure", reason="task a failed", params={"size": 3}, try_number=0)
    assert ending.outcome is Outcome.SUCCESS
    [context] = told.contexts
    assert (context["dag_run"].state, context["run_id"], context["reason"]) == ("failed", "r", "task a failed")
    assert (context["dag"], context["params"], context["ts_nodash"]) == (dag, {"size": 3}, "20260301T000000")
    assert "ti" not in context
    assert "ds" in context
    with pytest.raises(KeyError):
        context["task_instance"]
    assert {name: str(value) for name, value in context.items()}, "every key that is there can be looked at"


def test_a_callback_that_leaves_the_process_is_no_acknowledgement(lab: Any, dag: DAG) -> None:
    EmptyOperator(task_id="a", on_success_callback=lambda _: sys.exit(0))
    with pytest.raises(SystemExit):
        lab.finish(dag, "a", callback="success")


def test_a_missed_deadline_calls_its_own_callbacks_with_the_run_as_it_is(lab: Any, told: Told) -> None:
    reference = DeadlineReference.DAGRUN_QUEUED_AT
    never = DeadlineAlert(reference=reference, interval=60, callback=boom)
    mine = DeadlineAlert(reference=reference, interval=120, callback=told)
    dag = DAG("d", deadline=[never, mine])
    ending = lab.finish(dag, "", callback="run_deadline:1", reason="the run has not ended by its deadline")
    assert ending.outcome is Outcome.SUCCESS
    [context] = told.contexts
    assert (context["reason"], context["dag_run"].state) == ("the run has not ended by its deadline", "queued")
    assert "ti" not in context
