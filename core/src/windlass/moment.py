"""Points in time: the one factory of datetimes that enter a context, and their text form.

Every datetime inside Windlass is aware and in UTC; specs and messages carry ISO 8601 with microseconds. User code
sees datetimes made by :func:`moment`, which a compatibility plugin may replace (for example to hand out pendulum
objects), so that no other place ever constructs one for a user.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from windlass.errors import ConfigError

MomentFactory = Callable[[datetime], datetime]

_factory: MomentFactory | None = None


def moment(value: datetime, tz: tzinfo | None = None) -> datetime:
    """Return ``value`` as user code shall see it: aware, in ``tz`` if given, made by the installed factory.

    A naive value is taken as UTC.
    """
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if tz is not None:
        aware = aware.astimezone(tz)
    return aware if _factory is None else _factory(aware)


def install_factory(factory: MomentFactory | None) -> None:
    """Let ``factory`` make the datetimes of contexts; it must return a subclass of datetime. None restores ours."""
    global _factory  # noqa: PLW0603 - one factory per process is the point
    _factory = factory


def utc(value: datetime, default: tzinfo = UTC) -> datetime:
    """Return ``value`` in UTC; a naive one is read in ``default``."""
    aware = value if value.tzinfo is not None else value.replace(tzinfo=default)
    return aware.astimezone(UTC)


def iso(value: datetime) -> str:
    """Return the text form used in JSON and logs: UTC, always with microseconds and ``+00:00``."""
    return utc(value).isoformat(timespec="microseconds")


def parse_moment(text: str, default: tzinfo = UTC) -> datetime:
    """Return the UTC datetime that ``text`` (ISO 8601; naive is read in ``default``) names.

    :raises ValueError: if the text is not an ISO 8601 date or datetime; the message names it.
    """
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is not an ISO 8601 date or datetime; write for example 2026-03-01 or 2026-03-01T06:30:00+01:00"
        raise ValueError(msg) from None
    return utc(value, default)


def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone ``name``.

    :raises ConfigError: if this machine does not know it.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        msg = f"time zone {name!r} is not known here; use an IANA name such as 'Europe/Paris', or install tzdata"
        raise ConfigError(msg) from None
