"""Schedules: which runs are made between two instants, and what they are about. Their one task does nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from portable import (
    DAG,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    EmptyOperator,
    EventsTimetable,
    MultipleCronTriggerTimetable,
)

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
SCENARIOS = {}


def scheduled(name, schedule, start, at, until=None, **arguments):
    """A DAG that is unpaused ``at`` an instant and left alone ``until`` another."""
    with DAG(f"time_{name}", schedule=schedule, start_date=start, **arguments):
        EmptyOperator(task_id="a")
    SCENARIOS[f"time_{name}"] = {"at": at, "until": until or at, "triggers": []}


# --- Presets ------------------------------------------------------------------------------------------------------

for preset, first, last in [
    ("once", "2024-03-05T00:00:00+00:00", "2024-03-09T00:00:00+00:00"),
    ("hourly", "2024-03-01T02:30:00+00:00", "2024-03-01T05:30:00+00:00"),
    ("daily", "2024-03-03T12:00:00+00:00", "2024-03-05T12:00:00+00:00"),
    ("weekly", "2024-03-12T00:00:00+00:00", "2024-03-25T00:00:00+00:00"),
    ("monthly", "2024-05-15T00:00:00+00:00", "2024-07-15T00:00:00+00:00"),
    ("quarterly", "2024-08-01T00:00:00+00:00", "2025-02-01T00:00:00+00:00"),
    ("yearly", "2026-02-01T00:00:00+00:00", "2027-02-01T00:00:00+00:00"),
]:
    for catchup in (True, False):
        scheduled(
            f"{preset}_{'catchup' if catchup else 'no_catchup'}",
            f"@{preset}",
            datetime(2024, 3, 1, tzinfo=UTC),
            first,
            last,
            catchup=catchup,
        )

# --- Cron ---------------------------------------------------------------------------------------------------------

# The start date is not on the grid: the first interval begins at the next point of it.
for catchup in (True, False):
    kind = "catchup" if catchup else "no_catchup"
    start, at, until = (
        datetime(2024, 3, 1, 10, 17, tzinfo=UTC),
        "2024-03-04T03:00:00+00:00",
        "2024-03-06T07:00:00+00:00",
    )
    scheduled(f"cron_{kind}", "30 6 * * *", start, at, until, catchup=catchup)
    scheduled(
        f"cron_timetable_{kind}",
        CronDataIntervalTimetable("30 6 * * *", timezone="UTC"),
        start,
        at,
        until,
        catchup=catchup,
    )
    scheduled(f"cron_weekdays_{kind}", "0 9 * * 1-5", start, at, "2024-03-12T10:00:00+00:00", catchup=catchup)
    scheduled(
        f"cron_trigger_{kind}", CronTriggerTimetable("30 6 * * *", timezone="UTC"), start, at, until, catchup=catchup
    )
    scheduled(
        f"cron_trigger_interval_{kind}",
        CronTriggerTimetable("30 6 * * *", timezone="UTC", interval=timedelta(hours=24)),
        start,
        at,
        until,
        catchup=catchup,
    )
    scheduled(
        f"cron_multiple_{kind}",
        MultipleCronTriggerTimetable("0 6 * * *", "0 18 * * *", "0 6 4 * *", timezone="UTC"),
        start,
        at,
        until,
        catchup=catchup,
    )
    scheduled(f"delta_{kind}", timedelta(hours=12), start, at, until, catchup=catchup)
    scheduled(
        f"delta_timetable_{kind}", DeltaDataIntervalTimetable(timedelta(hours=7)), start, at, until, catchup=catchup
    )
    scheduled(f"delta_trigger_{kind}", DeltaTriggerTimetable(timedelta(hours=12)), start, at, until, catchup=catchup)
    scheduled(
        f"events_{kind}",
        EventsTimetable([datetime(2024, 3, day, 5, tzinfo=UTC) for day in (1, 2, 3, 5, 6, 9)]),
        start,
        at,
        until,
        catchup=catchup,
    )

scheduled(
    "cron_day_or_weekday",
    "0 0 13 * 5",
    datetime(2024, 9, 1, tzinfo=UTC),
    "2024-10-01T00:00:00+00:00",
    catchup=True,
)
scheduled(
    "cron_start_on_the_grid",
    "0 6 * * *",
    datetime(2024, 3, 1, 6, tzinfo=UTC),
    "2024-03-04T00:00:00+00:00",
    catchup=True,
)
scheduled(
    "cron_every_20_minutes", "*/20 * * * *", datetime(2024, 3, 1, tzinfo=UTC), "2024-03-01T01:30:00+00:00", catchup=True
)
scheduled(
    "start_in_the_future",
    "@daily",
    datetime(2024, 3, 5, tzinfo=UTC),
    "2024-03-04T00:00:00+00:00",
    "2024-03-07T01:00:00+00:00",
)
scheduled("none", None, datetime(2024, 3, 1, tzinfo=UTC), "2024-03-05T00:00:00+00:00", "2024-03-07T00:00:00+00:00")

# --- The end of a schedule ----------------------------------------------------------------------------------------

for name, schedule in {
    "cron": "@daily",
    "delta": timedelta(days=1),
    "trigger": CronTriggerTimetable("@daily", timezone="UTC"),
}.items():
    for where, end in {"on": datetime(2024, 3, 4, tzinfo=UTC), "between": datetime(2024, 3, 4, 12, tzinfo=UTC)}.items():
        scheduled(
            f"end_{where}_the_grid_{name}",
            schedule,
            datetime(2024, 3, 2, tzinfo=UTC),
            "2024-03-09T00:00:00+00:00",
            end_date=end,
            catchup=True,
        )

# --- Zones --------------------------------------------------------------------------------------------------------

for name, schedule in {
    "daily": "@daily",
    "in_the_gap": "30 2 * * *",
    "hourly": "0 * * * *",
    "every_half_hour": "*/30 1-3 * * *",
    "delta": timedelta(days=1),
}.items():
    # Berlin went from 2 to 3 o'clock on 31 March 2024, and from 3 back to 2 on 27 October.
    until = "2024-03-31T{}:00:00+00:00" if name in ("hourly", "every_half_hour") else "2024-04-02T{}:00:00+00:00"
    scheduled(f"spring_{name}", schedule, datetime(2024, 3, 30, 23, tzinfo=BERLIN), until.format("05"), catchup=True)
    until = "2024-10-27T{}:00:00+00:00" if name in ("hourly", "every_half_hour") else "2024-10-29T{}:00:00+00:00"
    scheduled(f"autumn_{name}", schedule, datetime(2024, 10, 26, 23, tzinfo=BERLIN), until.format("05"), catchup=True)
for name, moment in {
    "spring": datetime(2024, 3, 9, tzinfo=NEW_YORK),
    "autumn": datetime(2024, 11, 2, tzinfo=NEW_YORK),
}.items():
    at = (moment + timedelta(days=3)).astimezone(UTC).isoformat()
    scheduled(
        f"{name}_trigger", CronTriggerTimetable("30 2 * * *", timezone="America/New_York"), moment, at, catchup=True
    )
    scheduled(
        f"{name}_trigger_repeated",
        CronTriggerTimetable("30 1 * * *", timezone="America/New_York"),
        moment,
        at,
        catchup=True,
    )

scheduled(
    "zone_no_catchup",
    "0 3 * * *",
    datetime(2024, 3, 1, tzinfo=NEW_YORK),
    "2024-03-10T12:00:00+00:00",
    "2024-03-11T12:00:00+00:00",
)

# --- Manual runs --------------------------------------------------------------------------------------------------

for name, schedule in {
    "none": None,
    "cron": "0 6 * * *",
    "weekly": "@weekly",
    "delta": timedelta(hours=5),
    "trigger": CronTriggerTimetable("0 6 * * *", timezone="UTC"),
    "trigger_interval": CronTriggerTimetable("0 6 * * *", timezone="UTC", interval=timedelta(hours=6)),
    "delta_trigger": DeltaTriggerTimetable(timedelta(hours=5)),
    "once": "@once",
    "events": EventsTimetable([datetime(2024, 3, day, 5, tzinfo=UTC) for day in (6, 9, 12)]),
}.items():
    # Without a start date the schedule makes no runs of its own.
    with DAG(f"manual_{name}", schedule=schedule):
        EmptyOperator(task_id="a")
    SCENARIOS[f"manual_{name}"] = {
        "at": "2024-03-05T06:07:08+00:00",
        "triggers": [
            {"at": "2024-03-05T06:07:08+00:00", "logical_date": "2024-03-05T06:07:08+00:00"},
            {"at": "2024-03-05T06:30:00+00:00", "logical_date": "2024-03-01T12:00:00+00:00"},
        ],
    }

with DAG("manual_before_the_start", schedule="0 6 * * *", start_date=datetime(2030, 1, 1, tzinfo=UTC)):
    EmptyOperator(task_id="a")

with DAG("manual_on_the_grid", schedule="0 6 * * *"):
    EmptyOperator(task_id="a")
SCENARIOS["manual_on_the_grid"] = {
    "triggers": [{"at": "2024-03-05T06:07:08+00:00", "logical_date": "2024-03-05T06:00:00+00:00"}]
}

with DAG("manual_without_a_date", schedule="0 6 * * *"):
    EmptyOperator(task_id="a")
SCENARIOS["manual_without_a_date"] = {"triggers": [{"at": "2024-03-05T06:07:08+00:00"}]}

with DAG("manual_between_scheduled", schedule="@daily", start_date=datetime(2024, 3, 3, tzinfo=UTC), catchup=True):
    EmptyOperator(task_id="a")
SCENARIOS["manual_between_scheduled"] = {
    "at": "2024-03-05T06:00:00+00:00",
    "until": "2024-03-07T06:00:00+00:00",
    # The second takes the date of a run that the schedule would make, which is then left out.
    "triggers": [
        {"at": "2024-03-05T12:00:00+00:00", "logical_date": "2024-03-05T12:00:00+00:00"},
        {"at": "2024-03-05T13:00:00+00:00", "logical_date": "2024-03-05T00:00:00+00:00"},
    ],
}
