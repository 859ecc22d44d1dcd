"""Artifacts as the configuration places them: which store, and for ``db clean`` what is in it and what may go.

A provider's store is opened in a child, which gets the connections that it asks for and nothing else. This process
never imports its client library.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from windlass.app.kept import Kept
from windlass.app.services import StoredSecrets
from windlass.config import Settings
from windlass.errors import ConfigError
from windlass.protocol.digests import digests_read
from windlass.protocol.keeping import Delete, ListMentions, ListOld, Page
from windlass.registry import registry
from windlass.secrets.resolver import open_resolver, resolve_settings
from windlass.store import Store
from windlass.supervisor.artifacts import LOCAL


def store_of(settings: Settings) -> tuple[str, dict[str, str]]:
    """Return the name of the configured artifact store, and what it is made with.

    :raises ConfigError: if a provider's store has no path.
    :raises PluginError: if no installed provider brings it, with the closest.
    """
    chosen = settings.artifacts
    if chosen.store == LOCAL:
        return LOCAL, {}
    if registry().find("artifact_stores", chosen.store) is None:
        registry().lookup("artifact_stores", chosen.store)  # raises, naming the closest
    if not chosen.path:
        raise ConfigError(
            f"artifacts.store is {chosen.store} and artifacts.path is empty; set it to a place in that store, such as "
            "s3://bucket/prefix"
        )
    return chosen.store, {"path": chosen.path} | ({"conn_id": chosen.conn_id} if chosen.conn_id else {})


class Blobs(Protocol):
    """One place with artifacts. Instants are seconds since the epoch."""

    def old(self, before: float) -> Iterator[tuple[str, int]]:
        """Yield digest and size of what was last put before an instant."""
        ...

    def mentions(self, digest: str) -> set[str] | None:
        """Return the digests that a content mentions, None where it is known not to be here."""
        ...

    def delete(self, digest: str, before: float) -> bool:
        """Remove a content, unless somebody has put it again meanwhile; return whether it went."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class LocalBlobs:
    """The home's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def old(self, before: float) -> Iterator[tuple[str, int]]:
        """Yield digest and size of what was last put before an instant."""
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            with suppress(FileNotFoundError):
                status = path.lstat()
                if status.st_mtime < before:
                    yield path.name, status.st_size

    def leftovers(self, before: float) -> Iterator[tuple[Path, int]]:
        """Yield what attempts began to write before an instant and never completed, with its size."""
        for path in self.folder.glob("incomplete/*"):
            with suppress(FileNotFoundError):
                status = path.lstat()
                if status.st_mtime < before:
                    yield path, status.st_size

    def mentions(self, digest: str) -> set[str] | None:
        """Return the digests that a content mentions, None if it is not here."""
        try:
            with self._path(digest).open("rb") as file:
                return digests_read(file)
        except FileNotFoundError:
            return None

    def delete(self, digest: str, before: float) -> bool:
        """Remove a content, unless somebody has put it again meanwhile."""
        with suppress(FileNotFoundError):
            return remove(self._path(digest), before)
        return False

    def close(self) -> None:
        """Do nothing."""

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest


def remove(path: Path, before: float) -> bool:
    """Remove an old file; one that somebody has put there again meanwhile goes back to its place.

    :raises FileNotFoundError: if it is not there.
    """
    aside = path.with_name(f".{path.name}.removed")
    path.rename(aside)
    if modified(aside) < before:
        aside.unlink()
        return True
    if not path.exists():
        aside.rename(path)
    return False


def modified(path: Path) -> float:
    """Return when a file was last written; now if it was taken away meanwhile: too young for anything."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return time.time()


class KeptBlobs(Kept):
    """The store of a provider, open in a child."""

    def __init__(self, settings: Settings, store: Store) -> None:
        settings = resolve_settings(settings)
        name, arguments = store_of(settings)
        super().__init__("artifact_stores", name, arguments, open_resolver(settings, StoredSecrets(store)))

    def old(self, before: float) -> Iterator[tuple[str, int]]:
        """Yield digest and size of what was last put before an instant."""
        for page in self._order(ListOld(before=datetime.fromtimestamp(before, UTC))):
            if isinstance(page, Page):
                yield from page.found

    def mentions(self, digest: str) -> set[str]:
        """Return the digests that a content mentions; none if it is not here."""
        pages = self._order(ListMentions(digest=digest))
        return {name for page in pages if isinstance(page, Page) for name, _ in page.found}

    def delete(self, digest: str, before: float) -> bool:
        """Remove a content, unless somebody has put it again meanwhile."""
        return self._do(Delete(digest=digest, before=datetime.fromtimestamp(before, UTC)))
