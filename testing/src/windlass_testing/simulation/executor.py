"""The way from the scheduler to the supervisors, where messages are lost, sent twice and come late."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from windlass.ports import StopRequest, Workload
from windlass_testing.simulation.faults import Faults
from windlass_testing.simulation.supervisor import SupervisorHost
from windlass_testing.simulation.world import World


class LossyExecutor:
    """Implements :class:`windlass.ports.ExecutorPort`; one per life of a scheduler."""

    def __init__(
        self,
        world: World,
        faults: Faults,
        hosts: Sequence[SupervisorHost],
        parallelism: int,
        on_submit: Callable[[Workload], None],
    ) -> None:
        self._world = world
        self._faults = faults
        self._hosts = hosts
        self._parallelism = parallelism
        self._on_submit = on_submit
        self._known = {host.name: host.incarnation for host in hosts}
        self._missed = False

    @property
    def parallelism(self) -> int:
        """How many workloads may run at once."""
        return self._parallelism

    @property
    def backlog(self) -> int:
        """How many more may be submitted while tasks are short."""
        return self._parallelism

    def submit(self, workloads: Sequence[Workload]) -> None:
        """Send each to one of the supervisors, if nothing happens on the way."""
        world, faults = self._world, self._faults
        for workload in workloads:
            self._on_submit(workload)
            host = world.random.choice(self._hosts)
            if world.chance(faults.lose_workload):
                world.note(f"the workload of task instance {workload.id}, epoch {workload.epoch}, gets lost")
            elif world.chance(faults.delay_workload):
                world.at(world.random.uniform(1.0, 90.0), self._deliver, host, workload)
            else:
                self._deliver(host, workload)
            if world.chance(faults.repeat_workload):
                again = world.random.choice(self._hosts)
                world.at(world.random.uniform(0.0, 90.0), self._deliver, again, workload)

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Tell every supervisor; whose lease it is knows it."""
        for host in self._hosts:
            supervisor = host.supervisor
            if supervisor is not None and not self._world.chance(self._faults.lose_stop):
                supervisor.tell(functools.partial(supervisor.stop, requests))

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        """Nothing is to be prepared."""

    def lost_contact(self) -> bool:
        """Return, once, whether a supervisor was restarted or could not be reached."""
        if any(host.supervisor is None for host in self._hosts):
            return False
        now = {host.name: host.incarnation for host in self._hosts}
        lost = self._missed or now != self._known
        self._known, self._missed = now, False
        return lost

    def _deliver(self, host: SupervisorHost, workload: Workload) -> None:
        supervisor = host.supervisor
        if supervisor is None or supervisor.actor.dead:
            self._missed = True
        else:
            supervisor.tell(functools.partial(supervisor.submit, workload))
