"""Which DAGs this scheduler holds, where others may work on the same database.

It looks around every few seconds, and soon after something was said about a DAG that nobody holds: renews its lease,
takes what is free and falls to it, and releases what falls to a newcomer. What it holds is remembered here between two
looks, so that DAGs of others cost no thought; the store's guards judge by the rows.
"""

from __future__ import annotations

from typing import Final

import msgspec

from windlass.planning.sharing import rebalance
from windlass.ports import Clock, DagLeases

#: Seconds between two looks, and after one that something has called for in vain.
_LOOK_PAUSE: Final = 5.0
_SHORTEST_PAUSE: Final = 0.25
_TICK: Final = 0.001
#: A lease is renewed often enough that two renewals may be missed.
_RENEWALS: Final = 3


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a look has changed: the DAGs that are not held any more, and then those that are held since.

    ``lapsed``: the lease was ended, and with it every hold; all is to be read again.
    """

    lost: frozenset[str] = frozenset()
    gained: frozenset[str] = frozenset()
    lapsed: bool = False


class Share:
    """The DAGs that a scheduler holds; without ``leases`` it is the only one, and holds all that there are.

    ``lease`` is the length of its lease in seconds.
    """

    def __init__(self, leases: DagLeases | None, clock: Clock, lease: float) -> None:
        self._leases = leases
        self._clock = clock
        self._renewal_pause = lease / _RENEWALS
        self._look_pause = min(_LOOK_PAUSE, self._renewal_pause)
        self._held: set[str] = set()
        self._next_look = 0.0
        #: Whether something calls for a look, and until when that must wait, since the last such look was in vain.
        self._is_called = False
        self._quiet_until = 0.0
        self._next_renewal = 0.0
        #: Whether anybody else was there at the last look.
        self.has_others = False

    def holds(self, dag_id: str) -> bool:
        """Return whether this scheduler decides about a DAG, as far as it knows."""
        return self._leases is None or dag_id in self._held

    def begin(self) -> None:
        """Come to hold what falls to this scheduler, whatever was remembered of it."""
        if self._leases is None:
            return
        if not self._leases.owner or not self._leases.renew():
            self._leases.register()
        self._next_renewal = self._clock.monotonic() + self._renewal_pause
        self._held = set(self._leases.held())
        self._rebalance(self._leases, set())

    def look(self) -> Moved:
        """Renew the lease and come to a fair share, if it is time."""
        now = self._clock.monotonic()
        if self._leases is None or now < self._due():
            return Moved()
        called, self._is_called = self._is_called, False
        moved = self._look(self._leases, now)
        if called and not moved.gained:
            self._quiet_until = now + _SHORTEST_PAUSE
        return moved

    def _look(self, leases: DagLeases, now: float) -> Moved:
        lost: set[str] = set()
        if now >= self._next_renewal:
            self._next_renewal = now + self._renewal_pause
            if not leases.renew():
                return Moved(lapsed=True)
            lost = self._held - set(leases.held())
        return self._rebalance(leases, lost)

    def _due(self) -> float:
        return min(self._next_look, self._quiet_until) if self._is_called else self._next_look

    def stay(self) -> None:
        """Renew the lease if it is time, in the middle of what may take long. The next look finds out if it is over."""
        if self._leases is not None and self._clock.monotonic() >= self._next_renewal:
            self._next_renewal = self._clock.monotonic() + self._renewal_pause
            self._leases.renew()

    def look_soon(self) -> None:
        """Look as soon as looks are not in vain: there is a DAG that nobody holds, or somebody took one."""
        self._is_called = True

    def pause(self) -> float:
        """Return the seconds until the next look, in no finer steps than any clock makes."""
        pause = float("inf") if self._leases is None else self._due() - self._clock.monotonic()
        return max(pause, _TICK) if pause > 0 else 0.0

    def leave(self) -> None:
        """Let others have everything at once."""
        if self._leases is not None and self._leases.owner:
            self._leases.leave()

    def _rebalance(self, leases: DagLeases, lost: set[str]) -> Moved:
        self._next_look = self._clock.monotonic() + self._look_pause
        living, free = leases.living(), leases.free()
        if leases.owner not in living:
            return Moved(lapsed=True)
        self.has_others = len(living) > 1
        # One that was deleted and has come back is nobody's.
        lost |= self._held.intersection(free)
        self._held -= lost
        wanted = rebalance(leases.owner, living, self._held, free)
        if wanted.release:
            leases.release(wanted.release)
            lost.update(wanted.release)
            self._held.difference_update(wanted.release)
        gained = frozenset(leases.take(wanted.take)) if wanted.take else frozenset()
        self._held |= gained
        return Moved(lost=frozenset(lost), gained=gained)
