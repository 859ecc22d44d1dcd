"""What the supervisor needs of the secrets chain: an answer, and what of it must be hidden."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from windlass.protocol import GetConnection, Variable


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a connection (its fields) or a variable (its text), and the secrets in it."""

    value: Any
    masks: tuple[str, ...] = ()


class Resolver(Protocol):
    """Looks up connections and variables for children."""

    def __call__(self, verb: GetConnection | Variable) -> Resolved:
        """Return what ``verb`` asks for.

        :raises WindlassError: that the child shall see, for example ConnectionNotDefined.
        """
        ...


