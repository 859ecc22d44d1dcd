"""`dag.test()` and `run_task`: in this process, in virtual time, with everything to assert on."""

# ruff: noqa: ANN401, T201 - tasks as their authors write them

# ruff: noqa: ANN401 - what a context holds is untyped for authors

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass import (
    DAG,
    Asset,
    AssetAlias,
    DeadlineAlert,
    DeadlineReference,
    Variable,
    get_current_context,
    task,
    task_group,
)
from windlass.app.clocks import VirtualClock
from windlass.app.inproc.testing import run_task
from windlass.errors import ParamInvalid, TaskFailed, TaskNotFound, TaskSkipped, UsageError
from windlass.hooks import BaseHook, mask_secret
from windlass.operators import (
    BaseBranchOperator,
    EmptyOperator,
    LatestOnlyOperator,
    PythonOperator,
    ShortCircuitOperator,
)
from windlass.sensors import DateTimeSensor, PythonSensor

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("schedule", ["@daily", "@once", "@continuous", None])
def test_a_schedule_makes_no_run_beside_the_one_that_is_tested(schedule: str | None) -> None:
    ran: list[str] = []
    with DAG("scheduled", schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_runs=1) as dag:

        @task
        def note(run_id: str) -> None:
            ran.append(run_id)

        note()
    result = dag.test()
    assert result.state == "success"
    assert ran == [result.run_id]


class TestAssets:
    def test_what_tasks_say_of_their_outlets_is_in_the_result_and_readable_downstream(self) -> None:
        orders, found = Asset("orders", "s3://shop/orders"), AssetAlias("found")
        with DAG("producer") as dag:

            @task(outlets=[orders, found])
            def load(outlet_events: Any = None) -> None:
                outlet_events[orders].extra["rows"] = 7
                outlet_events[found].add(Asset("late"), extra={"n": 1})

            @task(inlets=[orders, found])
            def read(inlet_events: Any = None) -> list[Any]:
                return [inlet_events[orders][-1].extra, inlet_events["found"][0].uri, len(inlet_events["orders"])]

            load() >> read()
        result = dag.test()
        assert [(e.uri, e.alias, e.extra, e.source_task_id) for e in result.asset_events] == [
            ("s3://shop/orders", None, {"rows": 7}, "load"),
            ("late", "found", {"n": 1}, "load"),
        ]
        assert result.xcom("read") == [{"rows": 7}, "late", 1]

    def test_a_consumer_is_tested_with_the_events_that_trigger_it(self) -> None:
        orders = Asset("orders", "s3://shop/orders")
        with DAG("consumer", schedule=[orders]) as dag:

            @task
            def count(triggering_asset_events: Any = None) -> dict[str, int]:
                return {a.name: sum(e.extra["rows"] for e in es) for a, es in triggering_asset_events.items()}

            count()
        result = dag.test(asset_events={orders: [{"rows": 1}, {"rows": 2}], "rates": {"rows": 5}})
        assert result.run_id.startswith("asset_triggered__")
        assert result.xcom("count") == {"orders": 3, "rates": 5}
        assert dag.test().xcom("count") == {}


def test_the_result_holds_states_xcoms_rendered_fields_logs_and_variables() -> None:
    with DAG("d", params={"who": "world"}) as dag:

        @task
        def greet(text: str) -> dict[str, int]:
            print(text)
            logging.getLogger("mine").info("logged")
            get_current_context()["ti"].xcom_push("extra", 7)
            Variable.set("seen", "yes")
            return {"length": len(text)}

        greet("hello {{ params.who }} on {{ ds }}")
    result = dag.test(logical_date=DAY, conf={"who": "Ada"})
    assert (result.dag_id, result.run_id) == ("d", "manual__2026-03-01T00:00:00+00:00")
    assert (result.state, result.states) == ("success", {"greet": "success"})
    assert result.reason == "every task at the end of the graph succeeded or was skipped"
    assert result.xcom("greet") == {"length": 23}
    assert result.xcom("greet", "extra") == 7
    assert result.xcom("greet", "nope") is None
    assert result.rendered("greet")["op_args"] == ["hello Ada on 2026-03-01"]
    assert "hello Ada on 2026-03-01\n" in result.log("greet")
    assert "INFO mine: logged" in result.log("greet")
    assert result.variables == {"seen": "yes"}
    assert result.task("greet").try_number == 1
    with pytest.raises(TaskNotFound, match="the run has no 'nope'; it has greet"):
        result.task("nope")


