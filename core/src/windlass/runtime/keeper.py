"""The child that holds a store of a provider for a process that is to import none; see ``protocol.keeping``.

Whatever the client library prints goes to standard error, so that it cannot be taken for an answer.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from windlass.errors import ConnectionNotDefined, NotFound, SecretsError, WindlassError
from windlass.interfaces.stores import ArtifactStore, LogStore
from windlass.ports import session_scope
from windlass.protocol import GetConnection, Mask, Verb
from windlass.protocol.digests import digests_read, is_digest
from windlass.protocol.keeping import (
    Ask,
    Delete,
    Done,
    Failed,
    FromKeeper,
    Given,
    ListMentions,
    ListOld,
    Order,
    Page,
    Piece,
    PutLog,
    ReadLog,
    Setup,
    ToKeeper,
)
from windlass.registry.absent import missing_library
from windlass.runtime.blobs import PIECE, make_store

_PAGE = 1000
#: Bytes by which a log is known: its first lines hold the instant at which they were written.
_HEAD = 4096


class Keeper:
    """Carries out the orders. As the session of the store it asks the parent for connections."""

    context: Mapping[str, Any] | None = None

    def __init__(self, orders: BinaryIO, answers: BinaryIO) -> None:
        self._orders = orders
        self._answers = answers
        self._decoder = msgspec.json.Decoder(ToKeeper)

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any msgpack value
        """Return a connection, or have a secret hidden in what the store fails with.

        :raises ConnectionNotDefined, SecretsError: as the parent says.
        """
        if isinstance(verb, Mask):
            self._say(verb)
            return None
        if not isinstance(verb, GetConnection):
            raise ConnectionNotDefined("a store may ask for connections only")
        self._say(Ask(conn_id=verb.conn_id))
        given = self._hear()
        if not isinstance(given, Given):
            raise SecretsError(f"the question for connection `{verb.conn_id}` was not answered")
        if given.fields is None:
            raise (ConnectionNotDefined if given.undefined else SecretsError)(str(given.error))
        return given.fields

    def tell(self, verb: Verb) -> None:
        """Take nothing in."""

    def serve(self) -> None:
        """Carry out orders until the parent has no more."""
        setup = self._hear()
        store: ArtifactStore | LogStore | None = None
        while (order := self._hear()) is not None:
            try:
                if store is None and isinstance(setup, Setup):
                    store = make_store(setup.kind, setup.store, setup.arguments)
                if store is not None and isinstance(order, Order):
                    self._say(Done(value=self._carry_out(store, order)))
            except WindlassError as error:
                self._say(Failed(error=str(error)))
            except Exception as error:  # noqa: BLE001 - whatever a store raises; its text may quote a secret
                failed = f"the store failed with {type(error).__module__}.{type(error).__qualname__}"
                self._say(Failed(error=missing_library(error) or failed))

    def _carry_out(self, store: ArtifactStore | LogStore, order: Order) -> bool:
        if isinstance(store, ArtifactStore):
            return self._with_artifacts(store, order)
        match order:
            case PutLog(path=path, file=file):
                _put_log(store, path, Path(file))
            case ReadLog(path=path, offset=offset, limit=limit):
                self._say(Piece(data=store.read(path, offset, limit)))
        return True

    def _with_artifacts(self, store: ArtifactStore, order: Order) -> bool:
        match order:
            case ListOld(before=before):
                old = ((entry.digest, entry.size) for entry in store.stored() if entry.modified < before)
                self._say_pages(entry for entry in old if is_digest(entry[0]))
            case ListMentions(digest=digest):
                try:
                    with store.open(digest) as content:
                        found = digests_read(content)
                except NotFound:
                    found = set()
                self._say_pages((name, 0) for name in found)
            case Delete(digest=digest, before=before):
                return store.delete(digest, before)
        return True

    def _say_pages(self, entries: Iterable[tuple[str, int]]) -> None:
        page: list[tuple[str, int]] = []
        for entry in entries:
            page.append(entry)
            if len(page) == _PAGE:
                self._say(Page(found=page))
                page = []
        if page:
            self._say(Page(found=page))

    def _hear(self) -> ToKeeper | None:
        line = self._orders.readline()
        return self._decoder.decode(line) if line else None

    def _say(self, message: FromKeeper) -> None:
        self._answers.write(msgspec.json.encode(message) + b"\n")
        self._answers.flush()


def _put_log(store: LogStore, path: str, file: Path) -> None:
    """Store the log in ``file``, behind what is there already if the file was begun anew after that was stored.

    A log only grows, so a file that begins otherwise than what is stored is not the same log written further: the
    local one was removed meanwhile, and somebody, such as a late callback, had more to say.
    """
    with file.open("rb") as source:
        there = store.size(path)
        head = source.read(_HEAD)
        source.seek(0)
        known = store.read(path, 0, len(head)) if there else b""
        if head.startswith(known) or known.startswith(head):
            store.put(path, source)
            return
        length = file.stat().st_size
        if length <= there and length <= PIECE and store.read(path, there - length, length) == source.read():
            return  # it was added before, and only the word of it was lost
        source.seek(0)
        with tempfile.TemporaryFile(prefix="windlass-log-") as whole:
            for offset in range(0, there, PIECE):
                whole.write(store.read(path, offset, PIECE))
            shutil.copyfileobj(source, whole, PIECE)
            whole.seek(0)
            store.put(path, whole)


def main() -> int:
    """Serve on standard input and output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    keeper = Keeper(sys.stdin.buffer, answers)
    with answers, session_scope(keeper):
        keeper.serve()
    return 0
