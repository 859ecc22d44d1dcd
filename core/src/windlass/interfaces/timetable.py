"""What a timetable is: when the next run of a DAG is due, and which data it covers.

The core timetables and those that a plugin registers implement the same class. A timetable is asked two questions:
:meth:`Timetable.next_dagrun_info` for the schedule, :meth:`Timetable.infer_manual_data_interval` for a run that
somebody triggers by hand. It answers from its arguments alone: no clock, no database, no network. The same question
gets the same answer, which is what lets the engine ask again after a crash, and simulate next year in a second.

Every datetime that a timetable is given is aware and in UTC; every datetime that it returns must be aware.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from windlass.errors import AuthoringError


def _require_aware(value: datetime, what: str) -> None:
    if value.tzinfo is None:
        msg = f"{what} {value.isoformat()} has no time zone; give an aware datetime, for example with tzinfo=UTC"
        raise AuthoringError(msg)


@dataclass(frozen=True, slots=True)
class DataInterval:
    """The period of data that a run covers: from ``start`` (included) to ``end`` (excluded)."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse what no run could cover."""
        _require_aware(self.start, "data interval start")
        _require_aware(self.end, "data interval end")
        if self.end < self.start:
            msg = f"data interval ends at {self.end.isoformat()}, before its start {self.start.isoformat()}; swap them"
            raise AuthoringError(msg)

    @classmethod
    def exact(cls, at: datetime) -> Self:
        """Return the interval that is the single instant ``at``."""
        return cls(start=at, end=at)


@dataclass(frozen=True, slots=True)
class DagRunInfo:
    """A run to come: create it at ``run_after`` or later, over ``data_interval``."""

    run_after: datetime
    data_interval: DataInterval

    def __post_init__(self) -> None:
        """Refuse an instant that depends on who reads it."""
        _require_aware(self.run_after, "run_after")

    @classmethod
    def exact(cls, at: datetime) -> Self:
        """Return the run for the single instant ``at``, due at ``at``."""
        return cls(run_after=at, data_interval=DataInterval.exact(at))

    @classmethod
    def interval(cls, start: datetime, end: datetime) -> Self:
        """Return the run over [``start``, ``end``), due when the interval is complete."""
        return cls(run_after=end, data_interval=DataInterval(start, end))

    @property
    def logical_date(self) -> datetime:
        """The date that names the run: the start of its data interval."""
        return self.data_interval.start


@dataclass(frozen=True, slots=True)
class TimeRestriction:
    """The bounds within which a timetable chooses the next run.

    ``earliest`` and ``latest`` are the DAG's start_date and end_date, both inclusive, None when it has none. With
    ``catchup`` every period since ``earliest`` gets its run; without it, missed periods are left out except the
    latest. ``now`` is the instant of the question (timetables have no clock of their own).

    ``skip_to_next`` leaves out the latest missed period too, and waits for the next one; ``catchup`` overrides it. It
    describes one moment, that of unpausing a DAG with ``run_on_unpause=False``: whoever sets it gives that moment as
    ``now``. Set with a clock that goes on, it would move each run on for ever.
    """

    earliest: datetime | None
    latest: datetime | None
    catchup: bool
    now: datetime
    skip_to_next: bool = False


class Timetable(ABC):
    """When a DAG runs. Subclass it and register the class in a provider's manifest.

    An instance is rebuilt from its serialised form wherever it is needed, so it holds nothing but its parameters.
    """

    #: A sentence for people, for example "At 21:30, only on Friday".
    description: str = ""

    #: The most runs of a DAG that may be active at once whatever ``max_active_runs`` says; None sets no bound.
    active_runs_limit: ClassVar[int | None] = None

    @property
    def summary(self) -> str:
        """The few characters that lists show for the schedule; by default the name of the class."""
        return type(self).__name__

    @abstractmethod
    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next run that the schedule wants, or None if it wants none.

        ``last_automated_data_interval`` is that of the DAG's latest scheduled run, None before the first; manual runs
        do not count. The answer may lie in the future: the run is created when its ``run_after`` has come. Each
        answer's logical date must be later than the last one's start, and respect ``restriction``.
        """

    @abstractmethod
    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """Return the data interval of a run that is triggered by hand at ``run_after``."""

    def serialize(self) -> dict[str, Any]:
        """Return the parameters as JSON values, for :meth:`deserialize`; by default there are none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Return the timetable that ``data`` (what :meth:`serialize` returned) describes.

        The default calls the class with the values as keyword arguments. Data written by an older version of the class
        must stay readable: it is stored with every version of every DAG.
        """
        return cls(**data)

    def validate(self) -> None:  # noqa: B027 - most timetables have nothing to check
        """Check the parameters when a DAG file is parsed; raise AuthoringError to refuse the DAG."""
