"""Commands that may be sent twice: the same key gives the same reply and one effect.

The reply is kept in the transaction that has the effect, so there is no moment at which one exists without the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from windlass.errors import Conflict
from windlass.store.database import Transaction

_FIND: Final = "SELECT command, request, reply FROM idempotency WHERE name = :name"
_KEEP: Final = (
    "INSERT INTO idempotency (name, command, request, reply, at) VALUES (:name, :command, :request, :reply, :now)"
)

T = TypeVar("T")


def once(
    transaction: Transaction,
    key: str | None,
    command: str,
    request: object,
    work: Callable[[], T],
    reply_type: type[T],
    now: int,
) -> T:
    """Return what ``work`` returned when the key was first used; without a key just do it.

    Raises:
        Conflict: the key was used for something else.
    """
    if key is None:
        return work()
    digest = hashlib.sha256(msgspec.json.encode([command, request], order="deterministic")).hexdigest()
    transaction.exclude(f"key {key}")
    found = transaction.row(_FIND, {"name": key})
    if found is not None:
        if found[:2] != (command, digest):
            raise Conflict(f"idempotency key {key!r} was used for another command ({found[0]}); choose a new key")
        return msgspec.json.decode(found[2], type=reply_type)
    reply = work()
    kept = {"name": key, "command": command, "request": digest, "reply": msgspec.json.encode(reply), "now": now}
    transaction.send(_KEEP, [kept])
    return reply
