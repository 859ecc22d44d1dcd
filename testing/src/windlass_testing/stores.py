"""Where tests keep Windlass's own tables: in SQLite, or where ``--windlass-store`` says, in databases of a server.

What makes a home says here which: :func:`url_of` is the URL of the home's database, :func:`environ_of` is how processes
find both, and :func:`new_store` opens a store that needs no home. On a server each home has a database of its own,
without tables like a new home's, and it is dropped after the test.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from windlass.ports import Clock, Rng
from windlass.store import Store, open_store
from windlass_testing.databases import emptied
from windlass_testing.servers import mysql, mysql_address, postgres, postgres_address

SQLITE: Final = "sqlite"


class Server(NamedTuple):
    """A kind of server: what finds or starts one, and what makes an empty database on it; both give URLs."""

    find: Callable[[], AbstractContextManager[str]]
    make: Callable[[str], AbstractContextManager[str]]


SERVERS: Final = {"postgresql": Server(postgres_address, postgres), "mariadb": Server(mysql_address, mysql)}
#: The fixtures that give the URL of one database of each kind.
URL_FIXTURES: Final = {"postgresql": "postgres_url", "mariadb": "mysql_url"}
#: Those that are tried beside SQLite where no kind is chosen.
TRIED: Final = ("postgresql", "mariadb")


class Databases:
    """The databases that the homes and stores of tests use on one server."""

    def __init__(self, make: Callable[[], AbstractContextManager[str]]) -> None:
        self._make = make
        self._homes: dict[Path, tuple[str, ExitStack]] = {}
        self._idle: list[str] = []
        self._lent = ExitStack()

    def of_home(self, home: Path) -> str:
        """Return the URL of a home's database, which is made when it is first asked for."""
        home = home.absolute()
        if home not in self._homes:
            made = ExitStack()
            self._homes[home] = made.enter_context(self._make()), made
        return self._homes[home][0]

    @property
    def homes(self) -> frozenset[Path]:
        """The homes that have databases."""
        return frozenset(self._homes)

    def drop(self, homes: Collection[Path]) -> None:
        """Drop the databases of these homes."""
        for home in homes:
            self._homes.pop(home)[1].close()

    def lend(self) -> str:
        """Return the URL of a database with current tables and no rows; :meth:`give_back` when it is closed.

        To empty one that was used is several times quicker than to make one.
        """
        return emptied(self._idle.pop() if self._idle else self._lent.enter_context(self._make()))

    def give_back(self, url: str) -> None:
        """Let the next borrower have this database."""
        self._idle.append(url)

    def close(self) -> None:
        """Drop all."""
        self.drop(self.homes)
        self._lent.close()


_chosen: Databases | None = None


@contextmanager
def chosen(kind: str) -> Iterator[Databases]:
    """Keep the tables of the tests inside this block on a server of this kind.

    :raises ServerMissing: if there is none.
    """
    global _chosen  # noqa: PLW0603 - what a test makes deep inside must know of the option too
    server = SERVERS[kind]
    with server.find() as address:
        _chosen = databases = Databases(lambda: server.make(address))
        try:
            yield databases
        finally:
            _chosen = None
            databases.close()


def url_of(home: Path) -> str:
    """Return the URL of the database of a home."""
    return f"sqlite:///{home}/windlass.db" if _chosen is None else _chosen.of_home(home)


def environ_of(home: Path) -> dict[str, str]:
    """Return the variables by which a process finds a home, and its database where that is on a server."""
    environ = {"WINDLASS_HOME": str(home)}
    if _chosen is not None:
        environ["WINDLASS__DATABASE__SQL_ALCHEMY_CONN"] = _chosen.of_home(home)
    return environ


def use_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let this process, and those that it starts, find a home and its database."""
    for name, value in environ_of(home).items():
        monkeypatch.setenv(name, value)


def new_store(clock: Clock, rng: Rng, *, keys: Sequence[str] = ()) -> Store:
    """Return a fresh store: in memory, or over a database of the server."""
    if _chosen is None:
        return Store.memory(clock, rng, keys=keys)
    databases, url = _chosen, _chosen.lend()
    store = open_store(url, clock=clock, rng=rng, keys=keys)
    store.on_close(lambda: databases.give_back(url))
    return store


def on_server() -> bool:
    """Return whether the tables are on a server, where each statement is a trip."""
    return _chosen is not None


def over_each_kind(metafunc: pytest.Metafunc, argument: str, *others: object, tried: Sequence[str] = TRIED) -> None:
    """Run a test that uses the fixture ``argument`` over ``others``, SQLite and the ``tried``, or the chosen kind only.

    A test of SQLite itself runs there alone. One that gives the argument itself is left as it is.
    """
    given = {name for marker in metafunc.definition.iter_markers("parametrize") for name in _names(marker.args[0])}
    if argument not in metafunc.fixturenames or argument in given:
        return
    kind = chosen_kind(metafunc)
    kinds: list[object] = [kind]
    if metafunc.definition.get_closest_marker("sqlite_only") is not None:
        kinds = [SQLITE]
    elif kind == SQLITE:
        kinds += [pytest.param(other, marks=pytest.mark.services) for other in tried]
    metafunc.parametrize(argument, [*others, *kinds], indirect=True)


def chosen_kind(metafunc: pytest.Metafunc) -> str:
    """Return the kind of database that ``--windlass-store`` chose, SQLite by default."""
    return str(metafunc.config.getoption("--windlass-store"))


def _names(argnames: str | Sequence[str]) -> Sequence[str]:
    return [name.strip() for name in argnames.split(",")] if isinstance(argnames, str) else argnames


def emptied_url(kind: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of a database on a server of this kind, with current tables and no rows: the session's, reused."""
    return emptied(request.getfixturevalue(URL_FIXTURES[kind]))
