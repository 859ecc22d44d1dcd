"""Executors that ExecutorSuite must reject, each with one thing wrong; the first is sound."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from windlass.backends import Executor
from windlass.ports import StopRequest, Workload
from windlass_testing.conformance import ExecutorSuite


class Queue(Executor):
    """Hands everything to a thread, which puts it into a broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.orders: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.lost = False

    def start(self) -> None:
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def submit(self, workloads: Sequence[Workload]) -> None:
        for workload in workloads:
            self.orders.put(workload)

    def stop(self, requests: Sequence[StopRequest]) -> None:
        for request in requests:
            self.orders.put(request)

    def lost_contact(self) -> bool:
        lost, self.lost = self.lost and self.broker.is_up, self.lost and not self.broker.is_up
        return lost

    def close(self) -> None:
        if self.thread is not None:
            self.orders.put(None)
            self.thread = None

    def work(self) -> None:
        while (order := self.orders.get()) is not None:
            if self.broker.is_up:
                self.broker.messages.append(order)
            else:
                self.lost = True


class Broker:
    def __init__(self) -> None:
        self.is_up = True
        self.messages: list[Any] = []


class Kit(ExecutorSuite):
    """A broker that can be down."""

    executor_class: type[Queue] = Queue
    patience = 1.0

    @pytest.fixture(autouse=True)
    def broker_of_the_test(self) -> Iterator[None]:
        self.broker = Broker()
        yield
        self.broker.is_up = False

    def make(self) -> Executor:
        return self.executor_class(self.broker)

    def arrived(self) -> Sequence[Workload]:
        return [message for message in self.broker.messages if isinstance(message, Workload)]

    def stops_arrived(self) -> Sequence[StopRequest]:
        return [message for message in self.broker.messages if isinstance(message, StopRequest)]

    def break_contact(self) -> None:
        self.broker.is_up = False

    def restore_contact(self) -> None:
        # What was handed over during the break is dropped by now.
        time.sleep(0.1)
        self.broker.is_up = True


class TestSound(Kit):
    breaks: set[str] = set()


class TestHasNoBound(Kit):
    breaks = {"test_it_is_an_executor"}

    class executor_class(Queue):
        parallelism = None  # type: ignore[assignment]


class TestTurnsTheOrderAround(Kit):
    breaks = {"test_what_is_submitted_arrives_unchanged_and_in_order"}

    class executor_class(Queue):
        def submit(self, workloads: Sequence[Workload]) -> None:
            super().submit(list(reversed(workloads)))


class TestKeepsTheScheduler(Kit):
    breaks = {
        "test_what_is_submitted_arrives_unchanged_and_in_order",
        "test_lost_contact_is_told_once_and_never_raises",
    }

    class executor_class(Queue):
        def submit(self, workloads: Sequence[Workload]) -> None:
            time.sleep(1.1)
            super().submit(workloads)


class TestCannotSubmitNothing(Kit):
    breaks = {"test_nothing_is_nothing"}

    class executor_class(Queue):
        def submit(self, workloads: Sequence[Workload]) -> None:
            super().submit([workloads[0], *workloads[1:]])


class TestRefusesAWorkloadASecondTime(Kit):
    breaks = {"test_a_workload_may_be_submitted_again", "test_lost_contact_is_told_once_and_never_raises"}

    class executor_class(Queue):
        def submit(self, workloads: Sequence[Workload]) -> None:
            self.known = getattr(self, "known", set())
            for workload in workloads:
                if workload.ticket in self.known:
                    raise ValueError(workload.ticket)
                self.known.add(workload.ticket)
            super().submit(workloads)


class TestKeepsStopRequestsToItself(Kit):
    breaks = {"test_stop_requests_are_passed_on"}

    class executor_class(Queue):
        def stop(self, requests: Sequence[StopRequest]) -> None:
            pass


class TestRunsWhatItShouldPrepare(Kit):
    breaks = {"test_being_told_to_prepare_is_a_hint"}

    class executor_class(Queue):
        def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
            from windlass_testing.conformance.executor import workload

            super().submit([workload(99) for _ in code_versions])


class TestAlwaysSaysThatContactWasLost(Kit):
    breaks = {"test_while_all_is_well_contact_is_not_lost", "test_lost_contact_is_told_once_and_never_raises"}

    class executor_class(Queue):
        def lost_contact(self) -> bool:
            return True


class TestNeverSaysThatContactWasLost(Kit):
    breaks = {"test_lost_contact_is_told_once_and_never_raises"}

    class executor_class(Queue):
        def lost_contact(self) -> bool:
            return False


class TestRaisesWhileTheBrokerIsDown(Kit):
    breaks = {"test_lost_contact_is_told_once_and_never_raises"}

    class executor_class(Queue):
        def submit(self, workloads: Sequence[Workload]) -> None:
            if not self.broker.is_up:
                raise ConnectionError("the broker is down")
            super().submit(workloads)


class TestCannotBeClosedTwice(Kit):
    breaks = {"test_closing_it_waits_for_nothing_and_leaves_nothing"}

    class executor_class(Queue):
        def close(self) -> None:
            if getattr(self, "closed", False):
                raise ValueError("closed already")
            self.closed = True
            super().close()


class TestLeavesItsThread(Kit):
    breaks = {"test_closing_it_waits_for_nothing_and_leaves_nothing"}

    class executor_class(Queue):
        def close(self) -> None:
            if self.thread is not None:
                threading.Timer(2, self.orders.put, [None]).start()
            self.thread = None
