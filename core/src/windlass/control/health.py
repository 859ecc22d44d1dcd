"""What this installation is, and checks of its health: each says what it found and, where it is trouble, the remedy.

A check never stops the others: what it raises is its finding.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from windlass.config import Settings
from windlass.control import database, plugins
from windlass.control.alive import Alive
from windlass.errors import WindlassError
from windlass.secrets.files import secret_files
from windlass.store import SchemaState, Store, invariant_violations
from windlass.store.dialect import dialect_of
from windlass.store.migrating import open_bare
from windlass.store.outbox import MOST_FAILURES
from windlass.store.schedulers import Schedulers

#: Releases in which two connections that checkpoint at once can corrupt a WAL database.
_WAL_BUG = (3, 7, 0), (3, 51, 2)
_OLDEST_SQLITE = (3, 35, 0)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The finding of one check."""

    name: str
    ok: bool
    finding: str
    remedy: str | None = None


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, paths and the settings that matter most, without secrets."""

    windlass: str
    python: str
    platform: str
    sqlite: str
    home: str
    dags_folder: str
    logs: str
    database: str
    executor: str
    timezone: str
    providers: tuple[str, ...]


def describe(settings: Settings) -> Installation:
    """Return what a bug report should say of this installation."""
    import platform

    from windlass.version import __version__

    return Installation(
        windlass=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        sqlite=sqlite3.sqlite_version,
        home=str(settings.home),
        dags_folder=str(settings.core.dags_folder),
        logs=str(settings.logging.base_log_folder),
        database=database.shown(database.database_url(settings)),
        executor=settings.core.executor,
        timezone=settings.core.default_timezone,
        providers=tuple(f"{row.name} {row.version}".strip() for row in plugins.providers()),
    )


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the findings, the quick ones first."""
    steps: dict[str, Callable[[Settings], Iterator[Check]]] = {
        "home": _home,
        "driver": _driver,
        "secrets": _secret_files,
        "database": _database,
        "processes": _processes,
        "schedulers": _schedulers,
        "plugins": _plugins,
    }
    for name, step in steps.items():
        try:
            yield from step(settings)
        except (WindlassError, OSError) as error:
            yield Check(name=name, ok=False, finding=str(error))


def _home(settings: Settings) -> Iterator[Check]:
    home = settings.home
    if not home.exists():
        yield Check(name="home", ok=True, finding=f"{home} does not exist yet; the first use creates it")
        return
    yield _private("home", home)
    for name in ("windlass.db", "fernet.key", "run"):
        path = home / name
        if path.exists():
            yield _private(name, path)


def _private(name: str, path: Path) -> Check:
    status = path.stat()
    if status.st_uid != os.geteuid():
        finding = f"{path} belongs to user {status.st_uid}"
        return Check(name=name, ok=False, finding=finding, remedy=f"chown {os.geteuid()} {path}")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(status.st_mode)
        remedy = f"chmod go= {path}"
        return Check(name=name, ok=False, finding=f"{path} is open to other users (mode {mode:04o})", remedy=remedy)
    return Check(name=name, ok=True, finding=f"{path} is private")


def _driver(settings: Settings) -> Iterator[Check]:
    dialect = dialect_of(database.database_url(settings))
    if dialect.name == "sqlite":
        yield from _sqlite()
    else:
        yield Check(name=dialect.name, ok=True, finding=dialect.version())
        for finding, remedy in dialect.weaknesses():
            yield Check(name=dialect.name, ok=False, finding=finding, remedy=remedy)


def _secret_files(settings: Settings) -> Iterator[Check]:
    """The files that define connections and variables.

    A deployment may have put them there, owned by another user and for a group to read. That everybody may read them,
    or others write them, is never meant.
    """
    for path in secret_files(settings.secrets.files_folder):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IWGRP | stat.S_IRWXO):
            can = "written by others" if mode & (stat.S_IWGRP | stat.S_IWOTH) else "read by every user"
            finding = f"{path} can be {can} (mode {mode:04o}), and it may hold secrets"
            yield Check(name="secrets", ok=False, finding=finding, remedy=f"chmod g-w,o= {path}")
        else:
            yield Check(name="secrets", ok=True, finding=f"{path} is closed to other users")


