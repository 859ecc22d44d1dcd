from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from windlass.cli.root import run
from windlass.cli.session import Session
from windlass_testing.installation import Installation
from windlass_testing.stores import use_home


@dataclass
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)


Windlass = Callable[..., Outcome]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    use_home(monkeypatch, tmp_path / "home")
    made = Installation(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def calling(capsys: pytest.CaptureFixture[str]) -> Callable[[Installation], Windlass]:
    """Return what makes a function that runs commands over an installation."""

    def over(here: Installation) -> Windlass:
        def call(*args: str) -> Outcome:
            capsys.readouterr()
            code = run(args, Session(control=here.control))
            captured = capsys.readouterr()
            return Outcome(code, captured.out, captured.err)

        return call

    return over


@pytest.fixture
def windlass(here: Installation, calling: Callable[[Installation], Windlass]) -> Windlass:
    """Run a command over the installation ``here``."""
    return calling(here)
