"""The child in which ``windlass db clean`` opens a provider's artifact store; see ``protocol.keeping``.

Whatever the client library prints goes to standard error, so that it cannot be taken for an answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import msgspec

from windlass.errors import ConnectionNotDefined, NotFound, SecretsError, WindlassError
from windlass.interfaces.stores import ArtifactStore
from windlass.ports import session_scope
from windlass.protocol import GetConnection, Verb
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
    Setup,
    ToKeeper,
)
from windlass.runtime.blobs import make_store

_PAGE = 1000


class Keeper:
    """Carries out the orders. As the session of the store it asks the parent for connections."""

    context: Mapping[str, Any] | None = None

    def __init__(self, orders: BinaryIO, answers: BinaryIO) -> None:
        self._orders = orders
        self._answers = answers
        self._decoder = msgspec.json.Decoder(ToKeeper)

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any msgpack value
        """Return a connection.

        :raises ConnectionNotDefined, SecretsError: as the parent says.
        """
        if not isinstance(verb, GetConnection):
            raise ConnectionNotDefined("an artifact store may ask for connections only")
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
        store: ArtifactStore | None = None
        while (order := self._hear()) is not None:
            try:
                if store is None and isinstance(setup, Setup):
                    store = make_store(setup.store, setup.arguments)
                if store is not None and isinstance(order, Order):
                    self._say(Done(value=self._carry_out(store, order)))
            except WindlassError as error:
                self._say(Failed(error=str(error)))
            except Exception as error:  # noqa: BLE001 - whatever a store raises; its text may quote a secret
                self._say(Failed(error=f"the store failed with {type(error).__module__}.{type(error).__qualname__}"))

    def _carry_out(self, store: ArtifactStore, order: Order) -> bool:
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


def main() -> int:
    """Serve on standard input and output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    keeper = Keeper(sys.stdin.buffer, answers)
    with answers, session_scope(keeper):
        keeper.serve()
    return 0
