"""The database's schema: creating, checking and resetting it. These commands need no open store."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import msgspec

from windlass.config import Settings
from windlass.control.alive import Alive
from windlass.control.configuration import resolved
from windlass.errors import ConfigError, Conflict
from windlass.moment import iso
from windlass.store import SchemaState, current_revision
from windlass.store import migrate as migrate_schema
from windlass.store import reset as reset_schema
from windlass.store.dialect import dialect_of, scheme_of, sqlite_path
from windlass.store.migrating import downgrade as downgrade_schema
from windlass.store.migrating import open_bare, steps_down
from windlass.store.revision import HEAD, state_of
from windlass.store.schedulers import Schedulers


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """How a database's schema relates to this release. The URL is shown without its password."""

    url: str
    state: SchemaState
    revision: str | None

    @property
    def current(self) -> bool:
        """Whether this release can work with the database."""
        return self.state is SchemaState.CURRENT


def database_url(settings: Settings) -> str:
    """Return the URL of the database: the configured one, else ``windlass.db`` in the home."""
    return resolved(settings).database.sql_alchemy_conn or f"sqlite:///{settings.home}/windlass.db"


def file_elsewhere(settings: Settings) -> Path | None:
    """Return SQLite's file if it does not lie in the home, whose lock then does not guard it."""
    url = database_url(settings)
    if scheme_of(url) != "sqlite" or (file := sqlite_path(url)).parent == settings.home:
        return None
    return file


def shown(url: str) -> str:
    """Return a database URL without its password."""
    scheme, separator, rest = re.sub(r"([?&]\w*password=)[^&]*", r"\1***", url).partition("://")
    credentials, at, address = rest.rpartition("@")
    login = credentials.partition(":")[0]
    return f"{scheme}{separator}{login}{':***' if ':' in credentials else ''}{at}{address}"


def migrate(settings: Settings) -> str:
    """Create the database or bring its schema up to date, and return its revision."""
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return migrate_schema(database_url(settings))


def check(settings: Settings) -> Schema:
    """Return how the database's schema relates to this release."""
    url = database_url(settings)
    revision = current_revision(url)
    return Schema(url=shown(url), state=state_of(revision), revision=revision)


def newest() -> str:
    """Return the revision that this release needs."""
    return HEAD


def downgrade_steps(settings: Settings, revision: str) -> tuple[str, ...]:
    """Return the revisions that going back to ``revision`` undoes, the newest first.

    :raises UsageError: if there is no such revision, or it is newer than the database.
    """
    return steps_down(database_url(settings), revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Take the schema back to an earlier revision.

    :raises Conflict: while somebody uses the database.
    """
    require_unused(settings)
    downgrade_schema(database_url(settings), revision)


def open_shell(settings: Settings, arguments: Sequence[str]) -> NoReturn:
    """Become the database's own shell; never returns.

    :raises ConfigError: if it is not installed, or there is no database.
    """
    shell = dialect_of(database_url(settings)).shell()
    program = shutil.which(shell.program)
    if program is None:
        raise ConfigError(f"the database's shell, {shell.program}, is not installed; {shell.remedy}")
    sys.stdout.flush()
    command = [shell.program, *shell.arguments, *arguments]
    os.execve(program, command, {**os.environ, **shell.environment})  # noqa: S606 - it is what was asked for


def require_unused(settings: Settings) -> None:
    """Check that nobody uses the database.

    :raises Conflict: if one does, or the scheduler of another home that shares it.
    """
    alive = Alive(settings.home / "run")
    running = [f"{owner.name} (process {owner.pid})" for owner in alive.owners() if owner.pid]
    url = database_url(settings)
    if not running and dialect_of(url).shared and state_of(current_revision(url)) is SchemaState.CURRENT:
        with closing(open_bare(url, create=False)) as database:
            running = [
                f"scheduler of {row.home} (process {row.pid}, or what it has left until {iso(row.lease_until)})"
                for row in alive.of(Schedulers(database).living())
            ]
    if running:
        raise Conflict(f"the database is in use by the {' and the '.join(running)}; stop it first")


def reset(settings: Settings) -> str:
    """Delete everything in the database, create it anew, and return its revision.

    :raises Conflict: while somebody uses it.
    """
    require_unused(settings)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return reset_schema(database_url(settings))
