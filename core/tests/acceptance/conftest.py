"""The installation that a test of whole processes has to itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass_testing.live import LiveInstallation
from windlass_testing.stores import URL_FIXTURES, emptied_url, over_each_kind

Installation = LiveInstallation


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``each_database`` over each."""
    if metafunc.definition.get_closest_marker("each_database") is not None:
        over_each_kind(metafunc, "database")


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database, for a test that runs over each; else what was chosen for all."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def installation(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> Iterator[Installation]:
    url = emptied_url(database, request) if database in URL_FIXTURES else None
    made = Installation(tmp_path, database=url)
    yield made
    made.close()
