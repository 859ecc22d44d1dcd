"""What the pytest plugin does where ``--windlass-store`` names a server.

Tests of SQLite itself are skipped; the summary counts them and gives their reasons. Any other test that keeps its
tables in SQLite all the same fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windlass_testing.servers import ServerMissing
from windlass_testing.store_option import MARKER, OPTION
from windlass_testing.stores import Databases, chosen

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is about SQLite itself, and let its report carry the reason."""
    for item in items:
        if (marker := item.get_closest_marker(MARKER)) is not None:
            item.add_marker(pytest.mark.skip(reason=f"SQLite only: {marker.args[0]}"))
            item.user_properties.append((MARKER, marker.args[0]))


@pytest.fixture(scope="session", autouse=True)
def windlass_databases(pytestconfig: pytest.Config) -> Iterator[Databases]:
    """The databases on the server that was chosen; without one, no test can begin."""
    kind = str(pytestconfig.getoption(OPTION))
    manager = chosen(kind)
    try:
        databases = manager.__enter__()
    except ServerMissing as error:
        pytest.fail(f"{OPTION} {kind}: {error}", pytrace=False)
    yield databases
    manager.__exit__(None, None, None)


@pytest.fixture(scope="session", autouse=True)
def windlass_strays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[Path]]:
    """The SQLite files that tests have been told of; at the end, what several tests have shared is looked at too."""
    told: set[Path] = set()
    yield told
    _refuse(set(tmp_path_factory.getbasetemp().rglob("windlass.db")) - told)


@pytest.fixture(autouse=True)
def windlass_homes(
    windlass_databases: Databases, windlass_strays: set[Path], request: pytest.FixtureRequest
) -> Iterator[None]:
    """Drop the databases of a test's homes, once the test and its fixtures have let go of them."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    before = windlass_databases.homes
    yield
    windlass_databases.drop(windlass_databases.homes - before)
    if folder is not None:
        strays = set(folder.rglob("windlass.db"))
        windlass_strays |= strays
        _refuse(strays)


def _refuse(strays: set[Path]) -> None:
    if strays:
        pytest.fail(
            f"tables of a test are in SQLite, at {min(strays)}: give its processes and settings what "
            f"windlass_testing.stores.environ_of returns, or mark it {MARKER}, with the reason",
            pytrace=False,
        )


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Count what was not tried on the server, by reason."""
    reasons = Counter(
        str(value)
        for report in terminalreporter.stats.get("skipped", [])
        for name, value in getattr(report, "user_properties", ())
        if name == MARKER
    )
    kind = terminalreporter.config.getoption(OPTION)
    terminalreporter.section(f"tests of SQLite itself, not tried on {kind}: {reasons.total()}")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count:4}  {reason}")
