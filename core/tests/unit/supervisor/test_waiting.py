"""No wait is lost, whoever dies; no event is lost or delivered twice; and one trigger's fault is nobody else's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from windlass.errors import StoreBusy
from windlass.ports import Claim, Claimed, Fired, Wait, WaitChanges, WaitKey
from windlass.protocol import XComValue
from windlass.supervisor.ledger import Ledger
from windlass.supervisor.reactor import Reactor
from windlass.supervisor.waiting import SHARED, HostKey, Waiting

EVENT = XComValue(codec="json", data=b"1")


def wait(task: int, *, trigger: str = "own.Trigger", version: str = "v1") -> Wait:
    return Wait(
        task=task,
        epoch=1,
        trigger=trigger,
        kwargs=EVENT,
        dag_id="d",
        run_id="r",
        task_id="t",
        map_index=-1,
        bundle="main",
        file="dag.py",
        code_version=version,
        log_path="log",
    )


class Host:
    """What begins and ends in it, for the test to see."""

    def __init__(self, key: HostKey) -> None:
        self.key = key
        self.running: list[WaitKey] = []
        self.ended: list[WaitKey] = []
        self.closed = False

    def begin(self, wait: Wait) -> None:
        self.running.append(wait.key)

    def end(self, key: WaitKey, note: str | None = None) -> None:
        self.ended.append(key)
        if key in self.running:
            self.running.remove(key)

    def close(self) -> None:
        self.closed = True


class World:
    """A store of waits, a clock, and the hosts that were started."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.live: dict[WaitKey, Wait] = {}
        self.fired: list[Fired] = []
        self.trouble: Exception | None = None
        self.fire_trouble: Exception | None = None
        self.hosts: list[Host] = []
        self.refused = False
        self.reactor = Reactor(lambda: self.now)
        self.ledger = Ledger(self, "me", self.reactor)  # type: ignore[arg-type] # as much of a gateway as is needed
        self.waiting = self.successor()

    def successor(self) -> Waiting:
        return Waiting(self, self.ledger, self.reactor, "me", self.start, lambda name: name == "shared")  # type: ignore[arg-type]

    def start(self, key: HostKey, _owner: Waiting) -> Host:
        if self.refused:
            raise OSError("out of processes")
        host = Host(key)
        self.hosts.append(host)
        return host

    # The gateway.

    def waits(self, known: Sequence[WaitKey], supervisor: str) -> WaitChanges:
        if self.trouble is not None:
            raise self.trouble
        begun = tuple(wait for key, wait in self.live.items() if key not in known)
        return WaitChanges(begun=begun, ended=tuple(key for key in known if key not in self.live))

    def fire(self, fired: Sequence[Fired], supervisor: str) -> list[bool]:
        if self.fire_trouble is not None:
            raise self.fire_trouble
        done = []
        for one in fired:
            done.append(self.live.pop((one.task, one.epoch), None) is not None)
            self.fired += [one] if done[-1] else []
        return done

    def claim(self, claims: Sequence[Claim], supervisor: str) -> list[Claimed | None]:
        return [None for _ in claims]

    # What a test does.

    def defer(self, *waits: Wait) -> None:
        self.live |= {one.key: one for one in waits}
        self.waiting.soon()
        self.turn()

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.reactor.turn(0.0)
        self.ledger.flush()
        self.waiting.catch_up()

    def die(self, host: Host, blamed: WaitKey | None = None, *, opened: bool = True) -> None:
        self.waiting.on_gone(host.key, host, blamed, "was killed by SIGKILL", opened=opened)


@pytest.fixture
def world() -> World:
    return World()


def test_triggers_of_providers_share_a_host_and_each_code_version_has_its_own(world: World) -> None:
    world.defer(wait(1, trigger="shared"), wait(2), wait(3, version="v2"), wait(4), wait(5, trigger="shared"))
    assert {host.key: host.running for host in world.hosts} == {
        SHARED: [(1, 1), (5, 1)],
        ("main", "dag.py", "v1"): [(2, 1), (4, 1)],
        ("main", "dag.py", "v2"): [(3, 1)],
    }


def test_an_event_goes_to_the_gateway_once(world: World) -> None:
    world.defer(wait(1))
    world.waiting.on_event((1, 1), EVENT)
    world.waiting.on_event((1, 1), EVENT)
    world.turn()
    world.waiting.on_event((1, 1), EVENT)
    world.turn()
    assert world.fired == [Fired(task=1, epoch=1, event=EVENT)]


def test_an_event_outlives_trouble_of_the_gateway_and_its_trigger_is_not_begun_again(world: World) -> None:
    world.defer(wait(1))
    world.fire_trouble = StoreBusy("locked")
    world.waiting.on_event((1, 1), EVENT)
    for _ in range(5):
        world.waiting.soon()
        world.turn(0.3)
    assert (world.fired, world.hosts[0].running) == ([], [])
    world.fire_trouble = None
    world.waiting.soon()
    world.turn(10.0)
    assert [fired.task for fired in world.fired] == [1]
    assert world.hosts[0].running == []