def test_the_same_test_comes_out_the_same() -> None:
    def outcome() -> list[tuple[str, str, int]]:
        with DAG("d", auto_register=False) as dag:
            first = EmptyOperator(task_id="first")
            first >> [EmptyOperator(task_id=f"t{number}") for number in range(20)]
        return [(found.task_id, found.state, found.try_number) for found in dag.test(logical_date=DAY).tasks]

    assert outcome() == outcome()


# --- Time


def test_retries_come_at_once_and_a_day_of_virtual_time_passes() -> None:
    clock = VirtualClock(DAY)
    seen: list[datetime] = []
    with DAG("d") as dag:

        @task(retries=2, retry_delay=timedelta(hours=12))
        def flaky(ti: Any = None) -> None:
            seen.append(ti.start_date)
            if ti.try_number < 3:
                raise RuntimeError("not yet")

        flaky()
    began = time.monotonic()
    result = dag.test(clock=clock)
    assert time.monotonic() - began < 60
    assert result.task("flaky").try_number == 3
    assert seen == [DAY, DAY + timedelta(hours=12), DAY + timedelta(hours=24)]


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_sensor_waits_in_virtual_time(mode: str) -> None:
    clock = VirtualClock(DAY)
    with DAG("d") as dag:
        DateTimeSensor(task_id="s", target_time=DAY + timedelta(days=2), mode=mode)
    assert dag.test(clock=clock).states == {"s": "success"}
    assert timedelta(days=2) <= clock.now() - DAY <= timedelta(days=2, minutes=2)


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_sensor_times_out_in_virtual_time(mode: str) -> None:
    clock = VirtualClock(DAY)
    with DAG("d") as dag:
        PythonSensor(task_id="s", python_callable=lambda: False, mode=mode, timeout=3600, poke_interval=600)
    result = dag.test(clock=clock)
    assert result.states == {"s": "failed"}
    assert "timed out" in result.task("s").reason
    assert timedelta(hours=1) <= clock.now() - DAY <= timedelta(hours=1, minutes=11)


def test_what_looks_at_the_clock_sees_the_virtual_one() -> None:
    with DAG("d", schedule="@daily", start_date=DAY) as dag:
        LatestOnlyOperator(task_id="latest") >> EmptyOperator(task_id="after")
    assert dag.test(logical_date=DAY, clock=VirtualClock(DAY)).states["after"] == "success"


# --- Branches, mapping, groups, setups


def test_branches_short_circuits_and_their_joins() -> None:
    with DAG("d", params={"size": 1}) as dag:

        @task.branch
        def choose(params: Any = None) -> str:
            return "big" if params["size"] > 10 else "small"

        big, small = EmptyOperator(task_id="big"), EmptyOperator(task_id="small")
        join = EmptyOperator(task_id="join", trigger_rule="none_failed_min_one_success")
        choose() >> [big, small] >> join
        join >> ShortCircuitOperator(task_id="stop", python_callable=lambda: False) >> EmptyOperator(task_id="end")
    assert dag.test(conf={"size": 50}).states == {
        "choose": "success", "big": "success", "small": "skipped",
        "join": "success", "stop": "success", "end": "skipped",
    }  # fmt: skip


def test_mapped_tasks_and_groups() -> None:
    with DAG("d") as dag:

        @task
        def numbers() -> list[int]:
            return [1, 2, 3]

        @task
        def double(number: int) -> int:
            if number == 2:
                raise TaskSkipped("even")
            return 2 * number

        @task(trigger_rule="all_done")
        def total(found: Any) -> int:
            return sum(value or 0 for value in found)

        @task_group
        def each(number: int) -> None:
            double.override(task_id="inner")(number)

        total(double.expand(number=numbers()))
        each.expand(number=[4, 5])
    result = dag.test()
    assert [result.states[f"double[{index}]"] for index in range(3)] == ["success", "skipped", "success"]
    assert result.xcom("double", map_index=2) == 6
    assert result.xcom("total") == 8
    assert [result.xcom("each.inner", map_index=index) for index in range(2)] == [8, 10]


