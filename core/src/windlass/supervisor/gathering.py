"""When to write at once, and when to wait for company.

What ends and begins in one turn of the loop is written with one commit, whose price, a few pages of the database and
one wait for the disk, hardly depends on how much it is. So where many tasks end in a short time, and the cores have no
time to spare, a turn goes on for a moment: until all that run have ended, none has for a while, or a limit is reached.
Meanwhile spares are forked and tasks run, so nothing is lost. Where tasks take longer, or sleep, nobody waits for them:
the next could have used the cores.
"""

from __future__ import annotations

from typing import Final

from windlass.supervisor.cores import Cores
from windlass.supervisor.ledger import Ledger
from windlass.supervisor.reactor import Reactor
from windlass.supervisor.slots import Slots

#: So many tasks must have ended within the last tenth of a second.
_MANY: Final = 25
#: From so many on the cores are watched, so that it is known how busy they are once there are many.
_SOME: Final = 3
#: The limit, in seconds.
_LONGEST: Final = 0.02
#: Seconds after an end in which the next one is expected.
_QUIET: Final = 0.003


class Gathering:
    """Lets a turn go on while more is about to come."""

    def __init__(self, reactor: Reactor, slots: Slots, ledger: Ledger, cores: Cores) -> None:
        self._reactor = reactor
        self._slots = slots
        self._ledger = ledger
        self._cores = cores

    @property
    def is_worth_while(self) -> bool:
        """Whether many tasks end in a short time on busy cores: then it counts what is done together."""
        ended = self._slots.pace.ahead(self._reactor.monotonic())
        if ended >= _SOME:
            self._cores.look()
        return ended >= _MANY and self._cores.are_busy

    def wait(self) -> None:
        """Handle what else arrives, as long as that is worth while."""
        if self._ledger.is_empty or not self.is_worth_while:
            return
        last = self._reactor.monotonic()
        until = last + _LONGEST
        while (busy := self._slots.taken - self._ledger.claiming) > 0:
            left = min(until, last + _QUIET) - self._reactor.monotonic()
            if left <= 0:
                return
            self._reactor.turn(left)
            if self._slots.taken - self._ledger.claiming < busy:
                last = self._reactor.monotonic()
