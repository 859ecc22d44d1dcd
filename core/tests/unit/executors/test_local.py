"""The local executor against a real supervisor socket, whose orders are only written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from windlass.executors.local import LocalExecutor
from windlass.executors.sequential import SequentialExecutor
from windlass.ports import StopKind, StopRequest, Workload, WorkloadKind
from windlass.supervisor import wire
from windlass_testing.front_door import FrontDoor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "supervisor.sock"


@pytest.fixture
def listener(path: Path) -> Iterator[FrontDoor]:
    listener = FrontDoor(path)
    yield listener
    listener.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def executor(path: Path, clock: Clock) -> Iterator[LocalExecutor]:
    executor = LocalExecutor(path, "1", parallelism=8, monotonic=clock)
    yield executor
    executor.close()


def workload(task: int) -> Workload:
    return Workload(
        kind=WorkloadKind.TASK, id=task, epoch=1, ticket=str(task), queue="q", code_version="c", bundle="b", file="f"
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_orders_arrive_in_order(executor: LocalExecutor, listener: FrontDoor) -> None:
    stop = StopRequest(task=1, run=1, lease_id="l", kind=StopKind.CLEAR)
    executor.prepare([("b", "f", "c")])
    executor.submit([workload(1), workload(2)])
    executor.stop([stop])
    wait_for(lambda: len(listener.orders) == 3)
    assert listener.orders == [
        wire.Prepare(code=[("b", "f", "c")]),
        wire.Submit(workloads=[workload(1), workload(2)], parallelism=8),
        wire.Stop(requests=[stop]),
    ]
    assert not executor.lost_contact()


def test_the_supervisor_may_hold_short_tasks_beyond_those_that_run(
    executor: LocalExecutor, path: Path, clock: Clock
) -> None:
    assert executor.backlog == 40
    assert LocalExecutor(path, "1", parallelism=0, monotonic=clock).backlog == 0, "without a limit nothing waits"
    assert SequentialExecutor(path, "1", monotonic=clock).backlog == 0


def test_nothing_to_say_is_not_said(executor: LocalExecutor, listener: FrontDoor) -> None:
    executor.submit([])
    executor.stop([])
    executor.prepare([])
    executor.submit([workload(1)])
    wait_for(lambda: len(listener.orders) == 1)


def test_many_workloads_are_sent_in_frames_that_fit(executor: LocalExecutor, listener: FrontDoor) -> None:
    executor.submit([workload(task) for task in range(1200)])
    wait_for(lambda: sum(len(order.workloads) for order in listener.orders if isinstance(order, wire.Submit)) == 1200)


def test_without_a_supervisor_nothing_fails_and_contact_is_lost_once_it_is_found(
    executor: LocalExecutor, path: Path, clock: Clock
) -> None:
    executor.submit([workload(1)])
    assert not executor.lost_contact()  # there is nobody yet to submit to again
    listener = FrontDoor(path)
    try:
        clock.now += 1
        assert executor.lost_contact()
        assert not executor.lost_contact()
        executor.submit([workload(1)])
        wait_for(lambda: len(listener.orders) == 1)
    finally:
        listener.close()


def test_a_restarted_supervisor_is_noticed_without_an_order(executor: LocalExecutor, path: Path, clock: Clock) -> None:
    first = FrontDoor(path)
    executor.submit([workload(1)])
    first.close()
    second = FrontDoor(path)
    try:
        clock.now += 1
        wait_for(executor.lost_contact)
        assert not executor.lost_contact()
    finally:
        second.close()


def test_a_supervisor_of_another_version_is_not_used(path: Path, executor: LocalExecutor) -> None:
    other = FrontDoor(path, version="2")
    try:
        executor.submit([workload(1)])
        assert not executor.lost_contact()
        assert other.orders == []
    finally:
        other.close()


def test_sequential_runs_one_at_a_time(path: Path, clock: Clock) -> None:
    assert SequentialExecutor(path, "1", monotonic=clock).parallelism == 1
    assert LocalExecutor(path, "1", parallelism=8, monotonic=clock).parallelism == 8


def test_work_whose_code_is_not_here_yet_waits_for_it(
    path: Path, clock: Clock, tmp_path: Path, listener: FrontDoor
) -> None:
    executor = LocalExecutor(path, "1", parallelism=8, monotonic=clock, code=tmp_path)
    (tmp_path / "versions").mkdir()
    without_code = msgspec.structs.replace(workload(2), code_version="")
    executor.prepare([("b", "f", "c")])
    executor.submit([workload(1), without_code])
    assert not executor.lost_contact()
    (tmp_path / "versions" / "c.json").touch()
    assert executor.lost_contact()
    assert not executor.lost_contact()
    executor.prepare([("b", "f", "c")])
    executor.submit([workload(1)])
    wait_for(lambda: len(listener.orders) == 3)
    assert listener.orders == [
        wire.Submit(workloads=[without_code], parallelism=8),
        wire.Prepare(code=[("b", "f", "c")]),
        wire.Submit(workloads=[workload(1)], parallelism=8),
    ]
    executor.close()