def test_a_teardown_runs_after_a_failure() -> None:
    torn_down: list[bool] = []
    with DAG("d") as dag:
        up = PythonOperator(task_id="up", python_callable=lambda: None).as_setup()
        work = PythonOperator(task_id="work", python_callable=lambda: 1 / 0)
        down = PythonOperator(task_id="down", python_callable=lambda: torn_down.append(True)).as_teardown(setups=up)
        up >> work >> down
    result = dag.test()
    assert result.state == "failed"
    assert torn_down == [True]


def test_a_pool_that_nobody_has_made_holds_no_test_up() -> None:
    with DAG("d") as dag:
        EmptyOperator(task_id="a", pool="expensive", pool_slots=1000)
    assert dag.test().state == "success"


# --- Callbacks


def test_callbacks_are_called_with_the_context_of_what_ended() -> None:
    called: list[tuple[str, Any]] = []

    def note(kind: str) -> Any:
        return lambda context: called.append((kind, context.get("reason") or context["run_id"]))

    with DAG("d", on_failure_callback=note("run failed"), on_success_callback=note("run succeeded")) as dag:
        PythonOperator(
            task_id="flaky",
            python_callable=lambda: 1 / 0,
            retries=1,
            on_retry_callback=note("retry"),
            on_failure_callback=note("failure"),
        )
        PythonOperator(task_id="good", python_callable=lambda: None, on_success_callback=note("success"))
        skipped = PythonOperator(task_id="lazy", python_callable=skip, on_skipped_callback=note("skipped"))
        skipped >> EmptyOperator(task_id="never", on_skipped_callback=note("nobody skipped it by running it"))
    result = dag.test(logical_date=DAY)
    error = "ZeroDivisionError: division by zero"
    assert sorted(called) == [
        ("failure", error),
        ("retry", error),
        ("run failed", "failed at the end of the graph: `flaky`"),
        ("skipped", "nothing to do"),
        ("success", result.run_id),
    ]
    assert [(call.event, call.task_id, call.try_number, call.error) for call in result.callbacks] == [
        ("skipped", "lazy", 1, None),  # it has a downstream task, so it comes first
        ("retry", "flaky", 1, None),
        ("success", "good", 1, None),
        ("failure", "flaky", 2, None),
        ("run_failure", None, 0, None),
    ]


class Undecided(BaseBranchOperator):
    def choose_branch(self, context: Any) -> str:
        raise AssertionError("a fake decides")


def skip() -> None:
    raise TaskSkipped("nothing to do")


def test_what_a_callback_raises_is_told_and_changes_nothing() -> None:
    def broken(context: Any) -> None:
        print("about to break")
        raise RuntimeError("no mail today")

    with DAG("d") as dag:
        EmptyOperator(task_id="a", on_success_callback=broken)
    result = dag.test()
    assert result.state == "success"
    [call] = result.callbacks
    assert (
        call.error
        == "test_what_a_callback_raises_is_told_and_changes_nothing.<locals>.broken: RuntimeError: no mail today"
    )
    assert "about to break" in call.log


def test_a_callback_may_ask_for_connections() -> None:
    asked: list[str | None] = []
    with DAG("d", on_success_callback=lambda _: asked.append(BaseHook.get_connection("mail").host)) as dag:
        EmptyOperator(task_id="a")
    dag.test(connections={"mail": "smtp://post.example"})
    assert asked == ["post.example"]


# --- Fakes


def test_a_fake_stands_for_what_a_task_would_return() -> None:
    ran: list[str] = []
    with DAG("d") as dag:

        @task
        def extract() -> list[int]:
            ran.append("extract")
            return []

        @task
        def double(x: int) -> int:
            return 2 * x

        double.expand(x=extract())
    result = dag.test(fakes={"extract": [3, 4]})
    assert [result.xcom("double", map_index=index) for index in range(2)] == [6, 8]
    assert ran == []
    again = dag.test(fakes={"extract": [1], "double": "faked"})
    assert again.xcom("double", map_index=0) == "faked"


