"""Ending the whole process tree of an attempt, and knowing that it is gone.

First everybody is asked (SIGTERM), so that user code can clean up. After the grace whoever is left is killed, again and
again until the child is reaped; then the rest of its tree gets what remains of the grace, and is killed too. Nothing
here waits: every step is a look at the process table and a timer.
"""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable

from windlass.supervisor import processes
from windlass.supervisor.attempt import Attempt, Phase
from windlass.supervisor.reactor import Reactor

#: Seconds until the second look at a tree, and between later looks and rounds of killing.
_LOOK = 0.02
_ROUND = 0.2


class Stopper:
    """Ends attempts; ``settled`` is told when the tree of one is gone."""

    def __init__(self, reactor: Reactor, tag: str, grace: float, settled: Callable[[Attempt], None]) -> None:
        self._reactor = reactor
        self._tag = tag
        self._grace = grace
        self._settled = settled

    def stop(self, attempt: Attempt) -> None:
        """Ask the whole tree to end, and kill after the grace what has not."""
        attempt.kill_at = self._reactor.monotonic() + self._grace
        processes.send(self._tree(attempt), signal.SIGTERM)
        self._reactor.after(self._grace, functools.partial(self.kill, attempt))

    def expect_end(self, attempt: Attempt) -> None:
        """Give a child that has said its last word the grace to end by itself."""
        attempt.timers.append(self._reactor.after(self._grace, functools.partial(self.kill, attempt)))

    def kill(self, attempt: Attempt) -> None:
        """Kill the tree of a child, until the child is reaped."""
        if attempt.status is None and attempt.phase is not Phase.GONE:
            processes.send(self._tree(attempt), signal.SIGKILL)
            self._reactor.after(_ROUND, functools.partial(self.kill, attempt))

    def clear(self, attempt: Attempt, pause: float = _LOOK) -> None:
        """Wait for the tree of a reaped child to be gone, looking ever less often; kill it when its time is over."""
        left = self._tree(attempt)
        if not left:
            self._settled(attempt)
            return
        remaining = attempt.kill_at - self._reactor.monotonic()
        if remaining <= 0:
            processes.send(left, signal.SIGKILL)
        else:
            pause = min(pause, remaining)
        self._reactor.after(pause, functools.partial(self.clear, attempt, min(2 * pause, _ROUND)))

    def _tree(self, attempt: Attempt) -> set[int]:
        zygote = attempt.zygote
        alone = not zygote.single and not zygote.children.difference({attempt.token}, zygote.spares)
        return processes.tree(attempt.pid, f"{self._tag}.{attempt.token}", zygote.pid if alone else None)
