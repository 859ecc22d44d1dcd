"""One attempt: from the facts to its ending."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type, and authors' values any
from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from windlass import DAG, Asset, AssetAlias, BaseOperator, Param, get_current_context, task
from windlass.errors import ContextUnavailable, TaskDeferralTimeout, TaskFailed, TaskReschedule, TaskSkipped
from windlass.operators import BranchPythonOperator, EmptyOperator, PythonOperator, ShortCircuitOperator
from windlass.protocol import AssetEvent, Defer, Outcome, Rendered, Reschedule, XComSet
from windlass.triggers import BaseTrigger, TriggerEvent


def test_the_result_becomes_an_xcom_and_times_are_stamped(lab: Any, dag: DAG) -> None:
    @task
    def one() -> object:
        return {"a": [1, 2.5, None, True, "é"]}

    one()
    before = datetime.now(UTC)
    ending = lab.finish(dag, "one")
    assert ending.outcome is Outcome.SUCCESS
    assert before <= ending.started_at <= ending.ended_at <= datetime.now(UTC)
    assert ending.duration >= 0
    [message] = lab.session.told
    assert isinstance(message, XComSet)
    assert (message.key, message.value.codec, message.value.length) == ("return_value", "json", 1)
    assert lab.value(dag, "one") == {"a": [1, 2.5, None, True, "é"]}


def test_none_and_do_xcom_push_false_store_nothing(lab: Any, dag: DAG) -> None:
    EmptyOperator(task_id="nothing")
    PythonOperator(task_id="silent", python_callable=lambda: 5, do_xcom_push=False)
    for task_id in ("nothing", "silent"):
        assert lab.finish(dag, task_id).outcome is Outcome.SUCCESS
    assert lab.session.told == []


def test_multiple_outputs_store_each_key(lab: Any, dag: DAG) -> None:
    @task
    def both() -> dict[str, int]:
        return {"x": 1, "y": 2}

    @task
    def use(x: int, y: int) -> int:
        return x * 10 + y

    made = both()
    use(made["x"], made["y"])
    assert lab.value(dag, "both") == {"x": 1, "y": 2}
    assert lab.value(dag, "use") == 12


@pytest.mark.parametrize(
    ("made", "message"), [([1], "returned a list; return a dict"), ({1: 2}, "keys must be text, not 1")]
)
def test_multiple_outputs_need_a_dict_with_text_keys(lab: Any, dag: DAG, made: object, message: str) -> None:
    PythonOperator(task_id="t", python_callable=lambda: made, multiple_outputs=True)
    ending = lab.finish(dag, "t")
    assert ending.outcome is Outcome.FAIL
    assert message in ending.reason


def test_a_missing_key_names_task_and_key(lab: Any, dag: DAG) -> None:
    @task
    def use(x: int) -> None: ...

    use(EmptyOperator(task_id="e").output["k"])
    assert "task 'e' has no XCom 'k'" in lab.finish(dag, "use").reason


class TestEndings:
    def _end(self, lab: Any, dag: DAG, error: BaseException) -> Any:
        def end() -> NoReturn:
            raise error

        PythonOperator(task_id="t", python_callable=end)
        return lab.run(dag, "t")

    def test_skipped(self, lab: Any, dag: DAG) -> None:
        ending = self._end(lab, dag, TaskSkipped("nothing new"))
        assert (ending.outcome, ending.reason) == (Outcome.SKIP, "nothing new")

    def test_failed_without_retry(self, lab: Any, dag: DAG) -> None:
        ending = self._end(lab, dag, TaskFailed("bad data"))
        assert (ending.outcome, ending.reason) == (Outcome.FAIL_NO_RETRY, "TaskFailed: bad data")

    def test_an_exception_is_one_line_of_reason(self, lab: Any, dag: DAG) -> None:
        ending = self._end(lab, dag, ValueError("first line\nsecond line"))
        assert (ending.outcome, ending.reason) == (Outcome.FAIL, "ValueError: first line")

    def test_a_missing_library_of_a_provider_is_named_with_the_way_to_install_it(
        self, lab: Any, dag: DAG, shop: Any
    ) -> None:
        PythonOperator(task_id="t", python_callable=lambda: shop("till").get_conn())
        assert lab.run(dag, "t").reason == (
            "connection 'till' needs shop_client, which cannot be imported (No module named 'shop_client'): "
            "`pip install acme-shop`"
        )

    def test_a_missing_module_of_the_authors_is_an_exception_like_any(self, lab: Any, dag: DAG) -> None:
        def task() -> None:
            import no_such_module  # type: ignore[import-not-found]  # noqa: F401

        PythonOperator(task_id="t", python_callable=task)
        assert lab.run(dag, "t").reason == "ModuleNotFoundError: No module named 'no_such_module'"

    def test_a_long_reason_is_short(self, lab: Any, dag: DAG) -> None:
        assert len(self._end(lab, dag, ValueError("x" * 9999)).reason) <= 501

    @pytest.mark.parametrize("code", [0, 1, None])
    def test_exit_is_a_failure_whatever_its_code(self, lab: Any, dag: DAG, code: object) -> None:
        ending = self._end(lab, dag, SystemExit(code))
        assert ending.outcome is Outcome.FAIL
        assert f"exit({code!r})" in ending.reason

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, RecursionError, GeneratorExit])
    def test_whatever_else_is_a_failure(self, lab: Any, dag: DAG, kind: type[BaseException]) -> None:
        assert self._end(lab, dag, kind()).outcome is Outcome.FAIL

    def test_an_exception_that_cannot_be_shown(self, lab: Any, dag: DAG) -> None:
        class Shy(Exception):
            def __str__(self) -> str:
                raise RuntimeError

        assert self._end(lab, dag, Shy()).outcome is Outcome.FAIL

    def test_rescheduled(self, lab: Any, dag: DAG) -> None:
        at = datetime(2026, 3, 2, tzinfo=UTC)
        ending = self._end(lab, dag, TaskReschedule(at))
        assert isinstance(ending, Reschedule)
        assert (ending.at, ending.first_poke) == (at, ending.started_at)

    def test_the_task_is_not_in_the_dag(self, lab: Any, dag: DAG) -> None:
        assert "has no task 'gone'" in lab.finish(dag, "gone").reason

    def test_the_log_shows_the_users_frames_only(self, lab: Any, dag: DAG, caplog: pytest.LogCaptureFixture) -> None:
        self._end(lab, dag, ValueError("boom"))
        [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert record.exc_info is not None
        text = logging.Formatter().formatException(record.exc_info)
        assert "ValueError: boom" in text
        assert "windlass/runtime" not in text
        assert "windlass/authoring" not in text

    def test_sigterm_lets_the_operator_clean_up(self, lab: Any, dag: DAG) -> None:
        killed = []

        class Remote(BaseOperator):
            def execute(self, context: Any) -> None:
                raise SystemExit(143)

            def on_kill(self) -> None:
                killed.append(self.task_id)

        Remote(task_id="t")
        assert lab.finish(dag, "t").outcome is Outcome.FAIL
        assert killed == ["t"]


class Waiting(BaseTrigger):
    """A trigger, as far as the attempt is concerned."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "waiting", {"seconds": 5}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent()


