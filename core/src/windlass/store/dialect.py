"""SQLite, the database that is built in, and the way from a URL to the dialect of any other.

What a dialect is stands in :mod:`windlass.interfaces.database`. Other databases come with their providers, which name
theirs in the manifest.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from windlass.errors import ConfigError, StoreError
from windlass.interfaces.database import Dialect, Shell, Trouble

MINIMUM_SQLITE: Final = (3, 35, 0)
#: Their locks or shared memory cannot be trusted.
NETWORK_FILE_SYSTEMS: Final = frozenset({
    "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre", "gpfs",
    "beegfs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.davfs2", "davfs",
})  # fmt: skip
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


#: Where the driver of a database comes from, by the scheme of its URL.
_PROVIDERS: Final = {
    "postgresql": "windlass-postgres",
    "postgres": "windlass-postgres",
    "mysql": "windlass-mysql",
    "mariadb": "windlass-mysql",
}
_IN: Final = re.compile(r"\b(?:IDS|NAMES)\((:\w+)\)")
_LOCKS: Final = re.compile(r" (?:FOR_UPDATE|FOR_SHARE)(?: OF \w+)?(?: SKIP_LOCKED)?\b")
_BYTES: Final = re.compile(r"\bBYTES\(([\w.]+)\)")


def dialect_of(url: str, *, synchronous: str = "FULL") -> Dialect:
    """Return the dialect of the database at ``url``.

    :raises ConfigError: if nothing installed speaks to such a database; the message names what does.
    """
    scheme = scheme_of(url)
    if scheme == "sqlite":
        return SqliteDialect(sqlite_path(url), synchronous=synchronous)
    from windlass.registry import registry

    if registry().find("database_drivers", scheme) is None:
        if (package := _PROVIDERS.get(scheme)) is not None:
            raise ConfigError(f"a database at {scheme}:// needs a provider that is not there: pip install {package}")
        known = ", ".join(sorted({"sqlite", *registry().names("database_drivers")}))
        raise ConfigError(f"the database URL starts with {scheme!r}; the installed providers speak {known}")
    dialect: Dialect = registry().lookup("database_drivers", scheme)(url, synchronous=synchronous)
    return dialect


def scheme_of(url: str) -> str:
    """Return the kind of database that ``url`` names, without the driver (``postgresql+psycopg://…``)."""
    return url.partition(":")[0].partition("+")[0]


@lru_cache(maxsize=4096)
def _in_sqlite(sql: str) -> str:
    """Translate a statement once, for however many databases a test opens."""
    sql = _IN.sub(r"(SELECT value FROM json_each(\1))", sql)
    return _BYTES.sub(r"LENGTH(CAST(\1 AS BLOB))", _LOCKS.sub("", sql))


def sqlite_schema() -> str:
    """Return the statements that make an empty SQLite database a current one."""
    return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


#: What to do about a primary result code of SQLite.
_REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on its disk: what was committed is kept, and servers that run go on by themselves",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or failing; servers that run go on by themselves",
}


