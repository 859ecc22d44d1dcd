"""Where the simulation reaches into the store: between statements, before a transaction and after a commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from windlass.errors import StoreBusy, StoreError, WindlassError
from windlass_testing.simulation.faults import Faults
from windlass_testing.simulation.processes import LEASE
from windlass_testing.simulation.world import Actor, InvariantBroken, Killed, World

_WRITES: Final = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)')
#: How much more often an exchange goes wrong than anything else: there are few of them.
_KILLS_OF_EXCHANGES: Final = 50
_FREEZES_OF_EXCHANGES: Final = 25
_LOSSES_OF_EXCHANGES: Final = 8


class LostAnswer(StoreError):
    """A commit that took effect, though its caller is told that it failed."""


class LockedOut(StoreBusy):
    """A transaction that could not begin."""


class Interference:
    """The :class:`windlass.store.database.Probe` of a simulated database."""

    def __init__(self, world: World, faults: Faults, on_commit: Callable[[Collection[str]], None]) -> None:
        self._world = world
        self._faults = faults
        self._on_commit = on_commit
        self._muted = False
        #: Between the first statement of a write and its commit (or the next write, if it was rolled back).
        self._in_write = False
        #: The statements of the write that will be committed next, and of those before it that were rolled back.
        self._written: set[str] = set()
        #: How often another actor gets the chance to run between two statements.
        self._yields = world.random.choice((0.0, 0.05, 0.3))
        #: The statement before this one.
        self._last = ""
        #: A scheduler that is frozen for longer than a lease, and from when on its rival is frozen as well: once it
        #: has taken over, so that the first comes back to runs that somebody else has owned, and owns no more.
        self._relay: tuple[Actor, float] | None = None
        #: How long that chance is.
        self._slowness = world.random.choice((0.05, 0.05, 0.05, 2.0))

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Let whoever watches read without being disturbed."""
        before, self._muted = self._muted, True
        try:
            yield
        finally:
            self._muted = before

    def statement(self, sql: str, *, writing: bool) -> None:
        """Let others run, freeze or kill the actor, or refuse the transaction, before a statement."""
        world = self._world
        actor = world.current
        if writing:
            self._written.add(sql)
        if self._muted or actor is None:
            return
        if writing:
            self._in_write = True
            return
        if sql.startswith("BEGIN"):
            self._in_write = False
        elif self._in_write:
            return  # a read by whoever holds the write lock
        if not world.calm:
            self._disturb(actor, sql)
        if self._yields and world.random.random() < self._yields:
            actor.sleep(world.random.random() * self._slowness)

    def _disturb(self, actor: Actor, sql: str) -> None:
        world, faults = self._world, self._faults
        is_scheduler = actor.name.startswith("scheduler")
        if is_scheduler or actor.name.startswith("supervisor"):
            if world.chance(faults.kill_scheduler if is_scheduler else faults.kill_supervisor):
                world.note("is killed")
                raise Killed
            if world.chance(faults.freeze_scheduler if is_scheduler else faults.freeze_supervisor):
                # Often for about as long as a lease: that is where the races are.
                longest = world.random.choice((30.0, 70.0, 130.0))
                seconds = world.random.uniform(0.7 * longest, longest)
                if is_scheduler and longest > 2 * LEASE and world.random.random() < 0.5:
                    seconds += LEASE
                    self._relay = (actor, world.time + LEASE + world.random.uniform(0.0, 10.0))
                actor.freeze(seconds)
            elif is_scheduler and self._relay is not None and self._is_next(actor, *self._relay):
                self._relay = None
                actor.freeze(world.random.uniform(LEASE, 3 * LEASE))
        if sql.startswith("BEGIN"):
            if world.chance(faults.busy):
                world.note("finds the database locked")
                raise LockedOut("simulated: the database stayed locked")
            if is_scheduler and world.chance(faults.oversleep):
                # Often until a rival has just begun with what it took.
                actor.freeze(world.random.uniform(0.7 * LEASE, 1.7 * LEASE))
            # What was read may have changed before it is written; a reaper writes only what it has just seen dead.
            if is_scheduler and world.chance(faults.linger * _lingering(self._last)):
                if "lease_until <" in self._last:
                    for sleeper in world.frozen:
                        sleeper.thaw(world.random.uniform(0.0, 5.0))
                actor.sleep(world.random.uniform(0.0, 15.0))
        self._last = sql

    def _is_next(self, actor: Actor, frozen: Actor, due: float) -> bool:
        return actor is not frozen and self._world.time >= due

    def committed(self) -> None:
        """Check what was written; then let its answer get lost or come late, or its writer die."""
        self._in_write = False
        world = self._world
        tables = {table for sql in self._written if (table := table_written(sql)) is not None}
        is_exchange = _is_exchange(self._written)
        self._written.clear()
        with self.muted():
            self._on_commit(tables)
        actor = world.current
        if actor is None or world.calm:
            return
        if world.chance(self._faults.kill_scheduler * 2) and actor.name.startswith("scheduler"):
            world.note("is killed right after a commit")
            raise Killed
        if is_exchange:
            self._disturb_exchange(actor)
        if world.chance(self._faults.lose_answer * (_LOSSES_OF_EXCHANGES if is_exchange else 1)):
            world.note("loses the answer to a commit")
            raise LostAnswer("simulated: the answer to the commit was lost")

    def _disturb_exchange(self, actor: Actor) -> None:
        """Have the answer to an exchange come to nobody, or late."""
        world, faults = self._world, self._faults
        if world.chance(faults.kill_supervisor * _KILLS_OF_EXCHANGES):
            world.note("is killed right after an exchange")
            raise Killed
        if world.chance(faults.freeze_supervisor * _FREEZES_OF_EXCHANGES):
            actor.freeze(world.random.uniform(0.3 * LEASE, 2 * LEASE))


def _is_exchange(statements: Collection[str]) -> bool:
    """Return whether a commit ended attempts and began others."""
    begins = any(sql.startswith("INSERT INTO attempt ") for sql in statements)
    return begins and any(sql.startswith("UPDATE attempt SET ended_at ") for sql in statements)


@cache
def table_written(sql: str) -> str | None:
    """Return the table that a statement of a write changes, None if it only reads.

    :raises LookupError: if it cannot be told.
    """
    if (found := _WRITES.match(sql)) is not None:
        return found[1]
    if sql.startswith("SELECT "):
        return None
    raise LookupError(f"cannot tell which table this changes: {sql}")


def _lingering(last: str) -> float:
    """Return how much more often a scheduler lingers after a statement on which what it writes next depends."""
    if "lease_until <" in last:  # the reaper
        return 10.0
    return 4.0 if "run_id IN NAMES" in last else 1.0  # the next intervals of a backfill


class Watched:
    """A port whose errors are ours or a finding: what was not injected and is no conflict must not happen."""

    def __init__(self, target: object, allowed: tuple[type[WindlassError], ...] = ()) -> None:
        self._target = target
        self._allowed: tuple[type[BaseException], ...] = (LostAnswer, LockedOut, *allowed)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has
        method = getattr(self._target, name)
        if not callable(method):
            return method
        allowed = self._allowed

        def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
            try:
                return method(*args, **kwargs)
            except allowed:
                raise
            except Exception as error:
                raise InvariantBroken("0 no error", f"{name} raised {type(error).__name__}: {error}") from error

        self.__dict__[name] = watched
        return watched