class Deferring(BaseOperator):
    def execute(self, context: Any) -> None:
        self.defer(trigger=Waiting(), method_name="resume", kwargs={"n": (1, 2)}, timeout=timedelta(seconds=9))

    def resume(self, context: Any, event: Any, n: Any) -> Any:
        return [event, n]


def test_a_deferral_and_its_resumption(lab: Any, dag: DAG) -> None:
    Deferring(task_id="t")
    ending = lab.run(dag, "t")
    assert isinstance(ending, Defer)
    assert (ending.trigger, ending.method, ending.timeout) == (f"{__name__}.Waiting", "resume", 9.0)
    assert ending.trigger_kwargs.preview == ending.kwargs.preview == "", "nobody is shown what may be private"
    lab.give("event", "done")
    event = lab.session.xcoms["d", "r", "event", "return_value"][-1]
    assert lab.value(dag, "t", resume_method="resume", resume_kwargs=ending.kwargs, resume_event=event) == [
        "done",
        (1, 2),
    ]


@pytest.mark.parametrize("timed_out", [False, True])
def test_a_deferral_without_an_event_fails_where_it_would_have_resumed(lab: Any, dag: DAG, timed_out: bool) -> None:
    Deferring(task_id="t")
    facts = {"resume_method": "resume", "resume_failure": "its trigger failed: no", "resume_timed_out": timed_out}
    ending = lab.finish(dag, "t", **facts)
    name = "TaskDeferralTimeout" if timed_out else "TaskDeferralError"
    assert (ending.outcome, ending.reason) == (Outcome.FAIL, f"{name}: its trigger failed: no")


def test_an_operator_may_take_a_failed_deferral_into_its_own_hands(lab: Any, dag: DAG) -> None:
    class Patient(Deferring):
        def resume_execution(self, next_method: str, next_kwargs: Any, context: Any) -> Any:
            try:
                return super().resume_execution(next_method, next_kwargs, context)
            except TaskDeferralTimeout as error:
                return f"never mind: {error}"

    Patient(task_id="t")
    facts = {"resume_method": "resume", "resume_failure": "too late", "resume_timed_out": True}
    assert lab.value(dag, "t", **facts) == "never mind: too late"