def test_a_dead_host_is_started_again_with_all_of_its_waits(world: World) -> None:
    world.defer(wait(1), wait(2))
    world.die(world.hosts[0])
    world.turn(0.1)
    assert world.hosts[1].running == [(1, 1), (2, 1)]


def test_what_defers_while_a_host_is_dead_begins_with_the_next_one(world: World) -> None:
    world.defer(wait(1))
    world.die(world.hosts[0])
    world.defer(wait(2))
    assert len(world.hosts) == 1
    world.turn(0.1)
    assert world.hosts[1].running == [(1, 1), (2, 1)]


def test_what_defers_after_a_host_died_without_work_gets_one_at_once(world: World) -> None:
    world.defer(wait(1))
    world.waiting.on_event((1, 1), EVENT)
    world.turn()
    world.die(world.hosts[0])
    world.defer(wait(2))
    assert world.hosts[1].running == [(2, 1)]


def test_a_host_that_died_is_not_asked_for_the_one_that_lives(world: World) -> None:
    world.defer(wait(1))
    first = world.hosts[0]
    world.die(first)
    world.turn(0.1)
    world.die(first)
    world.turn(60.0)
    assert len(world.hosts) == 2


def test_the_pauses_before_a_new_start_grow(world: World) -> None:
    world.defer(wait(1))
    pauses = []
    for number in range(6):
        world.die(world.hosts[number])
        start = world.now
        while len(world.hosts) == number + 1:
            world.turn(0.05)
        pauses.append(world.now - start)
    assert pauses == pytest.approx([0.05, 0.5, 2.0, 5.0, 15.0, 15.0], abs=0.06)


def test_a_host_that_cannot_be_started_is_tried_again(world: World) -> None:
    world.refused = True
    world.defer(wait(1))
    world.refused = False
    world.turn(1.0)
    assert world.hosts[0].running == [(1, 1)]


def test_a_trigger_that_ends_its_host_three_times_fails_and_the_others_go_on(world: World) -> None:
    world.defer(wait(1), wait(2))
    for _ in range(3):
        world.die(world.hosts[-1], blamed=(1, 1))
        world.turn(20.0)
    assert [fired.task for fired in world.fired] == [1]
    assert world.fired[0].failure == "its trigger own.Trigger ended the trigger host 3 times (was killed by SIGKILL)"
    assert world.hosts[-1].running == [(2, 1)]


def test_code_that_cannot_be_imported_fails_what_waits_for_it(world: World) -> None:
    world.defer(wait(1), wait(2), wait(3, trigger="shared"))
    world.waiting.on_unopenable(("main", "dag.py", "v1"), "Traceback\nImportError: no module named x\n")
    world.turn()
    assert {fired.task: fired.failure for fired in world.fired} == dict.fromkeys(
        (1, 2), "the DAG file of its trigger cannot be imported: ImportError: no module named x"
    )


def test_so_does_code_whose_import_ends_the_process_three_times(world: World) -> None:
    world.defer(wait(1))
    for _ in range(3):
        world.die(world.hosts[-1], opened=False)
        world.turn(20.0)
    assert "the process that imported it was killed by SIGKILL" in (world.fired[0].failure or "")


def test_a_wait_that_is_over_for_another_reason_is_cancelled(world: World) -> None:
    world.defer(wait(1), wait(2))
    del world.live[1, 1]
    world.waiting.soon()
    world.turn()
    assert world.hosts[0].ended == [(1, 1)]
    world.waiting.on_event((1, 1), EVENT)
    world.turn()
    assert world.fired == []


def test_a_successor_takes_up_every_wait(world: World) -> None:
    world.defer(wait(1), wait(2))
    world.waiting.close()
    assert world.hosts[0].closed
    world.waiting = world.successor()
    world.waiting.soon()
    world.turn()
    assert world.hosts[1].running == [(1, 1), (2, 1)]


def test_a_store_that_cannot_be_read_is_asked_again_soon(world: World) -> None:
    world.trouble = StoreBusy("locked")
    world.defer(wait(1))
    world.trouble = None
    world.turn(0.6)
    world.turn()
    assert world.hosts[0].running == [(1, 1)]


def test_a_host_without_waits_leaves_after_a_while(world: World) -> None:
    world.defer(wait(1))
    world.waiting.on_event((1, 1), EVENT)
    closed = []
    for seconds in (0.0, 20.0, 20.0):
        world.turn(seconds)
        world.waiting.tidy()
        closed.append(world.hosts[0].closed)
    assert closed == [False, False, True]
    world.defer(wait(2))
    assert world.hosts[1].running == [(2, 1)]
