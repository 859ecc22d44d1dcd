"""The tutorial's DAG: three measurements become one line of a report."""

from __future__ import annotations

from datetime import datetime, timedelta

from windlass import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), tags=["tutorial"])
def weather() -> None:
    @task(retries=2, retry_delay=timedelta(seconds=10))
    def measure() -> list[float]:
        return [11.5, 12.1, 14.8]

    @task
    def report(degrees: list[float], ds: str) -> str:
        line = f"{ds}: {sum(degrees) / len(degrees):.1f} degrees"
        print(line)
        return line

    report(measure())


weather()
