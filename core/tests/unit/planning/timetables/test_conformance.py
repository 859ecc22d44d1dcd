"""The core timetables do what every timetable must."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from windlass.interfaces.timetable import Timetable
from windlass.planning.timetables import timetable
from windlass.registry import registry
from windlass.registry.core_provider import CORE
from windlass.spec import (
    ContinuousSpec,
    CronIntervalSpec,
    CronTriggerSpec,
    DeltaIntervalSpec,
    DeltaTriggerSpec,
    EventsSpec,
    NullSpec,
    OnceSpec,
    RelativeDelta,
)
from windlass_testing.conformance import TimetableSuite, deviation

BERLIN = "Europe/Berlin"
MONTH, HOUR = RelativeDelta(months=1), RelativeDelta(seconds=3600.0)
INSTANTS = tuple(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=30 * number) for number in range(30))


class TestCoreTimetables(TimetableSuite):
    timetable_class = Timetable

    def timetables(self) -> Mapping[str, Timetable]:
        return {
            "none": timetable(NullSpec()),
            "once": timetable(OnceSpec()),
            "daily": timetable(CronIntervalSpec(expression="0 0 * * *")),
            "in the hour that clocks skip": timetable(CronIntervalSpec(expression="30 2 * * *", timezone=BERLIN)),
            "every quarter of an hour": timetable(CronIntervalSpec(expression="*/15 * * * *", timezone=BERLIN)),
            "on leap days": timetable(CronIntervalSpec(expression="0 12 29 2 *")),
            "hourly": timetable(DeltaIntervalSpec(delta=HOUR)),
            "monthly": timetable(DeltaIntervalSpec(delta=MONTH, timezone=BERLIN)),
            "at two times": timetable(CronTriggerSpec(expressions=("0 6 * * *", "30 2 * * 0"), timezone=BERLIN)),
            "an hour after the last": timetable(DeltaTriggerSpec(delta=HOUR)),
            "on dates": timetable(EventsSpec(instants=INSTANTS)),
        }

    @deviation("these are of several classes: test_the_core_lists_each_of_them")
    def test_its_provider_lists_it(self) -> None:
        """See below."""

    def test_the_core_lists_each_of_them(self) -> None:
        """As any provider lists its own, and lists no other but the one in the suite below."""
        classes = {type(timetable) for timetable in self.timetables().values()}
        for cls in classes:
            assert registry().name_of("timetables", cls) == f"{cls.__module__}.{cls.__qualname__}"
        assert len(classes) == len(CORE.timetables) - 1

    @deviation("a core timetable is stored as its spec, which test_build.py takes through the round trip")
    def test_it_comes_back_equal_from_what_is_stored(self) -> None:
        """See `test_build.py`."""


class TestContinuous(TimetableSuite):
    timetable_class = type(timetable(ContinuousSpec()))

    def timetables(self) -> Mapping[str, Timetable]:
        return {"continuous": timetable(ContinuousSpec())}
