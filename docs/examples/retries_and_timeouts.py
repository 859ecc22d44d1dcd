"""Retries with growing delays, a time limit, and the two ways to end an attempt on purpose."""

from __future__ import annotations

from datetime import timedelta

from windlass import dag, get_current_context, task
from windlass.errors import TaskFailed, TaskSkipped


@dag(schedule=None, default_args={"retries": 3, "retry_delay": timedelta(seconds=5)})
def retries() -> None:
    @task(retry_exponential_backoff=True, max_retry_delay=timedelta(minutes=1))
    def flaky() -> int:
        try_number: int = get_current_context()["ti"].try_number
        if try_number < 3:
            raise ConnectionError(f"try {try_number}: the other side is not ready yet")
        return try_number

    @task(execution_timeout=timedelta(seconds=30))
    def limited() -> str:
        return "done in time"

    @task
    def hopeless() -> None:
        raise TaskFailed("the order does not exist; trying again cannot help")

    @task
    def nothing_to_do() -> None:
        raise TaskSkipped("no new rows today")

    flaky()
    limited()
    hopeless()
    nothing_to_do()


retries()
