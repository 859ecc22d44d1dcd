"""The home of an installation, and the store and the control services over it, as every process composes them."""

from __future__ import annotations

import base64
import os
import sys
from contextlib import suppress
from pathlib import Path

from windlass.app.clocks import SystemClock, SystemRng
from windlass.config import Settings
from windlass.control import Control
from windlass.control.configuration import resolved
from windlass.control.database import database_url
from windlass.control.logs import ReadStored
from windlass.errors import ConfigError
from windlass.interfaces.connection import Connection
from windlass.interfaces.secrets_backend import SecretsBackend
from windlass.store import SchemaState, Store, check, migrate, open_store
from windlass.store.doorbell import DatagramBell

#: Of ``sun_path`` in a unix socket's address, without the closing zero byte; macOS has the fewest.
_LONGEST_SOCKET_NAME = 103 if sys.platform == "darwin" else 107


def prepare_home(settings: Settings) -> None:
    """Create the home's folders, readable by their owner only, and the database if there is none yet.

    An existing database is not touched: bringing an older one up to date is ``windlass db migrate``, which a person
    decides. From here on everything this process creates is for its owner only.
    """
    os.umask(0o077)
    _check_length(settings.home)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("run", "code", "artifacts"):
        (settings.home / name).mkdir(mode=0o700, exist_ok=True)
    settings.logging.base_log_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = database_url(settings)
    if check(url) is SchemaState.MISSING:
        migrate(url)


def _check_length(home: Path) -> None:
    """Refuse a home whose sockets would have longer names than the system allows.

    :raises ConfigError: with the number of bytes to save.
    """
    surplus = len(os.fsencode(home / "run" / "supervisor.sock")) - _LONGEST_SOCKET_NAME
    if surplus > 0:
        raise ConfigError(f"the path of the home, {home}, is {surplus} bytes too long for sockets; use a shorter one")


def fernet_keys(settings: Settings) -> list[str]:
    """Return the keys of the stored secrets, newest first; one is made at first need in the home's ``fernet.key``."""
    configured = settings.core.fernet_key
    if configured:
        return [key.strip() for key in configured.split(",") if key.strip()]
    path = settings.home / "fernet.key"
    with suppress(FileExistsError):
        _create_key(path)
    return path.read_text(encoding="ascii").split()


def _create_key(path: Path) -> None:
    if path.exists():
        raise FileExistsError(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(new_key().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # refuses if another process was first: a key that was used is never replaced
    finally:
        draft.unlink()


def new_key() -> str:
    """Return what Fernet calls a key."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def bell_path(settings: Settings) -> Path:
    """Return where the scheduler of this home listens."""
    return settings.home / "run" / "doorbell"


def open_services(settings: Settings, *, checkpoints: bool = False) -> Store:
    """Open the store of this home; its commits ring the scheduler. ``checkpoints`` is the scheduler's alone.

    :raises WindlassError: if the database is missing, or of another release.
    """
    if not settings.home.exists():
        raise ConfigError(
            f"there is no home at {settings.home} yet; `windlass standalone` or `windlass db migrate` makes it"
        )

    def keys() -> list[str]:
        path = settings.home / "fernet.key"
        stored = store.credentials
        if not settings.core.fernet_key and not path.exists() and (stored.connections() or stored.variables()):
            raise ConfigError(
                f"{path} is not there, and what the database stores was encrypted with a key: put it there, "
                "or set core.fernet_key to it"
            )
        return fernet_keys(settings)

    bell = DatagramBell(bell_path(settings))
    try:
        store = open_store(
            database_url(settings),
            clock=None,
            rng=SystemRng(),
            doorbell=bell,
            keys=keys,
            synchronous=settings.database.synchronous,
            checkpoints=checkpoints,
        )
    except BaseException:
        bell.close()
        raise
    store.on_close(bell.close)
    return store


def open_control(settings: Settings) -> Control:
    """Open the control services of this home."""
    settings = resolved(settings)
    store = open_services(settings)
    return Control(
        store,
        clock=SystemClock(),
        home=settings.home,
        logs=settings.logging.base_log_folder,
        parallelism=parallelism_of(settings),
        stored_logs=_stored_logs(settings, store) if settings.logging.remote_logging else None,
    )


def _stored_logs(settings: Settings, store: Store) -> ReadStored:
    from windlass.app.logs import StoredLogs

    return StoredLogs(settings, store).read


def parallelism_of(settings: Settings) -> int:
    """Return how many tasks the configured executor takes at once; 0 = unlimited."""
    return 1 if settings.core.executor.lower().startswith("sequential") else settings.core.parallelism


class StoredSecrets(SecretsBackend):
    """The database as a place of the lookup chain."""

    def __init__(self, store: Store) -> None:
        self._credentials = store.credentials

    def get_connection(self, conn_id: str) -> Connection | None:
        """Return the stored connection, None if there is none."""
        fields = self._credentials.connection(conn_id)
        return None if fields is None else Connection.from_fields(conn_id, fields)

    def get_variable(self, key: str) -> str | None:
        """Return the text of the stored variable, None if there is none."""
        return self._credentials.variable(key)
