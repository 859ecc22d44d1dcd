"""The forms of data: table and plain for people and pipes, JSON and YAML for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec
import pytest
import yaml

from windlass.cli.output import Format, as_data, emit, emit_one
from windlass.cli.session import Session
from windlass.states import RunState


@pytest.fixture(autouse=True)
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in a command, where the configuration is found."""
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path))
    with click.Context(click.Command("test"), obj=Session()):
        yield


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    at: datetime | None = None
    tags: tuple[str, ...] = ()
    state: RunState = RunState.SUCCESS
    seconds: float | None = None
    more: dict[str, int] = msgspec.field(default_factory=dict)


NOON = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
THINGS = [Thing(name="a", at=NOON, tags=("x", "y"), seconds=1.25), Thing(name="longer")]


def test_json_has_every_field_with_instants_in_iso_8601(capsys: pytest.CaptureFixture[str]) -> None:
    emit(THINGS, ("name",), Format.JSON)
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "a",
            "at": "2026-03-01T12:00:00.000005+00:00",
            "tags": ["x", "y"],
            "state": "success",
            "seconds": 1.25,
            "more": {},
        },
        {"name": "longer", "at": None, "tags": [], "state": "success", "seconds": None, "more": {}},
    ]


def test_yaml_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    emit_one(THINGS[0], Format.YAML)
    assert yaml.safe_load(capsys.readouterr().out) == as_data(THINGS[0])


def test_a_table_is_aligned_and_empty_cells_are_empty(capsys: pytest.CaptureFixture[str]) -> None:
    emit(THINGS, ("name", "at", "tags"), Format.TABLE)
    assert capsys.readouterr().out == (
        "name    at                    tags\na       2026-03-01T12:00:00Z  x, y\nlonger\n"
    )


def test_plain_is_tab_separated_and_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    emit([Thing(name="two\nlines\there")], ("name", "state"), Format.PLAIN)
    assert capsys.readouterr().out == "name\tstate\ntwo lines here\tsuccess\n"


def test_one_thing_is_a_field_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    emit_one({"name": "a", "paused": True, "more": {"k": 1}, "nothing": None}, Format.TABLE)
    assert capsys.readouterr().out == 'name     a\npaused   yes\nmore     {"k":1}\nnothing\n'


def test_an_empty_list_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    emit([], ("name",), Format.JSON)
    assert json.loads(capsys.readouterr().out) == []
    emit([], ("name",), Format.TABLE)
    assert capsys.readouterr().out == "name\n"


def test_durations_are_seconds() -> None:
    assert as_data({"wait": timedelta(minutes=1, milliseconds=500)}) == {"wait": 60.5}


def test_colour_is_drawn_only_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    emit([{"state": "success"}], ("state",), Format.TABLE)
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("WINDLASS__CLI__COLOR", "always")
    with click.Context(click.Command("test"), obj=Session()):
        emit([{"state": "success"}], ("state",), Format.TABLE)
        assert "\x1b[32m" in capsys.readouterr().out
        monkeypatch.setenv("NO_COLOR", "1")
        emit([{"state": "success"}], ("state",), Format.TABLE)
        assert "\x1b[32m" not in capsys.readouterr().out
