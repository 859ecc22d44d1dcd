"""The local executor does what every executor must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass.executors.local import LocalExecutor
from windlass.ports import StopRequest, Workload
from windlass.supervisor import wire
from windlass_testing.conformance import ExecutorSuite
from windlass_testing.front_door import FrontDoor


class TestLocalExecutor(ExecutorSuite):
    @pytest.fixture(autouse=True)
    def supervisor(self, tmp_path: Path) -> Iterator[None]:
        self.path = tmp_path / "supervisor.sock"
        self.door = FrontDoor(self.path)
        yield
        self.door.close()

    def make(self) -> LocalExecutor:
        return LocalExecutor(self.path, "1", parallelism=8, monotonic=self.now)

    seconds = 0.0

    def now(self) -> float:
        self.seconds += 1.0  # it tries again at once
        return self.seconds

    def arrived(self) -> list[Workload]:
        submitted = [order for order in self.door.orders if isinstance(order, wire.Submit)]
        return [workload for order in submitted for workload in order.workloads]

    def stops_arrived(self) -> list[StopRequest]:
        return [request for order in self.door.orders if isinstance(order, wire.Stop) for request in order.requests]

    def break_contact(self) -> None:
        self.door.close()

    def restore_contact(self) -> None:
        self.door = FrontDoor(self.path)
