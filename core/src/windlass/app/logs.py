"""Logs of tasks that are stored elsewhere: the server hands them over, and commands read them back.

The supervisor writes a log to its local file, as ever, and leaves a note when an attempt has ended
(``supervisor.shipping``). A thread of the server works the notes off, in a child that holds the provider's store. A
note goes once its log is stored; so a store that is down, or a server that is killed, costs time and no log.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from windlass.app.kept import Kept
from windlass.app.services import StoredSecrets
from windlass.config import Settings
from windlass.errors import ConfigError, PluginError
from windlass.protocol.keeping import Piece, PutLog, ReadLog
from windlass.registry import registry
from windlass.secrets.resolver import open_resolver, resolve_settings
from windlass.store import Store
from windlass.supervisor.logs import contained
from windlass.supervisor.shipping import Shipment

_log = logging.getLogger(__name__)

#: Seconds between two looks at the notes.
_LOOK: Final = 1.0
#: Seconds until a store that failed is tried again; doubled up to the greatest.
_PAUSES: Final = (2.0, 60.0)
#: Seconds for which a stored log stays here as well, and between two looks for such.
_QUIET: Final = 3600.0
_REMOVAL: Final = 60.0
#: Notes of one step; the server may want to stop in between.
_BATCH: Final = 20


def log_store_of(settings: Settings) -> tuple[str, dict[str, str]] | None:
    """Return the name of the configured log store and what it is made with, None if logs stay here.

    :raises ConfigError: if remote logging has no folder, or one without a scheme.
    :raises PluginError: if no installed provider brings a store for that scheme.
    """
    chosen = settings.logging
    if not chosen.remote_logging:
        return None
    name, separator, _ = chosen.remote_base_log_folder.partition("://")
    if not separator:
        raise ConfigError(
            "logging.remote_logging is on, and logging.remote_base_log_folder is no place such as s3://bucket/logs; "
            "set it"
        )
    if registry().find("log_stores", name) is None:
        registry().lookup("log_stores", name)  # raises, naming the closest
    conn_id = chosen.remote_log_conn_id
    return name, {"path": chosen.remote_base_log_folder} | ({"conn_id": conn_id} if conn_id else {})


def notes_of(settings: Settings) -> Path:
    """Return the folder with the notes."""
    return settings.home / "run" / "logs-to-store"


class KeptLogs(Kept):
    """The store of a provider, open in a child."""

    def put(self, path: str, file: Path) -> None:
        """Store a whole log.

        :raises PluginError: if that fails.
        """
        self._do(PutLog(path=path, file=str(file)))

    def read(self, path: str, offset: int, limit: int) -> bytes:
        """Return a piece of a log, empty where there is nothing.

        :raises PluginError: if that fails.
        """
        answers = self._order(ReadLog(path=path, offset=offset, limit=limit))
        return b"".join(answer.data for answer in answers if isinstance(answer, Piece))


def _open(settings: Settings, store: Store) -> KeptLogs:
    settings = resolve_settings(settings)
    chosen = log_store_of(settings)
    if chosen is None:
        raise ConfigError("logging.remote_logging is off, so there is no log store")
    name, arguments = chosen
    return KeptLogs("log_stores", name, arguments, open_resolver(settings, StoredSecrets(store)))


class LogShipping:
    """Stores the logs that have notes, and if it shall removes those stored an hour ago. Step it in its own thread.

    Not at once: a callback of the task still writes to its log after the task has ended.
    """

    def __init__(self, settings: Settings, store: Store, *, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._store = store
        self._now = now
        self._notes = notes_of(settings)
        #: Notes of logs whose local files may go.
        self._stored = self._notes.with_name("logs-to-remove")
        self._folder = settings.logging.base_log_folder
        self._kept: KeptLogs | None = None
        self._pause = _PAUSES[0]
        self._next_removal = 0.0

    def step(self) -> float:
        """Store some logs; return the seconds until there may be more."""
        if self._now() >= self._next_removal:
            self._next_removal = self._now() + _REMOVAL
            self._remove_old()
        notes = _notes_in(self._notes)
        try:
            for note in notes[:_BATCH]:
                self._ship(note)
        except PluginError as error:
            self.close()  # perhaps the connection has changed: ask for it anew
            pause, self._pause = self._pause, min(self._pause * 2, _PAUSES[1])
            _log.error("logs cannot be stored elsewhere, and this is tried again in %g s: %s", pause, error)
            return pause
        self._pause = _PAUSES[0]
        return 0.0 if len(notes) > _BATCH else _LOOK

    def close(self) -> None:
        """End the child."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _ship(self, note: Path) -> None:
        said = note.read_bytes()
        shipment = msgspec.json.decode(said, type=Shipment)
        file = Path(contained(self._folder, shipment.path))
        if not file.exists():  # cleaned up, or nothing was ever written
            note.unlink()
            return
        if self._kept is None:
            self._kept = _open(self._settings, self._store)
        self._kept.put(shipment.path, file)
        if note.read_bytes() != said:
            return  # another attempt has ended meanwhile
        if self._settings.logging.delete_local_logs and shipment.final:
            self._stored.mkdir(mode=0o700, exist_ok=True)
            os.utime(note, (self._now(), self._now()))
            note.replace(self._stored / note.name)
        else:
            note.unlink()

    def _remove_old(self) -> None:
        """Remove local files that were stored an hour ago, and were not written to since."""
        for note in _notes_in(self._stored):
            stored_at = note.stat().st_mtime
            if stored_at > self._now() - _QUIET:
                continue
            file = Path(contained(self._folder, msgspec.json.decode(note.read_bytes(), type=Shipment).path))
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < stored_at:
                    file.unlink()
            note.unlink()


def _notes_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


class StoredLogs:
    """Reads logs that are no longer here; the child is started on first need."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._kept: KeptLogs | None = None
        store.on_close(self.close)

    def read(self, path: str, offset: int, limit: int) -> bytes:
        """Return a piece of a log, empty where there is nothing, or where logs are stored nowhere else."""
        if not self._settings.logging.remote_logging:
            return b""
        if self._kept is None:
            self._kept = _open(self._settings, self._store)
        return self._kept.read(path, offset, limit)

    def close(self) -> None:
        """End the child."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
