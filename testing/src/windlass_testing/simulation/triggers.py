"""A trigger host without triggers: it fires after a while, dies, and sends its events late and more than once.

The real :class:`~windlass.supervisor.waiting.Waiting` of a simulated supervisor drives it, so what is under test is
what keeps waits from being lost, and the guard that lets one event through.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from windlass.ports import Fired, Wait, WaitKey
from windlass.protocol import XComValue
from windlass.supervisor.waiting import HostKey, Waiting
from windlass_testing.simulation.processes import read_mark

if TYPE_CHECKING:
    from windlass_testing.simulation.supervisor import SupervisorHost

#: How a wait's arguments say that its trigger never fires, so that only the timeout ends it.
NEVER = b"never"


def is_shared(trigger: str) -> bool:
    """Return whether a trigger runs in the host that all DAGs share: here, if its name says so."""
    return trigger == "shared"


class TriggerHost:
    """One life of a host. Implements :class:`windlass.supervisor.waiting.Host`."""

    def __init__(self, key: HostKey, waiting: Waiting, machine: SupervisorHost) -> None:
        self._key = key
        self._waiting = waiting
        self._machine = machine
        self._world = machine.world
        self._supervisor = machine.supervisor
        self.running: dict[WaitKey, Wait] = {}
        self.alive = True
        machine.register.hosts.append(self)
        if self._world.chance(machine.behaviour.faults.kill_trigger_host):
            self._world.at(self._world.random.uniform(0.0, 40.0), self._die)

    def begin(self, wait: Wait) -> None:
        """Let the trigger fire in a while, unless it never does."""
        self.running[wait.key] = wait
        if NEVER not in wait.kwargs.data:
            self._world.at(min(self._world.random.expovariate(1 / 15), 60.0), self._fire, wait)

    def end(self, key: WaitKey, note: str | None = None) -> None:
        """Stop it."""
        self.running.pop(key, None)

    def close(self) -> None:
        """Leave."""
        self.alive = False

    def _die(self) -> None:
        if not self.alive:
            return
        self._world.note(f"a trigger host with {len(self.running)} waits dies")
        self.alive = False
        blamed = next(iter(self.running), None) if self._world.random.random() < 0.3 else None
        self._tell(functools.partial(self._waiting.on_gone, self._key, self, blamed, "was killed"))

    def _fire(self, wait: Wait) -> None:
        if not self.alive or self.running.pop(wait.key, None) is None:
            return
        source, faults = self._world.random, self._machine.behaviour.faults
        value = XComValue(codec="json", data=f"{wait.task}:{wait.epoch}".encode(), size=1)
        if source.random() < 0.15:
            say = functools.partial(self._waiting.on_failure, wait.key, "its trigger failed")
        else:
            say = functools.partial(self._waiting.on_event, wait.key, value)
        if self._world.chance(faults.late_event):
            self._world.at(source.uniform(1.0, 60.0), self._tell, say)
        else:
            self._tell(say)
        if self._world.chance(faults.repeat_event):
            self._world.at(source.uniform(0.0, 40.0), self._repeat, wait, value)

    def _tell(self, say: functools.partial[None]) -> None:
        if self._supervisor is not None and self._supervisor is self._machine.supervisor:
            self._supervisor.tell(say)

    def _repeat(self, wait: Wait, value: XComValue) -> None:
        """Send the event once more, past everything that remembers the first: as another supervisor would."""
        supervisor = self._machine.supervisor
        if supervisor is not None:
            self._world.note(f"an event for task instance {wait.task}, epoch {wait.epoch}, comes again")
            fired = Fired(task=wait.task, epoch=wait.epoch, event=value)
            supervisor.tell(functools.partial(supervisor.fire, fired))


def made_by(value: XComValue) -> WaitKey:
    """Return the wait whose trigger made an event."""
    return read_mark(value.data)
