"""ExecutorSuite: how an executor passes workloads on, and that it neither blocks the scheduler nor decides anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, final

import pytest

from windlass.backends import Executor
from windlass.ports import StopKind, StopRequest, Workload, WorkloadKind
from windlass_testing.conformance.suite import Suite, must_give

#: Seconds within which a method returns to the scheduler, generously.
_AT_ONCE: Final = 1.0


def workload(number: int) -> Workload:
    """Return a workload; its ticket is its number."""
    return Workload(
        kind=WorkloadKind.TASK,
        id=number,
        epoch=1,
        ticket=f"ticket-{number}",
        queue="default",
        code_version="c1",
        bundle="main",
        file="dags.py",
        dag_id="dag",
        run_id="run",
        task_id="täsk",
    )


def stop_request(number: int) -> StopRequest:
    """Return a request to stop the attempt of a workload's task."""
    return StopRequest(task=number, run=1, lease_id=f"lease-{number}", kind=StopKind.CLEAR)


class ExecutorSuite(Suite):
    """Checks an executor over the place where its workloads arrive.

    A subclass::

        class TestQueueExecutor(ExecutorSuite):
            def make(self): return QueueExecutor(url=self.broker.url)
            def arrived(self): return [message.workload for message in self.broker.messages]
    """

    #: Seconds within which what was passed on must arrive.
    patience: float = 10.0

    def make(self) -> Executor:
        """Return an executor that is not started. Override it."""
        must_give(self, "make(): an executor that is not started")

    def arrived(self) -> Sequence[Workload]:
        """Return the workloads that have arrived where they are run, in order. Override it."""
        must_give(self, "arrived(): the workloads that have arrived where they are run")

    def stops_arrived(self) -> Sequence[StopRequest] | None:
        """Return the stop requests that have arrived there; None if heartbeats alone carry them. Override it."""
        return None

    def break_contact(self) -> None:
        """Break the connection to where workloads are run, with all that is on its way. Override it.

        A test that needs it is skipped where the subclass does not have it.
        """
        pytest.skip(f"{type(self).__name__} does not define break_contact()")

    def restore_contact(self) -> None:
        """Make :meth:`break_contact` undone."""

    @final
    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        """Return an executor that is started, and close it behind the test."""
        made = self.make()
        made.start()
        yield made
        made.close()

    @final
    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition, with the suite's patience."""
        deadline = time.monotonic() + self.patience
        while not condition():
            assert time.monotonic() < deadline, f"waited {self.patience:g} s for {what}"
            time.sleep(0.01)

    def test_it_is_an_executor(self) -> None:
        """It extends the base class, and its bound of workloads is a number."""
        made = self.make()
        assert isinstance(made, Executor)
        assert isinstance(made.parallelism, int)
        assert made.parallelism >= 0
        made.close()

    def test_what_is_submitted_arrives_unchanged_and_in_order(self, executor: Executor) -> None:
        """Every workload, with all its fields."""
        workloads = [workload(number) for number in range(20)]
        at_once(lambda: executor.submit(workloads[:15]))
        at_once(lambda: executor.submit(workloads[15:]))
        self.until(lambda: len(self.arrived()) >= 20, "20 workloads")
        assert list(self.arrived()) == workloads

    def test_nothing_is_nothing(self, executor: Executor) -> None:
        """Empty lists are no error and pass on nothing."""
        executor.submit([])
        executor.stop([])
        executor.prepare([])
        executor.submit([workload(1)])
        self.until(lambda: len(self.arrived()) >= 1, "a workload")
        assert list(self.arrived()) == [workload(1)]

    def test_a_workload_may_be_submitted_again(self, executor: Executor) -> None:
        """It arrives at least once; which copy runs is decided by its ticket, not here."""
        executor.submit([workload(1)])
        executor.submit([workload(1), workload(2)])
        self.until(lambda: workload(2) in self.arrived(), "the second workload")
        assert workload(1) in self.arrived()

    def test_stop_requests_are_passed_on(self, executor: Executor) -> None:
        """Also for what it has never seen."""
        executor.submit([workload(1)])
        self.until(lambda: len(self.arrived()) >= 1, "a workload")
        requests = [stop_request(1), stop_request(404)]
        at_once(lambda: executor.stop(requests))
        if self.stops_arrived() is not None:
            self.until(lambda: len(self.stops_arrived() or ()) >= 2, "two stop requests")
            assert list(self.stops_arrived() or ()) == requests

    def test_being_told_to_prepare_is_a_hint(self, executor: Executor) -> None:
        """It may do nothing; it must not fail or submit anything."""
        at_once(lambda: executor.prepare([("main", "dags.py", "c1"), ("main", "absent.py", "c2")]))
        executor.submit([workload(1)])
        self.until(lambda: len(self.arrived()) >= 1, "a workload")
        assert list(self.arrived()) == [workload(1)]

    def test_while_all_is_well_contact_is_not_lost(self, executor: Executor) -> None:
        """Saying so without need would have everything submitted again."""
        executor.submit([workload(1)])
        self.until(lambda: len(self.arrived()) >= 1, "a workload")
        assert executor.lost_contact() is False

    def test_lost_contact_is_told_once_and_never_raises(self, executor: Executor) -> None:
        """After a break everything is taken as lost; once it is submitted again, it arrives."""
        executor.submit([workload(1)])
        self.until(lambda: len(self.arrived()) >= 1, "a workload")
        self.break_contact()
        at_once(lambda: executor.submit([workload(2)]))
        at_once(lambda: executor.stop([stop_request(2)]))
        self.restore_contact()
        self.until(executor.lost_contact, "the executor to say that contact was lost")
        assert executor.lost_contact() is False
        executor.submit([workload(2)])
        self.until(lambda: workload(2) in self.arrived(), "the workload that was submitted again")

    def test_closing_it_waits_for_nothing_and_leaves_nothing(self) -> None:
        """It can be closed twice, also unstarted; its threads are gone."""
        unstarted = self.make()
        unstarted.close()
        before = set(threading.enumerate())
        made = self.make()
        made.start()
        made.submit([workload(1)])
        at_once(made.close)
        at_once(made.close)
        self.until(
            lambda: not {thread for thread in threading.enumerate() if thread not in before}, "the end of its threads"
        )


def at_once(call: Callable[[], object]) -> None:
    """Call what the scheduler's thread calls; it must return soon."""
    before = time.monotonic()
    call()
    took = time.monotonic() - before
    assert took < _AT_ONCE, f"it kept the scheduler's thread for {took:.1f} s"
