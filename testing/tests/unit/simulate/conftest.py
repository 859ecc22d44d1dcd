from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass_testing.command_line import CommandLine
from windlass_testing.installation import Installation
from windlass_testing.stores import use_home


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    use_home(monkeypatch, tmp_path / "home")
    made = Installation(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def windlass(here: Installation, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Run a command over the installation ``here``."""
    return CommandLine(here, capsys)