def test_a_fake_of_a_branch_is_its_choice_and_of_a_short_circuit_its_condition() -> None:
    with DAG("d") as dag:

        @task.branch
        def choose() -> str:
            return "a"

        choose() >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
        Undecided(task_id="other") >> [EmptyOperator(task_id="c"), EmptyOperator(task_id="d")]
        ShortCircuitOperator(task_id="stop", python_callable=lambda: True) >> EmptyOperator(task_id="after")
    states = dag.test(fakes={"choose": "b", "other": ["c"], "stop": False}).states
    assert (states["a"], states["b"], states["after"]) == ("skipped", "success", "skipped")
    assert (states["c"], states["d"]) == ("success", "skipped")
    assert dag.test(fakes={"other": None}).states["after"] == "success"


def test_a_fake_that_is_an_exception_is_raised_and_retried() -> None:
    with DAG("d") as dag:
        EmptyOperator(task_id="a", retries=1)
        EmptyOperator(task_id="b", retries=1)
    result = dag.test(fakes={"a": RuntimeError("down"), "b": TaskFailed("hopeless")})
    assert [(found.state, found.try_number) for found in result.tasks] == [("failed", 2), ("failed", 1)]
    assert result.task("a").reason == "RuntimeError: down"


def test_a_fake_of_no_task_is_refused() -> None:
    with DAG("d") as dag:
        EmptyOperator(task_id="extract")
    with pytest.raises(TaskNotFound, match=r"DAG 'd' has no task 'extrct'\. Did you mean 'extract'"):
        dag.test(fakes={"extrct": 1})


# --- One task


def test_run_task_gives_result_xcoms_rendered_fields_and_log() -> None:
    def work(day: str, ti: Any) -> str:
        print("working on", day)
        ti.xcom_push("rows", 3)
        return day.upper()

    result = run_task(PythonOperator(task_id="work", python_callable=work, op_args=["day {{ ds }}"]), logical_date=DAY)
    assert (result.state, result.result) == ("success", "DAY 2026-03-01")
    assert result.xcoms == {"rows": 3, "return_value": "DAY 2026-03-01"}
    assert result.rendered["op_args"] == ["day 2026-03-01"]
    assert "working on day 2026-03-01" in result.log


def test_run_task_takes_what_the_upstreams_have_left() -> None:
    with DAG("d") as dag:

        @task(multiple_outputs=True)
        def extract() -> dict[str, int]:
            raise AssertionError("it does not run")

        @task
        def double(x: int) -> int:
            return 2 * x

        @task
        def report(one: int, doubled: Any) -> list[int]:
            return [one, *doubled]

        report(extract()["one"], double.expand(x=[1, 2]))
    result = run_task(dag.get_task("report"), xcoms={("extract", "one"): 1, "double": [10, 20]})
    assert result.result == [1, 10, 20]
    assert run_task(dag.get_task("double"), map_index=1).result == 4
    with pytest.raises(TaskNotFound, match=r"no task 'extrakt'\. Did you mean 'extract'"):
        run_task(dag.get_task("report"), xcoms={"extrakt": 1})
    with pytest.raises(UsageError, match="'double' is mapped; give a list"):
        run_task(dag.get_task("report"), xcoms={"double": 5})


def test_run_task_tells_failures_skips_and_choices_and_calls_callbacks() -> None:
    failing = PythonOperator(task_id="a", python_callable=lambda: 1 / 0, on_failure_callback=lambda _: None)
    failed = run_task(failing)
    assert (failed.state, failed.reason) == ("failed", "ZeroDivisionError: division by zero")
    assert [call.event for call in failed.callbacks] == ["failure"]
    assert run_task(PythonOperator(task_id="a", python_callable=skip)).state == "skipped"
    with DAG("d") as dag:

        @task.branch
        def choose() -> str:
            return "a"

        choose() >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
    assert run_task(dag.get_task("choose")).skips == ("b",)