def test_resuming_calls_no_dunder(lab: Any, dag: DAG) -> None:
    Deferring(task_id="t")
    assert "no method '__init__'" in lab.finish(dag, "t", resume_method="__init__").reason


class TestCallables:
    def test_they_get_the_context_they_name(self, lab: Any, dag: DAG) -> None:
        PythonOperator(task_id="t", python_callable=lambda ds, *, try_number: [ds, try_number])
        assert lab.value(dag, "t") == ["2026-03-01", 1]

    def test_or_all_of_it(self, lab: Any, dag: DAG) -> None:
        def use(a: int, **context: Any) -> list[Any]:
            return [a, context["run_id"], "a" in context, len(context) > 30]

        PythonOperator(task_id="t", python_callable=use, op_args=[5])
        assert lab.value(dag, "t") == [5, "r", False, True]

    def test_given_arguments_win(self, lab: Any, dag: DAG) -> None:
        PythonOperator(task_id="t", python_callable=lambda ds: ds, op_kwargs={"ds": "mine"})
        assert lab.value(dag, "t") == "mine"

    def test_bound_methods_and_callable_objects(self, lab: Any, dag: DAG) -> None:
        class Adder:
            def add(self, x: int, ds: str) -> str:
                return f"{x} {ds}"

            def __call__(self, ds: str) -> str:
                return ds

        PythonOperator(task_id="bound", python_callable=Adder().add, op_args=[1])
        PythonOperator(task_id="called", python_callable=Adder())
        assert lab.value(dag, "bound") == "1 2026-03-01"
        assert lab.value(dag, "called") == "2026-03-01"

    def test_a_decorated_function_fills_what_was_left_out(self, lab: Any, dag: DAG) -> None:
        @task
        def use(x: int, ti: Any = None, ds: str = "never") -> list[Any]:
            return [x, ti.task_id, ds]

        use(1)
        assert lab.value(dag, "use") == [1, "use", "2026-03-01"]

    def test_the_current_context(self, lab: Any, dag: DAG) -> None:
        PythonOperator(task_id="t", python_callable=lambda: get_current_context()["task"].task_id)
        assert lab.value(dag, "t") == "t"
        with pytest.raises(ContextUnavailable):
            get_current_context()


class TestDecisions:
    def _fork(self, dag: DAG, operator: BaseOperator) -> None:
        left, right, join = (EmptyOperator(task_id=name) for name in ("left", "right", "join"))
        operator >> [left, right] >> join

    def test_a_branch(self, lab: Any, dag: DAG) -> None:
        self._fork(dag, BranchPythonOperator(task_id="t", python_callable=lambda: "left"))
        assert lab.finish(dag, "t").skip_targets == ("right",)
        assert lab.value(dag, "t") == "left"

    def test_an_unknown_branch_fails_with_the_valid_ones(self, lab: Any, dag: DAG) -> None:
        self._fork(dag, BranchPythonOperator(task_id="t", python_callable=lambda: "up"))
        assert "It can choose left, right" in lab.finish(dag, "t").reason

    def test_a_short_circuit(self, lab: Any, dag: DAG) -> None:
        self._fork(dag, ShortCircuitOperator(task_id="t", python_callable=list))
        assert lab.finish(dag, "t").skip_targets == ("join", "left", "right")

    def test_a_short_circuit_that_respects_trigger_rules(self, lab: Any, dag: DAG) -> None:
        circuit = ShortCircuitOperator(
            task_id="t", python_callable=lambda: False, ignore_downstream_trigger_rules=False
        )
        self._fork(dag, circuit)
        assert lab.finish(dag, "t").skip_targets == ("left", "right")

    def test_a_truthy_circuit_skips_nothing(self, lab: Any, dag: DAG) -> None:
        self._fork(dag, ShortCircuitOperator(task_id="t", python_callable=lambda: "yes"))
        assert lab.finish(dag, "t").skip_targets == ()

    def test_run_if_and_skip_if(self, lab: Any, dag: DAG) -> None:
        @task.run_if(lambda context: context["run_id"] == "other", "not this run")
        @task
        def never() -> None: ...

        @task.skip_if(lambda context: context["run_id"] == "other")
        @task
        def always() -> int:
            return 1

        never()
        always.expand_kwargs([{}])
        ending = lab.finish(dag, "never")
        assert (ending.outcome, ending.reason) == (Outcome.SKIP, "not this run")
        assert lab.value(dag, "always", 0) == 1


