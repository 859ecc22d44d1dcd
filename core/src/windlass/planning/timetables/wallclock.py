"""From the time on the wall to instants: where daylight saving is decided, once for all schedules.

A wall time of a zone is one instant, except where the clock is changed: turned back, a wall time happens twice;
turned forward, a wall time is missing. Wall times here are naive datetimes, instants are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo


def occurrences(wall: datetime, zone: tzinfo) -> tuple[datetime, ...]:
    """Return the instants at which the clock of ``zone`` shows ``wall``: one; two, in order; or none."""
    first = wall.replace(tzinfo=zone, fold=0)
    early, late = first.utcoffset(), first.replace(fold=1).utcoffset()
    assert early is not None  # noqa: S101 - a tzinfo that has no offset is no zone
    assert late is not None  # noqa: S101
    as_utc = wall.replace(tzinfo=UTC, fold=0)
    if early == late:
        return (as_utc - early,)
    # PEP 495: in a gap, fold=0 reads the clock as before the change, fold=1 as after it, hence early < late.
    return (as_utc - early, as_utc - late) if early > late else ()


def first_valid(wall: datetime, zone: tzinfo) -> datetime:
    """Return the instant at which the clock of ``zone`` jumps over ``wall``, which must be missing."""
    first = wall.replace(tzinfo=zone, fold=0)
    early, late = first.utcoffset(), first.replace(fold=1).utcoffset()
    assert early is not None  # noqa: S101 - as above
    assert late is not None  # noqa: S101
    low = wall.replace(tzinfo=UTC, fold=0) - late  # the change has not come yet
    seconds = int((late - early).total_seconds())  # … and has, so many seconds later
    shortest = 0
    while seconds - shortest > 1:
        middle = (shortest + seconds) // 2
        if (low + timedelta(seconds=middle)).astimezone(zone).utcoffset() == early:
            shortest = middle
        else:
            seconds = middle
    return low + timedelta(seconds=seconds)


def resolve(wall: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a job at the fixed time ``wall``: the first of two, and for none the first valid one."""
    found = occurrences(wall, zone)
    return found[0] if found else first_valid(wall, zone)
