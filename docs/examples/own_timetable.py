"""A schedule that no cron string can say, and a deadline: runs on working days, and a call if one is late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from windlass import DeadlineAlert, DeadlineReference, dag, task
from windlass.timetables import DagRunInfo, DataInterval, TimeRestriction, Timetable

DAY = timedelta(days=1)
SATURDAY = 5


class WorkingDays(Timetable):
    """A run per working day, over that day; the one for Friday comes on Saturday morning."""

    def __init__(self, holidays: list[str]) -> None:
        self.holidays = holidays

    @property
    def summary(self) -> str:
        return "working days"

    def serialize(self) -> dict[str, Any]:
        return {"holidays": self.holidays}

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        if last_automated_data_interval is not None:
            day = last_automated_data_interval.end
        elif restriction.earliest is None:
            return None
        else:
            day = restriction.earliest
        if not restriction.catchup:
            day = max(day, restriction.now.replace(hour=0, minute=0, second=0, microsecond=0) - DAY)
        while not self.is_working_day(day):
            day += DAY
        if restriction.latest is not None and day > restriction.latest:
            return None
        return DagRunInfo.interval(day, day + DAY)

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        day = run_after.replace(hour=0, minute=0, second=0, microsecond=0) - DAY
        while not self.is_working_day(day):
            day -= DAY
        return DataInterval(day, day + DAY)

    def is_working_day(self, day: datetime) -> bool:
        return day.weekday() < SATURDAY and day.date().isoformat() not in self.holidays


def call_somebody(context: Mapping[str, Any]) -> None:
    print("late:", context["run_id"], context["reason"])


@dag(
    schedule=WorkingDays(holidays=["2026-12-25"]),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(minutes=30), callback=call_somebody
    ),
    max_consecutive_failed_dag_runs=3,
)
def turnover() -> None:
    @task
    def add_up(data_interval_start: datetime) -> str:
        return f"the turnover of {data_interval_start:%d %B}"

    add_up()


turnover()
