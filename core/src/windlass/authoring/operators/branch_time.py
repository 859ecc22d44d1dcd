"""Branches by the clock or the calendar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time
from typing import Any

from windlass.authoring.operator import Context
from windlass.authoring.operators.python import BaseBranchOperator
from windlass.authoring.weekday import WeekDay, now_or_logical, weekdays, zone_of
from windlass.errors import AuthoringError


class BranchDayOfWeekOperator(BaseBranchOperator):
    """Follow one branch on the days of ``week_day``, another on the others."""

    def __init__(
        self,
        *,
        follow_task_ids_if_true: str | Sequence[str],
        follow_task_ids_if_false: str | Sequence[str],
        week_day: str | WeekDay | Iterable[str | WeekDay],
        use_task_logical_date: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.week_day = weekdays(f"task {self.task_id!r}", week_day)
        self.use_task_logical_date = use_task_logical_date

    def choose_branch(self, context: Context) -> str | Sequence[str]:
        """Look at the calendar, in the DAG's zone."""
        today = now_or_logical(context, logical=self.use_task_logical_date).isoweekday()
        return self.follow_task_ids_if_true if today in self.week_day else self.follow_task_ids_if_false


class BranchDateTimeOperator(BaseBranchOperator):
    """Follow one branch between ``target_lower`` and ``target_upper``, another outside.

    A bound is a datetime or a time of day in the DAG's zone; with two times of day of which the upper is the earlier,
    the window reaches over midnight.
    """

    def __init__(
        self,
        *,
        follow_task_ids_if_true: str | Sequence[str],
        follow_task_ids_if_false: str | Sequence[str],
        target_lower: datetime | time | None,
        target_upper: datetime | time | None,
        use_task_logical_date: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if target_lower is None and target_upper is None:
            raise AuthoringError(f"task {self.task_id!r} needs target_lower, target_upper or both")
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.target_lower = target_lower
        self.target_upper = target_upper
        self.use_task_logical_date = use_task_logical_date

    def choose_branch(self, context: Context) -> str | Sequence[str]:
        """Look at the clock."""
        now = now_or_logical(context, logical=self.use_task_logical_date)
        return self.follow_task_ids_if_true if self.contains(now) else self.follow_task_ids_if_false

    def contains(self, now: datetime) -> bool:
        """Return whether ``now``, in the DAG's zone, lies in the window, bounds included."""
        lower, upper = self.target_lower, self.target_upper
        if isinstance(lower, time) and isinstance(upper, time):
            clock = now.time()
            if upper < lower:
                return clock >= lower or clock <= upper
            return lower <= clock <= upper
        return (lower is None or _at(lower, now) <= now) and (upper is None or now <= _at(upper, now))


def _at(bound: datetime | time, now: datetime) -> datetime:
    if isinstance(bound, datetime):
        return bound if bound.tzinfo is not None else bound.replace(tzinfo=zone_of(now))
    return datetime.combine(now.date(), bound, tzinfo=now.tzinfo)
