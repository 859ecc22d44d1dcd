"""`dag.test()` and `run_task` run deferred tasks in process, and their waits pass at once."""

# ruff: noqa: ANN401 - events are any value
from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from windlass import DAG, BaseOperator, task
from windlass.app.inproc.testing import run_task
from windlass.app.inproc.triggers import STARVED
from windlass.hooks import BaseHook
from windlass.sensors import DateTimeSensor, ExternalTaskSensor, FileSensor, TimeDeltaSensorAsync
from windlass.triggers import BaseTrigger, TriggerEvent

T = TypeVar("T")


class Does(BaseTrigger):
    """Calls one of its own coroutines, by name."""

    def __init__(self, what: str, seconds: float = 0.0) -> None:
        self.what = what
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "a.name", {"what": self.what, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(await getattr(self, self.what)())

    async def sleep(self) -> float:
        print(f"sleeping for {self.seconds:g} s")  # noqa: T201 - to be found in the log
        await asyncio.sleep(self.seconds)
        return self.seconds

    async def fail(self) -> None:
        raise ValueError("no")

    async def never(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def connect(self) -> str | None:
        return BaseHook.get_connection("db").login

    async def thread(self) -> str:
        """Work in a thread takes real time, which a timeout must not overtake."""
        return await asyncio.wait_for(asyncio.to_thread(slowly, lambda: "done"), timeout=30)

    async def talk(self) -> str:
        """So does whatever comes over a socket."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        sent = asyncio.get_running_loop().run_in_executor(None, slowly, lambda: theirs.send(b"hello\n"))
        line = await asyncio.wait_for(reader.readline(), timeout=30)
        await sent
        theirs.close()
        writer.close()
        await writer.wait_closed()
        return line.decode().strip()


def slowly(function: Callable[[], T]) -> T:
    """Call ``function`` after a moment of real time, longer than any that a virtual clock would need."""
    time.sleep(0.2)
    return function()


class Defers(BaseOperator):
    def __init__(self, trigger: BaseTrigger, timeout: timedelta | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trigger = trigger
        self.timeout = timeout

    def execute(self, context: Any) -> None:
        context["ti"].xcom_push("before", 1)
        self.defer(trigger=self.trigger, method_name="resume", kwargs={"n": (1, 2)}, timeout=self.timeout)

    def resume(self, context: Any, event: Any, n: Any) -> Any:
        return [event, n]


def in_a_dag(**tasks: BaseTrigger) -> DAG:
    with DAG("d", schedule=None) as dag:
        for task_id, trigger in tasks.items():
            Defers(task_id=task_id, trigger=trigger)
    return dag


def test_a_deferred_task_resumes_with_its_event_and_keeps_its_xcoms() -> None:
    result = in_a_dag(t=Does("sleep", 36_000)).test()
    assert result.state == "success"
    assert result.xcom("t") == [36_000, (1, 2)]
    assert result.xcom("t", "before") == 1
    assert result.task("t").try_number == 1
    assert "sleeping for 36000 s" in result.log("t")


def test_the_rest_of_a_microsecond_passes_too() -> None:
    assert in_a_dag(t=Does("sleep", 4e-7)).test().state == "success"


def test_what_fires_first_resumes_first_and_logs_are_kept_apart() -> None:
    order: list[str] = []
    with DAG("d", schedule=None) as dag:
        for name, seconds in (("slow", 500), ("quick", 5), ("middle", 50)):
            Defers(task_id=name, trigger=Does("sleep", seconds)) >> task(task_id=f"after_{name}")(order.append)(name)
    result = dag.test()
    assert order == ["quick", "middle", "slow"]
    assert "sleeping for 5 s" in result.log("quick")
    assert "500" not in result.log("quick")


def test_a_sensor_for_a_moment_does_not_wait_for_it() -> None:
    with DAG("d", schedule=None) as dag:
        DateTimeSensor(task_id="a", target_time=datetime.now(UTC) + timedelta(days=3), deferrable=True)
        TimeDeltaSensorAsync(task_id="b", delta=timedelta(days=2))
    assert dag.test().states == {"a": "success", "b": "success"}


def test_a_trigger_that_fails_fails_its_task_which_may_retry() -> None:
    with DAG("d", schedule=None) as dag:
        Defers(task_id="t", trigger=Does("fail"), retries=1)
    result = dag.test()
    assert (result.states, result.task("t").try_number) == ({"t": "failed"}, 2)
    assert f"TaskDeferralError: its trigger {__name__}.Does failed: ValueError: no" in result.log("t")


def test_a_timeout_comes_although_nothing_else_does(tmp_path: Path) -> None:
    with DAG("d", schedule=None) as dag:
        Defers(task_id="t", trigger=Does("never"), timeout=timedelta(days=2))
        FileSensor(task_id="f", filepath=str(tmp_path / "x"), deferrable=True, timeout=600, soft_fail=True)
    result = dag.test()
    assert result.states == {"t": "failed", "f": "skipped"}
    assert "TaskDeferralTimeout" in result.log("t")


def test_a_trigger_that_nothing_can_wake_fails_instead_of_hanging() -> None:
    result = in_a_dag(t=Does("never"), other=Does("sleep", 10)).test()
    assert result.states == {"t": "failed", "other": "success"}
    assert STARVED in result.log("t")


def test_a_file_that_another_task_makes_is_found(tmp_path: Path) -> None:
    with DAG("d", schedule=None) as dag:
        FileSensor(task_id="f", filepath=str(tmp_path / "x"), deferrable=True)
        Defers(task_id="late", trigger=Does("sleep", 3600)) >> task(task_id="make")((tmp_path / "x").touch)()
    assert dag.test().state == "success"


def test_a_trigger_asks_for_connections_and_for_the_states_of_runs() -> None:
    with DAG("d", schedule=None) as dag:
        Defers(task_id="t", trigger=Does("connect"))
        quick = Defers(task_id="quick", trigger=Does("sleep", 5))
        ExternalTaskSensor(task_id="s", external_dag_id="d", external_task_id=quick.task_id, deferrable=True)
    result = dag.test(connections={"db": "http://ann:secret@host"})
    assert result.state == "success"
    assert result.xcom("t")[0] == "ann"


@pytest.mark.parametrize("what", ["thread", "talk"])
def test_what_really_takes_time_is_waited_for(what: str) -> None:
    assert in_a_dag(t=Does(what)).test().xcom("t")[0] in {"done", "hello"}


def test_a_run_that_takes_too_long_ends_its_waits() -> None:
    with DAG("d", schedule=None, dagrun_timeout=timedelta(hours=1)) as dag:
        Defers(task_id="t", trigger=Does("sleep", 7200))
    result = dag.test()
    assert (result.state, result.states) == ("failed", {"t": "skipped"})


@pytest.mark.parametrize(
    ("trigger", "timeout", "state", "reason"),
    [
        (Does("sleep", 5), None, "success", ""),
        (Does("sleep", 5), timedelta(seconds=1), "failed", "TaskDeferralTimeout"),
        (Does("fail"), None, "failed", "ValueError: no"),
        (Does("never"), None, "failed", STARVED),
    ],
)
def test_one_task_is_run_with_its_deferral(
    trigger: BaseTrigger, timeout: timedelta | None, state: str, reason: str
) -> None:
    result = run_task(Defers(task_id="t", trigger=trigger, timeout=timeout))
    assert result.state == state
    assert reason in (result.reason or "")
    assert result.result == ([5, (1, 2)] if state == "success" else None)


def test_where_a_loop_runs_already_as_in_a_notebook_it_works_too() -> None:
    async def notebook(test: Callable[[], Any]) -> Any:
        return test()

    result = asyncio.run(notebook(in_a_dag(t=Does("sleep", 60)).test))
    assert result.state == "success"
