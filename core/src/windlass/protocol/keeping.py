"""What a process and the child that holds a store of a provider for it say to each other: JSON lines on two pipes.

The parent sends a :class:`Setup` and then one order after the other. The child answers each with any number of
:class:`Page` and, last, :class:`Done` or :class:`Failed`. Before that it may ask for connections (:class:`Ask`), which
the parent answers with :class:`Given`: it gets no others, and no configuration. It may also say what is to be hidden in
its failures (:class:`~windlass.protocol.Mask`), which is not answered.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from windlass.protocol.messages import Mask


class Setup(msgspec.Struct, frozen=True, kw_only=True, tag="setup"):
    """The store, by the kind and the name that a manifest lists it under, and what it is made with."""

    kind: str
    store: str
    arguments: dict[str, str]


class ListOld(msgspec.Struct, frozen=True, kw_only=True, tag="list_old"):
    """Tell what was last put before an instant; answered with pages."""

    before: datetime


class ListMentions(msgspec.Struct, frozen=True, kw_only=True, tag="list_mentions"):
    """Tell which digests a stored content mentions; none if it is not there. Answered with pages."""

    digest: str


class Delete(msgspec.Struct, frozen=True, kw_only=True, tag="delete"):
    """Delete what was last put before an instant; answered with whether it went."""

    digest: str
    before: datetime


class PutLog(msgspec.Struct, frozen=True, kw_only=True, tag="put_log"):
    """Store the log of this path, which a local file holds."""

    path: str
    file: str


class ReadLog(msgspec.Struct, frozen=True, kw_only=True, tag="read_log"):
    """Return a piece of a stored log; answered with :class:`Piece`."""

    path: str
    offset: int
    limit: int


class Given(msgspec.Struct, frozen=True, kw_only=True, tag="given"):
    """The fields of a connection, or why there are none."""

    fields: dict[str, Any] | None = None
    error: str | None = None
    #: Whether it is not defined, as opposed to refused.
    undefined: bool = False


class Page(msgspec.Struct, frozen=True, kw_only=True, tag="page"):
    """Some digests with their sizes in bytes; 0 where only the name counts."""

    found: list[tuple[str, int]]


class Piece(msgspec.Struct, frozen=True, kw_only=True, tag="piece"):
    """Some bytes of a log; in JSON they are base64."""

    data: bytes


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """A connection is wanted."""

    conn_id: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """An order is carried out."""

    value: bool = True


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """An order could not be carried out."""

    error: str


Order = ListOld | ListMentions | Delete | PutLog | ReadLog
Answer = Page | Piece
ToKeeper = Setup | Order | Given
FromKeeper = Answer | Ask | Mask | Done | Failed
