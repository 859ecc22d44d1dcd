"""Commands of ``windlass``, run over an :class:`Installation` in the process of the test: for tests of commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from windlass.cli.root import run
from windlass.cli.session import Session
from windlass_testing.installation import Installation


@dataclass
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:  # noqa: ANN401 - JSON
        """What it printed, as data."""
        return json.loads(self.out)


class CommandLine:
    """Runs commands over an installation: ``windlass("dags", "list", "-o", "json").data``."""

    def __init__(self, here: Installation, capsys: pytest.CaptureFixture[str]) -> None:
        self._here = here
        self._capsys = capsys

    def __call__(self, *args: str) -> Outcome:
        """Run the command that ``args`` name."""
        self._capsys.readouterr()
        code = run(args, Session(control=self._here.control))
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)
