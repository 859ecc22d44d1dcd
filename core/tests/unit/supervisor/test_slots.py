from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from windlass.ports import Workload, WorkloadKind
from windlass.supervisor.slots import Slots

if TYPE_CHECKING:
    from core.tests.unit.supervisor.conftest import Home


def workload(number: int, kind: WorkloadKind = WorkloadKind.TASK) -> Workload:
    return Workload(
        kind=kind, id=number, epoch=1, ticket=f"t{number}", queue="q", code_version="c", bundle="b", file="f"
    )


class Launches:
    def __init__(self, limit: int) -> None:
        self.launched: list[str] = []
        self.slots = Slots(lambda workload: self.launched.append(workload.ticket), lambda: 0.0)
        self.slots.limit = limit

    def submit(self, *numbers: int) -> None:
        for number in numbers:
            self.slots.submit(workload(number))


def test_what_is_beyond_the_limit_waits_in_order_until_a_slot_is_free() -> None:
    them = Launches(2)
    them.submit(1, 2, 3, 4)
    assert them.launched == ["t1", "t2"]
    assert (them.slots.waiting, them.slots.has("t3"), them.slots.has("t1")) == (2, True, False)
    them.slots.free("t2")
    assert them.launched == ["t1", "t2"], "within a turn, nothing overtakes what else that turn brings"
    them.slots.fill()
    assert them.launched == ["t1", "t2", "t3"]


def test_a_slot_is_given_back_once() -> None:
    them = Launches(1)
    them.submit(1, 2, 3)
    them.slots.free("t1")
    them.slots.free("t1")
    them.slots.fill()
    them.slots.free("t1")
    them.slots.fill()
    assert them.launched == ["t1", "t2"]


def test_without_a_limit_nothing_waits() -> None:
    them = Launches(0)
    them.submit(1, 2, 3)
    assert them.launched == ["t1", "t2", "t3"]


def test_a_raised_limit_lets_more_run() -> None:
    them = Launches(1)
    them.submit(1, 2, 3)
    them.slots.limit = 2
    them.slots.fill()
    assert them.launched == ["t1", "t2"]


@pytest.mark.parametrize("kind", [WorkloadKind.CALLBACK, WorkloadKind.TIMETABLE])
def test_what_is_no_task_takes_no_slot(kind: WorkloadKind) -> None:
    them = Launches(1)
    them.submit(1)
    them.slots.submit(workload(2, kind))
    assert them.launched == ["t1", "t2"]


def test_a_supervisor_that_drains_forgets_what_waits() -> None:
    them = Launches(1)
    them.submit(1, 2)
    them.slots.clear()
    them.slots.free("t1")
    them.slots.fill()
    assert them.launched == ["t1"]


CODE = """
DAG_ID = "d"
import sys, time
from pathlib import Path
HOME = Path(__file__).parent.parent

def held(context, session):
    while not (HOME / "go").exists():
        time.sleep(0.01)

def quick(context, session):
    pass

def bad(context, session):
    raise ValueError("no")

def dies(context, session):
    import os
    os._exit(3)
"""


@pytest.mark.processes
class TestInASupervisor:
    def test_a_task_waits_for_the_end_of_another_and_then_starts_without_a_further_order(self, home: Home) -> None:
        home.write_code(CODE)
        home.start()
        held, quick, last = home.workload("held"), home.workload("quick"), home.workload("quick")
        home.client.submit([held, quick, last], 1)
        home.claimed(held)
        stats = home.client.stats()
        assert (stats.running, stats.waiting) == (1, 2)
        (home.path / "go").touch()
        for workload in (held, quick, last):
            assert home.report(workload)["ending"]["outcome"] == "success"
        claims, reports = ([entry["task"] for entry in home.journal(kind)] for kind in ("claim", "report"))
        assert claims == reports == [held.id, quick.id, last.id]

    @pytest.mark.parametrize("how", ["bad", "dies", "missing"])
    def test_whatever_becomes_of_a_task_its_slot_is_free_then(self, home: Home, how: str) -> None:
        home.write_code(CODE)
        home.start()
        first, second = home.workload(how), home.workload("quick")
        home.client.submit([first, second], 1)
        assert home.report(first)
        assert home.report(second)["ending"]["outcome"] == "success"

    def test_the_slot_of_a_refused_claim_is_free(self, home: Home) -> None:
        home.write_code(CODE)
        home.start()
        first, second = home.workload("quick"), home.workload("quick")
        (home.path / "tickets" / first.ticket).unlink()
        home.client.submit([first, second], 1)
        assert home.report(second)["ending"]["outcome"] == "success"
        assert [entry["task"] for entry in home.journal("conflict")] == [first.id]

    def test_the_slot_of_a_file_that_cannot_be_imported_is_free(self, home: Home) -> None:
        home.write_code("raise ValueError('no')")
        home.start()
        broken = home.workload("quick")
        home.write_code(CODE)
        good = home.workload("quick")
        home.client.submit([broken, good], 1)
        assert home.report(good)["ending"]["outcome"] == "success"
        assert home.report(broken)["ending"]["outcome"] == "fail"

    def test_a_workload_that_waits_and_is_sent_again_runs_once(self, home: Home) -> None:
        home.write_code(CODE)
        home.start()
        held, quick = home.workload("held"), home.workload("quick")
        home.client.submit([held, quick], 1)
        home.client.submit([held, quick], 1)
        home.claimed(held)
        (home.path / "go").touch()
        home.report(quick)
        assert home.client.stats().forks == 2
        assert home.journal("conflict") == []
