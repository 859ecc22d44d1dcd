"""Deadlines of a DAG's runs, as its author writes them."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from windlass.errors import AuthoringError

if TYPE_CHECKING:
    from windlass.authoring.operator import Callback
    from windlass.spec import DeadlineSpec


class DeadlineReference:
    """The instant that a deadline counts from: one of the two below, or :meth:`FIXED_DATETIME`."""

    DAGRUN_LOGICAL_DATE: ClassVar[DeadlineReference]
    DAGRUN_QUEUED_AT: ClassVar[DeadlineReference]

    def __init__(self, name: str, at: datetime | None = None) -> None:
        self.name = name
        self.at = at

    @classmethod
    def FIXED_DATETIME(cls, at: datetime) -> DeadlineReference:  # noqa: N802 - Airflow's name
        """Count from ``at``, the same for every run; a naive datetime is in the default time zone."""
        if not isinstance(at, datetime):
            raise AuthoringError(f"DeadlineReference.FIXED_DATETIME needs a datetime, not {at!r}")
        return cls("fixed", at)

    def __repr__(self) -> str:
        return f"DeadlineReference({self.name if self.at is None else self.at.isoformat()})"


DeadlineReference.DAGRUN_LOGICAL_DATE = DeadlineReference("logical_date")
DeadlineReference.DAGRUN_QUEUED_AT = DeadlineReference("queued_at")


class DeadlineAlert:
    """Has ``callback`` called when a run has not ended ``interval`` after ``reference``, once per run.

    The callback is one function of the context, a notifier, or a list of these, as for ``on_failure_callback``; why it
    is called stands in ``context["reason"]``. The run goes on.
    """

    def __init__(
        self, *, reference: DeadlineReference, interval: timedelta | float, callback: Callback | Sequence[Callback]
    ) -> None:
        if not isinstance(reference, DeadlineReference):
            raise AuthoringError(
                f"DeadlineAlert: reference {reference!r} is none; give DeadlineReference.DAGRUN_QUEUED_AT, "
                "DAGRUN_LOGICAL_DATE or FIXED_DATETIME(…)"
            )
        if isinstance(interval, bool) or not isinstance(interval, (int, float, timedelta)):
            raise AuthoringError(f"DeadlineAlert: interval must be a timedelta or seconds, not {interval!r}")
        self.reference = reference
        self.interval = interval if isinstance(interval, timedelta) else timedelta(seconds=interval)
        given: Any = callback
        self.callbacks: list[Callback] = [*given] if isinstance(given, (list, tuple)) else [given]
        if not self.callbacks or not all(callable(one) for one in self.callbacks):
            raise AuthoringError(f"DeadlineAlert: callback must be a function of the context, not {callback!r}")

    def to_spec(self) -> DeadlineSpec:
        """Return the deadline as data."""
        from windlass.authoring.dag import default_timezone
        from windlass.moment import utc
        from windlass.spec import DeadlineSpec, Reference

        at = self.reference.at
        return DeadlineSpec(
            reference=Reference(self.reference.name),
            interval=self.interval.total_seconds(),
            at=None if at is None else utc(at, default_timezone()),
        )


def deadline_alerts(who: str, given: Any) -> list[DeadlineAlert]:
    """Return the alerts that a DAG was given: none, one, or a list.

    :raises AuthoringError: if it is anything else.
    """
    alerts = [] if given is None else list(given) if isinstance(given, (list, tuple)) else [given]
    for alert in alerts:
        if not isinstance(alert, DeadlineAlert):
            raise AuthoringError(f"{who}: deadline must be a DeadlineAlert or a list of them, not {alert!r}")
    return alerts
