"""The option ``--windlass-store`` of the pytest plugin: the same tests, with Windlass's own tables on a server.

A test of SQLite itself says so, ``@pytest.mark.sqlite_only("why")``. What is done on a server stands in
:mod:`windlass_testing.on_server`.
"""

from __future__ import annotations

from typing import Final

import pytest

OPTION: Final = "--windlass-store"
MARKER: Final = "sqlite_only"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose where Windlass's own tables are."""
    parser.getgroup("windlass").addoption(
        OPTION,
        choices=["sqlite", "postgresql", "mariadb"],
        default="sqlite",
        help="Where the homes of tests keep Windlass's own tables: in SQLite, or each in a database of a server.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and watch over the tests where a server was chosen."""
    config.addinivalue_line("markers", f"{MARKER}(reason): is about SQLite itself, and skipped with {OPTION}")
    if config.getoption(OPTION) != "sqlite":
        config.pluginmanager.import_plugin("windlass_testing.on_server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Insist on a reason."""
    for item in items:
        marker = item.get_closest_marker(MARKER)
        if marker is not None and not (len(marker.args) == 1 and isinstance(marker.args[0], str) and marker.args[0]):
            raise pytest.UsageError(f'{item.nodeid}: say why, as in @pytest.mark.{MARKER}("locks are files there")')