def test_run_task_waits_with_a_sensor_that_reschedules() -> None:
    clock = VirtualClock(DAY)
    sensor = DateTimeSensor(task_id="s", target_time=DAY + timedelta(hours=5), mode="reschedule")
    assert run_task(sensor, clock=clock).state == "success"
    assert clock.now() >= DAY + timedelta(hours=5)


def test_conf_is_checked() -> None:
    from windlass import Param

    with DAG("d", params={"n": Param(1, type="integer")}) as dag:
        EmptyOperator(task_id="a")
    with pytest.raises(ParamInvalid, match="n"):
        dag.test(conf={"n": "many"})


# --- Debugging


@pytest.mark.processes
def test_a_breakpoint_stops_in_the_task(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            from windlass import DAG, task

            with DAG("d") as dag:
                @task
                def look():
                    secret = 41
                    breakpoint()
                    return secret + 1
                look()
            print("RESULT", dag.test().xcom("look"))
        """)
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        input="p secret * 2\nsecret = 100\nc\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "(Pdb) 82" in done.stdout
    assert "RESULT 101" in done.stdout


# -- deadlines ----------------------------------------------------------------------------------------------------


def _tell(context: Any) -> None:
    print("missed:", context["reason"], context["dag_run"].run_id)


def test_a_deadline_that_the_run_misses_in_virtual_time_is_told_once() -> None:
    alert = DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(minutes=30), callback=_tell)
    with DAG("late", schedule=None, deadline=alert) as dag:
        PythonSensor(
            task_id="waits", python_callable=lambda: clock.now() >= DAY + timedelta(hours=1), poke_interval=600
        )
    clock = VirtualClock(DAY)
    result = dag.test(clock=clock)
    assert result.states == {"waits": "success"}
    [call] = result.callbacks
    assert (call.event, call.task_id, call.error) == ("run_deadline:0", None, None)
    assert call.reason.startswith("the run has not ended by its deadline 2026-")
    assert f"missed: {call.reason} {result.run_id}" in call.log


def test_a_deadline_that_is_kept_is_not_told() -> None:
    alert = DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(hours=2), callback=_tell)
    with DAG("early", schedule=None, deadline=alert) as dag:
        EmptyOperator(task_id="quick")
    assert dag.test(clock=VirtualClock(DAY)).callbacks == ()


def test_what_a_deadlines_callback_raises_harms_only_itself() -> None:
    def fail(_context: Any) -> None:
        raise ValueError("no pager")

    alerts = [
        DeadlineAlert(reference=DeadlineReference.DAGRUN_LOGICAL_DATE, interval=timedelta(hours=1), callback=callback)
        for callback in (fail, _tell)
    ]
    with DAG("old", schedule=None, deadline=alerts) as dag:
        EmptyOperator(task_id="quick")
    result = dag.test(logical_date=DAY - timedelta(days=3), clock=VirtualClock(DAY))
    assert result.state == "success"
    assert [(call.event, call.error is None) for call in result.callbacks] == [
        ("run_deadline:0", False),
        ("run_deadline:1", True),
    ]


def test_what_a_task_has_hidden_is_hidden_in_its_log_on_the_screen_and_in_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with DAG("hiding", schedule=None) as dag:

        @task
        def use() -> str:
            print("before: found-in-a-vault")
            mask_secret("found-in-a-vault")
            print("printed:", "found-in-a-vault")
            logging.getLogger("mine").warning("logged: %s", "found-in-a-vault")
            return "found-in-a-vault"

        @task
        def fail(key: str) -> None:
            raise ValueError(f"cannot log in with {key}")

        fail(use())
    result = dag.test()
    shown = result.log("use") + result.log("fail") + capsys.readouterr().out
    assert "printed: ***" in result.log("use")
    assert "WARNING mine: logged: ***" in result.log("use")
    assert result.task("fail").reason == "ValueError: cannot log in with ***"
    assert shown.count("found-in-a-vault") == 2  # from before it was hidden, in the log and on the screen
    assert result.xcom("use") == "found-in-a-vault"
