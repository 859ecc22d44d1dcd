"""SEMANTICS, section 4: which values travel between tasks, and what is said of those that do not."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest

from windlass import DAG, task
from windlass_testing.virtual import VirtualInstallation


class Colour(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Order:
    number: int
    when: datetime


class Point(msgspec.Struct, frozen=True):
    x: int
    y: tuple[int, ...] = ()


VALUES: dict[str, Any] = {
    "text": "grüße",
    "a whole number": -7,
    "a large number": 2**100,
    "a real number": 0.1,
    "a truth": True,
    "a list": [1, [2, None]],
    "a dict": {"a": {"b": 1}},
    "a dict with other keys": {1: "a", (2, 3): "b"},
    "datetime": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "datetime of a zone": datetime(2026, 3, 1, 12, tzinfo=ZoneInfo("Europe/Paris")),
    "date": date(2026, 3, 1),
    "time": time(12, 30),
    "timedelta": timedelta(days=1, microseconds=1),
    "tuple": (1, "a"),
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "bytes": b"\x00\xff",
    "Decimal": Decimal("1.10"),
    "UUID": UUID(int=7),
    "Path": PurePosixPath("/a/b"),
    "enum": Colour.RED,
    "dataclass": Order(1, datetime(2026, 1, 1, tzinfo=UTC)),
    "msgspec": Point(1, (2, 3)),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_the_same(windlass: VirtualInstallation, name: str) -> None:
    value = VALUES[name]
    seen: list[Any] = []
    with DAG("d", schedule=None) as dag:
        task(task_id="use")(seen.append)(task(task_id="make")(lambda: value)())
    windlass.run(dag)
    assert seen == [value]
    assert type(seen[0]) is type(value)


def both_ways(windlass: VirtualInstallation, value: Any) -> Any:
    """Return what becomes of a value between two tasks."""
    seen: list[Any] = []
    with DAG("d", schedule=None) as dag:
        task(task_id="use")(seen.append)(task(task_id="make")(lambda: value)())
    run = windlass.run(dag)
    assert run.state == "success", windlass.log(run, "make")
    return seen[0]


def test_attrs_objects_travel(windlass: VirtualInstallation) -> None:
    made = attrs.make_class("Made", ["a", "b"])
    made.__module__, made.__qualname__ = __name__, "Made"
    globals()["Made"] = made
    assert both_ways(windlass, made(1, [2])) == made(1, [2])


def test_an_unknown_type_fails_the_task_naming_key_type_and_remedy(windlass: VirtualInstallation) -> None:
    class Socket:
        pass

    with DAG("d", schedule=None) as dag:
        task(task_id="make")(lambda: Socket())()  # noqa: PLW0108 - a task is a function
    run = windlass.run(dag)
    assert windlass.states(run) == {"make": "failed"}
    reason = windlass.reason(run, "make")
    assert "return_value" in reason
    assert "Socket" in reason
    assert "return" in reason


def test_nothing_is_ever_pickled(windlass: VirtualInstallation) -> None:
    class Sly(dict[str, int]):
        def __reduce__(self) -> Any:
            raise AssertionError("somebody pickles")

    value = both_ways(windlass, Sly(a=1))
    assert value == {"a": 1}
