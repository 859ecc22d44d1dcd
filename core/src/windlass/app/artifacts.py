"""Artifacts as the configuration places them: which store, and for ``db clean`` what is in it and what may go.

A provider's store is opened in a child, which gets the connections that it asks for and nothing else. This process
never imports its client library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from windlass.app.services import StoredSecrets
from windlass.config import Settings
from windlass.errors import ConfigError, ConnectionNotDefined, PluginError, WindlassError
from windlass.protocol.digests import digests_read
from windlass.protocol.keeping import Ask, Delete, Done, Failed, FromKeeper, Given, ListMentions, ListOld, Page, Setup
from windlass.registry import registry
from windlass.secrets.masking import Masker, secrets_of_fields
from windlass.secrets.resolver import Resolver, open_resolver, resolve_settings
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


class KeptBlobs:
    """The store of a provider, open in a child."""

    def __init__(self, settings: Settings, store: Store) -> None:
        settings = resolve_settings(settings)
        self._name, arguments = store_of(settings)
        self._resolver: Resolver = open_resolver(settings, StoredSecrets(store))
        self._masker = Masker()
        environ = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "windlass.runtime", "keep-artifacts"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
        )
        self._decoder: msgspec.json.Decoder[FromKeeper] = msgspec.json.Decoder(FromKeeper)
        self._say(Setup(store=self._name, arguments=arguments))

    def old(self, before: float) -> Iterator[tuple[str, int]]:
        """Yield digest and size of what was last put before an instant."""
        for page in self._order(ListOld(before=datetime.fromtimestamp(before, UTC))):
            yield from page.found

    def mentions(self, digest: str) -> set[str]:
        """Return the digests that a content mentions; none if it is not here."""
        return {name for page in self._order(ListMentions(digest=digest)) for name, _ in page.found}

    def delete(self, digest: str, before: float) -> bool:
        """Remove a content, unless somebody has put it again meanwhile."""
        order = self._order(Delete(digest=digest, before=datetime.fromtimestamp(before, UTC)))
        try:
            next(order)
        except StopIteration as end:
            return bool(end.value)
        raise self._broken()

    def close(self) -> None:
        """End the child."""
        self._resolver.close()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:  # it waits for a server that does not answer
            self._child.kill()
            self._child.wait()

    def _order(self, order: ListOld | ListMentions | Delete) -> Generator[Page, None, bool]:
        """Give an order, answer what the child asks meanwhile, and yield the pages of its answer.

        :raises PluginError: if it cannot be carried out.
        """
        self._say(order)
        while True:
            match self._hear():
                case Page() as page:
                    yield page
                case Ask(conn_id=conn_id):
                    self._say(self._given(conn_id))
                case Done(value=value):
                    return value
                case Failed(error=error):
                    text = self._masker.mask(error)
                    raise PluginError(f"the artifact store {self._name!r} cannot be cleaned: {text}")

    def _given(self, conn_id: str) -> Given:
        try:
            fields = self._resolver.get_connection(conn_id).to_fields()
        except ConnectionNotDefined as error:
            return Given(error=str(error), undefined=True)
        except WindlassError as error:
            return Given(error=str(error))
        self._masker.add(*secrets_of_fields(fields))
        return Given(fields=fields)

    def _say(self, message: ListOld | ListMentions | Delete | Setup | Given) -> None:
        assert self._child.stdin is not None  # noqa: S101 - it is a pipe
        try:
            self._child.stdin.write(msgspec.json.encode(message) + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise self._broken() from None

    def _hear(self) -> FromKeeper:
        assert self._child.stdout is not None  # noqa: S101 - it is a pipe
        line = self._child.stdout.readline()
        if not line:
            raise self._broken()
        return self._decoder.decode(line)

    def _broken(self) -> PluginError:
        return PluginError(
            f"the process that holds the artifact store {self._name!r} ended; its messages stand above, and what it "
            "had not done yet is done by the next clean"
        )