class _AnySqlite(Dialect):
    """What a file and a database in memory share."""

    name = "sqlite"
    begin = "BEGIN IMMEDIATE"
    error = sqlite3.Error
    violation = sqlite3.IntegrityError
    serial = True
    has_table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"

    def translate(self, sql: str) -> str:
        """Return ``sql`` in SQLite's words."""
        return _in_sqlite(sql)

    def execute_many(self, connection: Any, sql: str, params: Sequence[Mapping[str, Any]]) -> int:  # noqa: ANN401
        """Run a statement once per element."""
        count: int = connection.executemany(sql, params).rowcount
        return count

    def inserted(self, cursor: Any) -> int | None:  # noqa: ANN401 - sqlite3's
        """Return the new row's number."""
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def roll_back(self, connection: Any) -> None:  # noqa: ANN401 - sqlite3's
        """Undo the transaction unless SQLite has."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def schema(self) -> str:
        """Return the script beside this module."""
        return sqlite_schema()

    def version(self) -> str:
        """Return the version of the library."""
        return f"SQLite {sqlite3.sqlite_version}"


class SqliteDialect(_AnySqlite):
    """A SQLite file, in WAL mode, never checkpointed behind our back."""

    checkpoint = "PRAGMA wal_checkpoint(PASSIVE)"

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        if synchronous not in {"FULL", "NORMAL"}:
            raise ConfigError(f"database.synchronous is {synchronous!r}; choose FULL (survives power loss) or NORMAL")
        self._path = path
        self._synchronous = synchronous
        self.engine_url = f"sqlite:///{path}"

    def exists(self) -> bool:
        """Return whether there is a file."""
        return self._path.exists()

    def check(self) -> None:
        """Refuse what cannot keep our promises.

        Raises:
            ConfigError: SQLite is too old, or the file lies on a network file system.
        """
        if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
            wanted = ".".join(map(str, MINIMUM_SQLITE))
            raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old; Windlass needs {wanted} or newer")
        kind = file_system_of(self._path.parent)
        if kind in NETWORK_FILE_SYSTEMS:
            raise ConfigError(
                f"{self._path} lies on a network file system ({kind}), where SQLite can lose data; "
                "move WINDLASS_HOME to a local disk, or use PostgreSQL"
            )

    def connect(self) -> sqlite3.Connection:
        """Open the file, creating it readable by its owner only.

        An existing file must never be opened here but through SQLite: closing any descriptor of it drops every POSIX
        lock that this process holds on it, and then the next process to close the database deletes the log under us.
        """
        try:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"cannot open the database {self._path}: {error}; check that its folder is writable"
            ) from None
        return connection

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Set what every connection needs; may find the database busy."""
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        # With a million task instances, reads that miss the cache then cost no system call.
        connection.execute("PRAGMA mmap_size=268435456")
        set_session(connection)

    def wait_for_disk(self, connection: sqlite3.Connection, *, wait: bool) -> None:
        """Choose: the log is one file, so whoever syncs it syncs all that was written before."""
        connection.execute(f"PRAGMA synchronous={self._synchronous if wait else 'NORMAL'}")

    def trouble(self, error: Exception) -> Trouble | None:
        """Say BUSY of SQLITE_BUSY and SQLITE_LOCKED, extended codes included."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        busy = isinstance(error, sqlite3.OperationalError) and code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        return Trouble.BUSY if busy else None

    def sentence(self, error: Exception) -> str:
        """Return what SQLite says; where it is the disk, with the file and what to do."""
        remedy = _REMEDIES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        return str(error) if remedy is None else f"{error}: {self._path}; {remedy}"

    def erase(self, tables: Sequence[str]) -> None:
        """Delete the file and what belongs to it."""
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def shell(self) -> Shell:
        """Return how to start sqlite3.

        :raises ConfigError: if there is no database.
        """
        if not self._path.exists():
            raise ConfigError(f"there is no database at {self._path} yet; `windlass db migrate` makes it")
        # Only the scheduler moves the log into the database; a shell that is left open must not make others wait.
        quiet = (".output /dev/null", "PRAGMA wal_autocheckpoint=0", ".output")
        setup = (*quiet, "PRAGMA foreign_keys=ON", ".timeout 10000")
        options = [word for command in setup for word in ("-cmd", command)]
        return Shell(
            program="sqlite3",
            arguments=(*options, str(self._path)),
            remedy="install sqlite3, for example with apt or brew",
        )


class MemoryDialect(_AnySqlite):
    """A SQLite database in memory: one connection, which dies with its process."""

    single = True
    engine_url = "sqlite://"

    def __init__(self, image: bytes) -> None:
        self._image = image

    def connect(self) -> sqlite3.Connection:
        """Make a fresh copy of the prebuilt schema."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=512)
        connection.deserialize(self._image)
        self.prepare(connection)
        return connection

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Set what both kinds of SQLite database need."""
        set_session(connection)

    def trouble(self, error: Exception) -> Trouble | None:
        """Return None: nobody else can hold a lock."""
        return None

    def erase(self, tables: Sequence[str]) -> None:
        """Do nothing: it goes with its connection."""

    def shell(self) -> Shell:
        """Refuse.

        :raises ConfigError: always.
        """
        raise ConfigError("a database in memory has no shell")


def set_session(connection: sqlite3.Connection) -> None:
    """Set what both kinds of SQLite database need on every connection."""
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16384")


def sqlite_path(url: str) -> Path:
    """Return the file that ``url`` (``sqlite:///relative`` or ``sqlite:////absolute``) names.

    Raises:
        ConfigError: it is no SQLite URL, or names no file.
    """
    scheme, separator, rest = url.partition(":///")
    if not separator or scheme.partition("+")[0] != "sqlite" or not rest:
        shown = scheme.partition(":")[0]
        raise ConfigError(
            f"the database URL starts with {shown!r}; this release speaks SQLite: sqlite:////absolute/path/windlass.db"
        )
    return Path(unquote(rest.partition("?")[0])).absolute()


def file_system_of(folder: Path) -> str | None:
    """Return the type of the file system that ``folder`` lies on, None where the system does not tell (not Linux)."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    target = os.path.realpath(folder)
    best, found = -1, None
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        mount = _OCTAL.sub(lambda m: chr(int(m[1], 8)), left.split(" ")[4])
        inside = mount in {"/", target} or target.startswith(mount + "/")
        # Of mounts on the same point the later one lies on top.
        if inside and len(mount) >= best:
            best, found = len(mount), right.split(" ")[0]
    return found
