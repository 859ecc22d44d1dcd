"""How a bug is planted: an attribute of the engine gets another value for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Final

Plant = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Bug:
    """A planted bug: what is wrong with it, and how to plant it."""

    story: str
    plant: Plant

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """Plant it for a while."""
        with ExitStack() as stack:
            self.plant(stack)
            yield


BUGS: Final[dict[str, Bug]] = {}


def bug(story: str) -> Callable[[Plant], Plant]:
    """Name the function that plants it: ``_half_conflict`` becomes ``half-conflict`` in :data:`BUGS`."""

    def register(plant: Plant) -> Plant:
        BUGS[plant.__name__.strip("_").replace("_", "-")] = Bug(story, plant)
        return plant

    return register


@contextlib.contextmanager
def _attribute(owner: object, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def replace(stack: ExitStack, owner: object, name: str, value: object) -> None:
    """Give an attribute another value while the bug is planted."""
    patch: AbstractContextManager[None] = _attribute(owner, name, value)
    stack.enter_context(patch)


def without(stack: ExitStack, module: object, name: str, *clauses: str) -> None:
    """Take clauses out of a statement; the statement must have them."""
    sql = getattr(module, name)
    for clause in clauses:
        if clause not in sql:
            msg = f"{name} has no {clause!r} any more: plant this bug where the guard is now"
            raise LookupError(msg)
        sql = sql.replace(clause, "")
    replace(stack, module, name, sql)
