"""The cron language: what is accepted, what it means, and how a mistake is answered."""

# ruff: noqa: DTZ001 - wall times are naive

from __future__ import annotations

from datetime import datetime

import pytest

from windlass.errors import AuthoringError
from windlass.planning.timetables.expression import CronExpression

FROM = datetime(2024, 5, 1, 12)  # a Wednesday


def following(text: str, count: int = 3, start: datetime = FROM) -> list[str]:
    expression, found = CronExpression(text), []
    for _ in range(count):
        wall = expression.after(start)
        assert wall is not None
        assert expression.before(wall) is None or expression.after(expression.before(wall) or wall) == wall
        found.append(wall.strftime("%a %d %b %H:%M"))
        start = wall
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 6 * * *", ["Thu 02 May 06:30", "Fri 03 May 06:30", "Sat 04 May 06:30"]),
        ("0 0 1 jan-mar,DEC ?", ["Sun 01 Dec 00:00", "Wed 01 Jan 00:00", "Sat 01 Feb 00:00"]),
        ("0 0 ? * mon-FRI", ["Thu 02 May 00:00", "Fri 03 May 00:00", "Mon 06 May 00:00"]),
        ("0 0 * * SAT-SUN", ["Sat 04 May 00:00", "Sun 05 May 00:00", "Sat 11 May 00:00"]),
        ("0 0 * * 6-7", ["Sat 04 May 00:00", "Sun 05 May 00:00", "Sat 11 May 00:00"]),
        ("0 0 * * 7-1", ["Sun 05 May 00:00", "Mon 06 May 00:00", "Sun 12 May 00:00"]),
        ("0 0 * * 0-7", ["Thu 02 May 00:00", "Fri 03 May 00:00", "Sat 04 May 00:00"]),
        ("0 0 * * 0", ["Sun 05 May 00:00", "Sun 12 May 00:00", "Sun 19 May 00:00"]),
        ("0 22-2/2 * * *", ["Wed 01 May 22:00", "Thu 02 May 00:00", "Thu 02 May 02:00"]),
        ("10/25 12 * * *", ["Wed 01 May 12:10", "Wed 01 May 12:35", "Thu 02 May 12:10"]),
        ("0 0 L * *", ["Fri 31 May 00:00", "Sun 30 Jun 00:00", "Wed 31 Jul 00:00"]),
        ("0 0 LW * *", ["Fri 31 May 00:00", "Fri 28 Jun 00:00", "Wed 31 Jul 00:00"]),
        ("0 0 * * MON#2", ["Mon 13 May 00:00", "Mon 10 Jun 00:00", "Mon 08 Jul 00:00"]),
        ("0 0 * * L5", ["Fri 31 May 00:00", "Fri 28 Jun 00:00", "Fri 26 Jul 00:00"]),
        ("0 0 * * LFRI", ["Fri 31 May 00:00", "Fri 28 Jun 00:00", "Fri 26 Jul 00:00"]),
        ("0 0 * * 5L", ["Fri 31 May 00:00", "Fri 28 Jun 00:00", "Fri 26 Jul 00:00"]),
        ("0 0 */1 * MON", ["Mon 06 May 00:00", "Mon 13 May 00:00", "Mon 20 May 00:00"]),
        ("0 0 29 2 *", ["Tue 29 Feb 00:00", "Sun 29 Feb 00:00", "Fri 29 Feb 00:00"]),
    ],
)
def test_says_when(text: str, expected: list[str]) -> None:
    assert following(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0 13 * FRI", ["Fri 03 May 00:00", "Fri 10 May 00:00", "Mon 13 May 00:00"]),
        ("0 0 */15 * MON", ["Mon 06 May 00:00", "Mon 13 May 00:00", "Thu 16 May 00:00"]),
        ("0 0 20 * */6", ["Sat 04 May 00:00", "Sun 05 May 00:00", "Sat 11 May 00:00"]),
    ],
)
def test_day_of_month_and_weekday_both_set_means_either(text: str, expected: list[str]) -> None:
    assert following(text) == expected


def test_the_sixth_field_is_the_second() -> None:
    expression = CronExpression("30 6 * * * 15,45")
    assert expression.after(datetime(2024, 5, 1, 6, 30, 15)) == datetime(2024, 5, 1, 6, 30, 45)
    assert expression.after(datetime(2024, 5, 1, 6, 30, 45)) == datetime(2024, 5, 2, 6, 30, 15)
    assert expression.before(datetime(2024, 5, 1, 6, 30, 45)) == datetime(2024, 5, 1, 6, 30, 15)
    twice = CronExpression("0 6,7 * * * 15,45")
    assert twice.before(datetime(2024, 5, 1, 7, 0, 15)) == datetime(2024, 5, 1, 6, 0, 45)
    assert expression.before(datetime(2024, 5, 1, 6, 30, 15)) == datetime(2024, 4, 30, 6, 30, 45)


@pytest.mark.parametrize(
    ("text", "field", "example"),
    [
        ("60 * * * *", "minute '60'", "0 to 59"),
        ("*/90 * * * *", "minute '*/90'", r"'\*/15'"),
        ("0 25 * * *", "hour '25'", "0 to 23"),
        ("0 5-25 * * *", "hour '5-25'", "'9-17'"),
        ("0 0 0 * *", "day-of-month '0'", "1 to 31"),
        ("0 0 30 2 *", "day-of-month '30'", "that its months have"),
        ("0 0 * JANUARY *", "month 'JANUARY'", "'JAN-MAR'"),
        ("0 0 * 13 *", "month '13'", "1 to 12"),
        ("0 0 * * MOO", "day-of-week 'MOO'", "'MON-FRI'"),
        ("0 0 * * MOO-FRI", "day-of-week 'MOO-FRI'", "'MON-FRI'"),
        ("0 0 * * L", "day-of-week 'L'", "'MON-FRI'"),
        ("0 0 * * 1#7", "day-of-week '1#7'", "'MON-FRI'"),
        ("1,, * * * *", "minute '1,,'", "0 to 59"),
        ("*/0 * * * *", r"minute '*/0'", "0 to 59"),
        ("0 0 * * * 99", "second '99'", "0 to 59"),
    ],
)
def test_a_mistake_is_named_with_its_field_and_an_example(text: str, field: str, example: str) -> None:
    with pytest.raises(AuthoringError, match=example) as caught:
        CronExpression(text)
    assert f"cron expression {text!r}: {field} is not valid here" in str(caught.value)


@pytest.mark.parametrize("text", ["", "* * * *", "* * * * * * *", "daily"])
def test_a_wrong_number_of_fields_names_the_shape(text: str) -> None:
    with pytest.raises(AuthoringError, match=r"fields; write minute hour .* for example '30 6 \* \* MON-FRI'"):
        CronExpression(text)


@pytest.mark.parametrize("text", ["0 0 30 2 6#6", "0 0 31 4 ?", "0 0 31 2,4,6,9,11 *"])
def test_a_day_that_never_comes_is_refused(text: str) -> None:
    with pytest.raises(AuthoringError):
        CronExpression(text)
