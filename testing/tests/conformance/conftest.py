"""The installation that the lines of the specification are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass.authoring import scope
from windlass_testing.virtual import VirtualInstallation


@pytest.fixture
def windlass(tmp_path: Path) -> Iterator[VirtualInstallation]:
    with scope.detached():
        installation = VirtualInstallation(tmp_path / "home")
        yield installation
        installation.close()
