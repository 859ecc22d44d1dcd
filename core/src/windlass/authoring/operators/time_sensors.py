"""Sensors that wait for the clock or the calendar.

Those for a moment may be ``deferrable``: they hold no process and no slot until it has come. The classes called
``…Async``, Airflow's older names, always are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from windlass.authoring.arguments import moment, rendered_moment, required_duration
from windlass.authoring.operator import Context
from windlass.authoring.sensor import BaseSensorOperator
from windlass.authoring.weekday import WeekDay, dag_zone, now_or_logical, weekdays
from windlass.authoring.xcom_arg import XComArg
from windlass.errors import AuthoringError


class MomentSensor(BaseSensorOperator):
    """What the sensors for a moment share: :meth:`moment` says which."""

    def __init__(self, *, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    def moment(self, context: Context) -> datetime:
        """Return the moment to wait for."""
        raise NotImplementedError(f"{type(self).__name__} does not define moment(context)")

    def poke(self, context: Context) -> bool:
        """Compare the clock."""
        from windlass.ports import instant_now

        return instant_now() >= self.moment(context)

    def execute(self, context: Context) -> object:
        """Wait here, or defer until the moment."""
        if self.deferrable and not self.poke(context):
            from windlass.triggers import DateTimeTrigger

            self.defer_to(DateTimeTrigger(self.moment(context)))
        return super().execute(context)


class TimeSensor(MomentSensor):
    """Wait until ``target_time`` of the day on which the run may start, in the DAG's zone."""

    def __init__(self, *, target_time: time, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(target_time, time):
            raise AuthoringError(f"sensor {self.task_id!r}: target_time must be a time, not {target_time!r}")
        self.target_time = target_time

    def moment(self, context: Context) -> datetime:
        """Return the time of the run's day; that day is fixed, so that midnight does not start the wait anew."""
        zone = self.target_time.tzinfo or dag_zone(context)
        day = context["dag_run"].run_after.astimezone(zone).date()
        return datetime.combine(day, self.target_time.replace(tzinfo=None), tzinfo=zone)


class TimeDeltaSensor(MomentSensor):
    """Wait until ``delta`` after the end of the data interval."""

    def __init__(self, *, delta: timedelta | float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delta = required_duration(f"sensor {self.task_id!r}", "delta", delta)

    def moment(self, context: Context) -> datetime:
        """Return the end of the data interval, and ``delta`` more."""
        end: datetime = context["data_interval_end"]
        return end + self.delta


class DateTimeSensor(MomentSensor):
    """Wait until ``target_time``: a datetime, or text in ISO 8601, which may be a template."""

    template_fields: Sequence[str] = ("target_time",)

    def __init__(self, *, target_time: datetime | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(target_time, (datetime, str, XComArg)):
            raise AuthoringError(
                f"sensor {self.task_id!r}: target_time must be a datetime or text, not {target_time!r}"
            )
        if isinstance(target_time, str) and "{" not in target_time:  # a template is known when the task runs
            moment(f"sensor {self.task_id!r}", "target_time", target_time)
        self.target_time = target_time.isoformat() if isinstance(target_time, datetime) else target_time

    def moment(self, context: Context) -> datetime:
        """Return the moment that was given, in the zone of the DAG if it names none."""
        found = rendered_moment(f"sensor {self.task_id!r}", "target_time", self.target_time, dag_zone(context))
        if found is None:
            raise AuthoringError(f"sensor {self.task_id!r}: target_time is None now that the task runs; give a moment")
        return found


class TimeSensorAsync(TimeSensor):
    """A :class:`TimeSensor` that defers."""

    def __init__(self, *, target_time: time, **kwargs: Any) -> None:
        super().__init__(target_time=target_time, **{"deferrable": True, **kwargs})


class TimeDeltaSensorAsync(TimeDeltaSensor):
    """A :class:`TimeDeltaSensor` that defers."""

    def __init__(self, *, delta: timedelta | float, **kwargs: Any) -> None:
        super().__init__(delta=delta, **{"deferrable": True, **kwargs})


class DateTimeSensorAsync(DateTimeSensor):
    """A :class:`DateTimeSensor` that defers."""

    def __init__(self, *, target_time: datetime | str, **kwargs: Any) -> None:
        super().__init__(target_time=target_time, **{"deferrable": True, **kwargs})


class DayOfWeekSensor(BaseSensorOperator):
    """Wait until it is one of the days of ``week_day``, in the DAG's zone."""

    def __init__(
        self,
        *,
        week_day: str | WeekDay | Iterable[str | WeekDay],
        use_task_logical_date: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.week_day = weekdays(f"sensor {self.task_id!r}", week_day)
        self.use_task_logical_date = use_task_logical_date

    def poke(self, context: Context) -> bool:
        """Look at the calendar."""
        return now_or_logical(context, logical=self.use_task_logical_date).isoweekday() in self.week_day