def test_params_task_over_dag_overridden_and_joined_by_conf(lab: Any) -> None:
    with DAG("d", params={"a": 1, "b": Param(2), "c": 3}) as dag:
        PythonOperator(task_id="t", python_callable=lambda params: {**params}, params={"b": 20, "c": 30})
    assert lab.value(dag, "t", conf={"c": 300, "new": 1}) == {"a": 1, "b": 20, "c": 300, "new": 1}


@pytest.mark.parametrize("is_ready", [False, True])
def test_hooks_run_around_execute(lab: Any, dag: DAG, is_ready: bool) -> None:
    steps = []

    class Stepping(BaseOperator):
        def pre_execute(self, context: Any) -> None:
            steps.append("pre")

        def execute(self, context: Any) -> int:
            steps.append("execute")
            return 5

        def post_execute(self, context: Any, result: Any = None) -> None:
            steps.append(f"post {result}")

    operator = Stepping(task_id="t", on_execute_callback=[lambda _: steps.append("callback"), lambda _: 1 / 0])
    if is_ready:
        operator.get_ready()
    assert lab.value(dag, "t") == 5
    assert steps == ["callback", "pre", "execute", "post 5"]


def test_assets_are_announced_by_success(lab: Any, dag: DAG) -> None:
    orders, alias = Asset("orders", extra={"v": 1}), AssetAlias("found")

    @task(outlets=[orders, alias])
    def load(outlet_events: Any = None) -> None:
        outlet_events[orders].extra["rows"] = 7
        outlet_events[alias].add(Asset("late"), extra={"x": 1})

    load()
    assert lab.finish(dag, "load").outlets == (
        AssetEvent(uri="orders", extra={"v": 1, "rows": 7}),
        AssetEvent(uri="late", extra={"x": 1}, alias="found"),
    )


def test_a_failure_announces_nothing(lab: Any, dag: DAG) -> None:
    @task(outlets=[Asset("orders")])
    def load() -> None:
        raise ValueError

    load()
    assert lab.finish(dag, "load").outlets == ()


def test_a_second_attempt_in_the_same_process_renders_anew(lab: Any, dag: DAG) -> None:
    PythonOperator(task_id="t", python_callable=lambda x: x, op_kwargs={"x": "{{ try_number }}"})
    assert [lab.value(dag, "t", try_number=number) for number in (1, 2)] == ["1", "2"]


def test_a_map_index_template_is_rendered_after_the_task(lab: Any, dag: DAG) -> None:
    @task(map_index_template="{{ label }}")
    def each(x: str) -> None:
        get_current_context()["label"] = f"<{x}>"  # type: ignore[index]

    each.expand(x=["a", "b"])
    lab.finish(dag, "each", 1)
    labels = [message.map_index_label for message in lab.session.told if isinstance(message, Rendered)]
    assert labels == [None, "<b>"]


@pytest.mark.budget
def test_an_ordinary_task_imports_nothing_after_the_fork(tmp_path: Path) -> None:
    file = tmp_path / "probe.py"
    file.write_text(_PROBE)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


_PROBE = """
from __future__ import annotations
import sys
from datetime import UTC, datetime
from windlass.runtime import attempt
attempt.preload()
from windlass import DAG, task
with DAG("d") as dag:
    @task
    def one():
        return [1]
    @task
    def two(x, ds=None, ti=None) -> dict:
        ti.log.debug("x")
        return {"x": x, "when": datetime.now(UTC)}
    @task.branch
    def choose(): return "two"
    @task
    def broken(): raise ValueError("x")
    two(one())
    choose() >> broken()
    two.expand(x=[1, 2])
attempt.prepare([dag])
from windlass.protocol import AttemptContext, XComValue
class Session:
    context = None
    def ask(self, verb): return [[-1, XComValue(codec="json", data=b"[1]", size=3, length=1)]]
    def tell(self, verb): pass
now = datetime.now(UTC)
def facts(task_id, map_index=-1):
    when = dict(logical_date=now, data_interval_start=now, data_interval_end=now, run_after=now)
    which = dict(dag_id="d", run_id="r", task_id=task_id, map_index=map_index, try_number=1, max_tries=0)
    return AttemptContext(epoch=1, lease_id="l", run_type="manual", **which, **when)
before = set(sys.modules)
for task_id, index in [("one", -1), ("two", -1), ("choose", -1), ("broken", -1), ("two__1", 1)]:
    attempt.run_attempt(dag, facts(task_id, index), Session())
print(*sorted(set(sys.modules) - before))
"""
