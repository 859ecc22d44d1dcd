"""Where databases differ: how to connect, how a transaction begins, and the few words of SQL that are not the same.

Statements everywhere else in this room are written once, with ``:name`` parameters and these words, which a dialect
turns into its own SQL, once per statement:

- ``IDS(:ids)`` and ``NAMES(:names)``: a table of the numbers or texts of a JSON array, so that a statement about many
  rows has one text and one parameter whatever their number.
- ``FOR_UPDATE``: lock the rows read until the end of the transaction; nothing where writers exclude each other.

SQLite is built in. Another database brings its driver with its provider and subclasses :class:`Dialect`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from windlass.errors import ConfigError, StoreError

MINIMUM_SQLITE: Final = (3, 35, 0)
#: Their locks or shared memory cannot be trusted.
NETWORK_FILE_SYSTEMS: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "gpfs",
        "beegfs",
    }
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.davfs2", "davfs"}
)
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class Dialect(ABC):
    """One kind of database."""

    name: str
    #: What begins a transaction that will write.
    begin: str

    @abstractmethod
    def connect(self) -> sqlite3.Connection:
        """Open a connection in autocommit mode."""

    @abstractmethod
    def translate(self, sql: str) -> str:
        """Return ``sql`` in this database's words."""

    @abstractmethod
    def is_busy(self, error: Exception) -> bool:
        """Whether the statement failed only because somebody else holds a lock, and may be repeated."""


class SqliteDialect(Dialect):
    """A SQLite file, in WAL mode, never checkpointed behind our back."""

    name = "sqlite"
    begin = "BEGIN IMMEDIATE"

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        if synchronous not in {"FULL", "NORMAL"}:
            raise ConfigError(f"database.synchronous is {synchronous!r}; choose FULL (survives power loss) or NORMAL")
        self._path = path
        self._synchronous = synchronous

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

    def translate(self, sql: str) -> str:
        """Return ``sql`` in SQLite's words."""
        return translate_sqlite(sql)

    def is_busy(self, error: Exception) -> bool:
        """Whether another connection holds the lock."""
        return is_sqlite_busy(error)


class MemoryDialect(Dialect):
    """A SQLite database in memory: one connection, which dies with its process."""

    name = "sqlite"
    begin = "BEGIN IMMEDIATE"

    def __init__(self, image: bytes) -> None:
        self._image = image

    def connect(self) -> sqlite3.Connection:
        """Make a fresh copy of the prebuilt schema."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=512)
        connection.deserialize(self._image)
        set_session(connection)
        return connection

    def translate(self, sql: str) -> str:
        """Return ``sql`` in SQLite's words."""
        return translate_sqlite(sql)

    def is_busy(self, error: Exception) -> bool:
        """Nobody else can hold a lock."""
        return False


def set_session(connection: sqlite3.Connection) -> None:
    """Set what both kinds of SQLite database need on every connection."""
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16384")


def translate_sqlite(sql: str) -> str:
    """Return ``sql`` in SQLite's words."""
    sql = sql.replace("IDS(", "(SELECT value FROM json_each(").replace("NAMES(", "(SELECT value FROM json_each(")
    sql = re.sub(r"(json_each\(:\w+\))", r"\1)", sql)
    return sql.replace("FOR_UPDATE", "")


def is_sqlite_busy(error: Exception) -> bool:
    """Whether ``error`` says SQLITE_BUSY or SQLITE_LOCKED, extended codes included."""
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


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
