"""DAGs that cross every border between processes; each is run in this process and by a real server.

What they do is seen in their states, and in a ledger that tasks and callbacks append to.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from windlass import DAG, Variable, task, task_group
from windlass.errors import TaskSkipped
from windlass.hooks import BaseHook
from windlass.operators import EmptyOperator, PythonOperator, TriggerDagRunOperator
from windlass.sensors import FileSensor, PythonSensor, TimeDeltaSensor

OPTIONS: dict[str, Any] = {"schedule": None, "is_paused_upon_creation": False}


def note(*words: object) -> None:
    """Append a line to the ledger."""
    with Path(os.environ["LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(" ".join(map(str, words)) + "\n")


def told(word: str) -> Any:
    """Return a callback that notes what it was told."""

    def callback(context: Any) -> None:
        note(context["dag_run"].dag_id, word, context["ti"].task_id if "ti" in context else "run")

    return callback


with DAG("spill", **OPTIONS):

    @task
    def large() -> dict[str, Any]:
        return {"text": "x" * 200_000, "pair": (1, 2)}

    @task
    def measure(value: dict[str, Any]) -> None:
        note("spill", len(value["text"]), value["pair"])

    measure(large())

with DAG("artifacts", **OPTIONS):

    @task
    def put(artifacts: Any, ti: Any) -> Any:
        path = Path(os.environ["LEDGER"]).with_name("report.csv")
        path.write_text("a,b\n", encoding="utf-8")
        return artifacts.put(path)

    @task
    def get(artifact: Any, artifacts: Any) -> None:
        with artifacts.open(artifact) as file:
            note("artifacts", file.read().decode().strip())

    get(put())

with DAG("killed", on_success_callback=told("success"), **OPTIONS):

    @task(retries=1, retry_delay=0, on_retry_callback=told("retry"))
    def survivor(try_number: int) -> None:
        if try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    @task(on_failure_callback=told("failure"))
    def victim(try_number: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    survivor()
    victim() >> EmptyOperator(task_id="after", trigger_rule="all_done")

with DAG("retries", **OPTIONS):

    @task(retries=2, retry_delay=0.1, retry_exponential_backoff=True, max_retry_delay=0.2)
    def flaky(ti: Any, try_number: int) -> None:
        note("retries", try_number, ti.xcom_pull(key="left"))
        ti.xcom_push("left", try_number)
        if try_number < 3:
            raise ValueError("not yet")

    flaky()

with DAG("timeout", **OPTIONS):

    @task(execution_timeout=timedelta(seconds=1), on_failure_callback=told("failure"))
    def slow() -> None:
        time.sleep(60)

    slow() >> EmptyOperator(task_id="after")

with DAG("branches", **OPTIONS):
    choose = task.branch(task_id="choose")(lambda: ["left", "both"])()
    choose >> [EmptyOperator(task_id=name) for name in ("left", "right", "both")]
    stop = task.short_circuit(task_id="stop")(lambda: False)()
    stop >> EmptyOperator(task_id="never", trigger_rule="all_done")

with DAG("mapping", **OPTIONS):

    @task
    def numbers() -> list[int]:
        return [1, 2, 3]

    @task
    def tenfold(x: int) -> int | None:
        if x == 3:
            raise TaskSkipped("three")
        return x * 10

    @task(trigger_rule="none_failed_min_one_success")
    def total(values: Any) -> None:
        note("mapping", list(values))

    @task_group
    def pair(x: int) -> None:
        tenfold.override(task_id="second")(tenfold.override(task_id="first")(x))

    found = numbers()
    total(tenfold.expand(x=found))
    pair.expand(x=found)

with DAG("sensors", **OPTIONS):

    def third(run_id: str, ti: Any) -> bool:
        marks = Path(os.environ["LEDGER"]).with_name(f"pokes-of-{ti.task_id}")
        with marks.open("a", encoding="utf-8") as file:
            file.write(".")
        return len(marks.read_text(encoding="utf-8")) == 3

    PythonSensor(task_id="poking", python_callable=third, poke_interval=0.1)
    PythonSensor(task_id="rescheduled", python_callable=third, poke_interval=0.1, mode="reschedule")
    PythonSensor(task_id="late", python_callable=bool, poke_interval=0.1, timeout=0.3, soft_fail=True)
    TimeDeltaSensor(task_id="deferred", delta=0.5, deferrable=True)
    FileSensor(task_id="file", filepath=os.environ.get("LEDGER", ""), mode="reschedule", poke_interval=0.1)

with DAG("templates", params={"city": "Oslo"}, user_defined_macros={"shout": str.upper}, **OPTIONS):
    PythonOperator(
        task_id="show",
        python_callable=note,
        op_args=["templates", "{{ ds }}", "{{ shout(params.city) }}", "query.sql"],
        templates_exts=[".sql"],
    )

with DAG("connections", **OPTIONS):

    @task
    def connect() -> None:
        found = BaseHook.get_connection("sample")
        print("logging in with", found.password)  # noqa: T201 - as users do
        Variable.set("seen", "yes")
        note("connections", found.host, Variable.get("seen"))

    connect()

with DAG("scope", **OPTIONS):
    begin, end = EmptyOperator(task_id="begin").as_setup(), EmptyOperator(task_id="end")
    with end.as_teardown(setups=begin):

        @task
        def work() -> None:
            raise ValueError("broken")

        work()

with DAG("child", params={"size": 1}, **OPTIONS):
    task(task_id="work")(lambda params: note("child", params["size"]))()

with DAG("parent", **OPTIONS):
    TriggerDagRunOperator(
        task_id="trigger", trigger_dag_id="child", conf={"size": 7}, wait_for_completion=True, poke_interval=0.2
    ) >> EmptyOperator(task_id="after")