def _sqlite() -> Iterator[Check]:
    version = sqlite3.sqlite_version_info
    text = sqlite3.sqlite_version
    if version < _OLDEST_SQLITE:
        yield Check(name="sqlite", ok=False, finding=f"SQLite {text} is too old", remedy="use SQLite 3.35 or newer")
    elif _WAL_BUG[0] <= version <= _WAL_BUG[1]:
        finding = f"SQLite {text}; its checkpoint bug is avoided, since one process checkpoints"
        yield Check(name="sqlite", ok=True, finding=finding)
    else:
        yield Check(name="sqlite", ok=True, finding=f"SQLite {text}")


def _database(settings: Settings) -> Iterator[Check]:
    schema = database.check(settings)
    yield Check(
        name="database",
        ok=schema.state is SchemaState.CURRENT,
        finding=f"{schema.url} is {schema.state.value}" + (f" (revision {schema.revision})" if schema.revision else ""),
        remedy=_SCHEMA_REMEDIES.get(schema.state),
    )


_SCHEMA_REMEDIES = {
    SchemaState.MISSING: "windlass db migrate",
    SchemaState.OLDER: "windlass db migrate",
    SchemaState.NEWER: "upgrade windlass",
}


def _processes(settings: Settings) -> Iterator[Check]:
    for owner in Alive(settings.home / "run").owners():
        finding = "is not running" if owner.pid is None else f"is process {owner.pid}"
        yield Check(name="processes", ok=True, finding=f"{owner.name} {finding}")


def _schedulers(settings: Settings) -> Iterator[Check]:
    """The schedulers that share a database, on whatever host; without leases there is one at most, a process above."""
    url = database.database_url(settings)
    if not dialect_of(url).shared or database.check(settings).state is not SchemaState.CURRENT:
        return
    with closing(open_bare(url)) as opened:
        living = Alive(settings.home / "run").of(Schedulers(opened).living())
    for row in living:
        finding = f"the scheduler of {row.home} (pid {row.pid}) holds {row.dags} DAGs"
        yield Check(name="schedulers", ok=True, finding=finding)
    if not living:
        yield Check(name="schedulers", ok=True, finding="no scheduler works on the database")


def _plugins(_settings: Settings) -> Iterator[Check]:
    for broken in plugins.broken_plugins():
        yield Check(name="plugins", ok=False, finding=f"{broken.name}: {broken.error}", remedy=broken.remedy)
    for entry in plugins.duplicate_names():
        finding = f"{entry.kind} {entry.name!r} is claimed by {entry.first} and {entry.second}; {entry.first} has it"
        yield Check(name="plugins", ok=False, finding=finding, remedy="uninstall one of the two")
    yield Check(name="plugins", ok=True, finding=f"{len(plugins.providers())} providers can be used")


def broken_promises(store: Store, alive: Alive) -> Iterator[Check]:
    """Yield what the database holds that must not be, or say that nothing does.

    What only a living scheduler promises is asked while one runs.
    """
    violations = invariant_violations(store.db, liveness=alive.scheduler())
    for violation in violations:
        finding = f"{violation.name}: not true that {violation.promise}: {violation.row}"
        yield Check(name="invariants", ok=False, finding=finding)
    if not violations:
        yield Check(name="invariants", ok=True, finding="every promise holds")
    for row, event, provider in store.outbox.given_up():
        whose = f"the observer {event} of provider {provider}" if provider else f"the callback of event {event}"
        finding = f"{whose} failed {MOST_FAILURES} times on outbox row {row} and is not tried again"
        yield Check(name="outbox", ok=False, finding=finding, remedy="look for its error in the log")
