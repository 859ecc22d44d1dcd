"""A store with a virtual clock, one in a database that others can open too, and the moves of an engine over them.

What uses ``store``, ``engine``, ``url`` or ``file_engine`` runs on SQLite, PostgreSQL and MariaDB, or on what was
chosen; ``sqlite_url`` is for what is true of SQLite's files alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windlass.app.clocks import SeededRng, SystemClock, SystemRng, VirtualClock
from windlass.store import Store, migrate, open_store
from windlass.store.migrating import open_bare
from windlass_testing.hand_driven import HandDriven
from windlass_testing.stores import SQLITE, emptied_url, over_each_kind

KEY = "3Ui4nqRvqjlVb5jHQ7sYPG1CDiFbDLOYEIUxTyx2I_c="


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for ``kind`` over each."""
    over_each_kind(metafunc, "kind")


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    return str(request.param)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 1, 6, 0, tzinfo=UTC))


@pytest.fixture
def store(kind: str, clock: VirtualClock, request: pytest.FixtureRequest) -> Iterator[Store]:
    if kind == SQLITE:
        store = Store.memory(clock, SeededRng(1), keys=[KEY])
    else:
        store = open_store(emptied_url(kind, request), clock=clock, rng=SeededRng(1), keys=[KEY])
    yield store
    store.close()


@pytest.fixture
def engine(store: Store, clock: VirtualClock) -> Iterator[HandDriven]:
    engine = HandDriven(store, clock)
    yield engine
    assert not engine.violations(), "every test leaves the invariants whole"


@pytest.fixture
def first_release() -> Callable[[str], str]:
    """Make an empty database, given its URL, what the first release made of one; return the URL.

    The scripts are frozen: an upgrade is proved from what is out there, whatever the code of today says of it.
    """

    def make(url: str) -> str:
        with closing(open_bare(url)) as database:
            script = Path(__file__).parent / "first_release" / f"{database.dialect.name}.sql"
            statements = script.read_text(encoding="utf-8").split(";\n")
            database.write(lambda transaction: [transaction.run(each) for each in statements if each])
        return url

    return make


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/windlass.db"
    migrate(url)
    return url


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> str:
    if kind == SQLITE:
        return str(request.getfixturevalue("sqlite_url"))
    return emptied_url(kind, request)


@pytest.fixture
def file_engine(url: str) -> Iterator[HandDriven]:
    clock = SystemClock()
    store = open_store(url, clock=clock, rng=SystemRng(), keys=[KEY])
    engine = HandDriven(store, clock)
    yield engine
    assert not engine.violations(), "every test leaves the invariants whole"
    store.close()
