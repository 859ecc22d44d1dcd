"""A real supervisor, real zygotes and real children, over a gateway made of files: its life, claims and load."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windlass.errors import Conflict
from windlass.supervisor.client import SupervisorClient

if TYPE_CHECKING:
    from core.tests.unit.supervisor.conftest import Home

pytestmark = pytest.mark.processes


class TestLife:
    def test_it_outlives_its_server_and_is_adopted_by_the_next(self, home: Home) -> None:
        home.write_tasks("""
            def waits(context, session):
                while not (HOME / "go").exists():
                    time.sleep(0.01)
        """)
        home.start()
        workload = home.submit("waits")
        home.claimed(workload)
        first = home.client.welcome
        home.client.close()
        (home.path / "go").touch()
        assert home.report(workload)["ending"]["outcome"] == "success"
        assert home.connect().welcome == first

    def test_a_server_of_another_version_is_refused(self, home: Home) -> None:
        home.start()
        with pytest.raises(Conflict, match="the supervisor is of version 1"):
            SupervisorClient(home.path / "run/supervisor.sock", "2")

    def test_a_second_supervisor_is_refused_and_told_the_first_ones_pid(self, home: Home) -> None:
        from windlass.errors import AlreadyRunning
        from windlass.supervisor import lock

        home.start()
        with pytest.raises(AlreadyRunning, match=f"pid {home.process.pid}"):
            lock.acquire(home.path / "run/supervisor.lock")

    def test_when_it_is_killed_everything_dies_and_the_next_one_recovers(self, home: Home) -> None:
        home.write_tasks("""
            def waits(context, session):
                escaped = subprocess.Popen(["sleep", "60"], start_new_session=True)
                say("pids", f"{os.getpid()} {escaped.pid}")
                time.sleep(60)
        """)
        home.start()
        home.submit("waits")
        pids = [int(pid) for pid in home.file("pids").split()]
        home.process.kill()
        home.process.wait()
        home.client.close()
        home.start()
        home.wait_for(lambda: len(home.journal("recover")) == 2, "the successor to recover")
        assert all(home.is_gone(pid) for pid in pids)

    def test_a_process_that_a_task_forked_may_not_end_the_attempt(self, home: Home) -> None:
        home.write_tasks("""
            def forks(context, session):
                if os.fork() == 0:
                    raise ValueError("from the fork")
                os.wait()
                return 42
        """)
        home.start()
        assert home.report(home.submit("forks"))["ending"]["outcome"] == "success"

    def test_a_draining_supervisor_stays_when_a_new_server_comes(self, home: Home) -> None:
        home.write_tasks("""
            def waits(context, session):
                say("started", os.getpid())
                time.sleep(60)
            def quick(context, session):
                pass
        """)
        home.start()
        home.submit("waits")
        home.file("started")
        home.client.drain()
        home.client.close()
        home.connect()
        assert home.report(home.submit("quick"))["ending"]["outcome"] == "success"

    def test_draining_finishes_what_runs_and_takes_nothing_new(self, home: Home) -> None:
        home.write_tasks("""
            def waits(context, session):
                while not (HOME / "go").exists():
                    time.sleep(0.01)
        """)
        home.start()
        running = home.submit("waits")
        home.claimed(running)
        home.client.drain()
        home.submit("waits")
        (home.path / "go").touch()
        assert home.report(running)["ending"]["outcome"] == "success"
        assert home.process.wait(10) == 0
        assert len(home.journal("claim")) == 1

    def test_sigterm_stops_what_runs_and_reports_it_as_lost(self, home: Home) -> None:
        home.write_tasks("""
            def waits(context, session):
                time.sleep(60)
        """)
        home.start()
        running = home.submit("waits")
        home.claimed(running)
        home.process.terminate()
        assert "the supervisor was stopped" in home.report(running)["lost"]
        assert home.process.wait(10) == 0


class TestClaims:
    def test_a_workload_delivered_twice_runs_once(self, home: Home) -> None:
        home.write_tasks("""
            def once(context, session):
                with open(HOME / "ran", "a") as file:
                    file.write("x\\n")
        """)
        home.start()
        workload = home.workload("once")
        home.client.submit([workload, workload])
        home.report(workload)
        home.wait_for(lambda: home.client.stats().running == 0, "the child to be gone")
        assert home.journal("conflict") == []  # the second one did not even cost a fork
        home.client.submit([workload])
        home.wait_for(lambda: home.journal("conflict"), "the late delivery to be refused")
        assert home.file("ran") == "x"
        assert len(home.journal("claim")) == 1

    def test_a_child_dead_before_its_hello_costs_nothing(self, home: Home) -> None:
        home.write_tasks("""
            def quick(context, session):
                pass
        """)
        home.start(spares=1)
        home.report(home.submit("quick"))  # the zygote is warm, its spare waits
        home.wait_for(lambda: len(home.children()) == 2, "the spare child")
        (home.path / "down").touch()
        workload = home.submit("quick")
        time.sleep(0.1)  # whichever side of the hand-over the kill falls on, the outcome is the same
        zygote = next(pid for pid in home.children() if (Path(f"/proc/{pid}/task/{pid}/children")).read_text())
        for pid in home.children() - {zygote}:
            os.kill(pid, signal.SIGKILL)
        (home.path / "down").unlink()
        assert home.report(workload)["ending"]["outcome"] == "success"

    def test_while_the_gateway_fails_nothing_is_claimed_killed_or_lost(self, home: Home) -> None:
        home.write_tasks("""
            def waits(context, session):
                say("started", os.getpid())
                while not (HOME / "go").exists():
                    time.sleep(0.01)
                return "result"
        """)
        home.start()
        running = home.submit("waits")
        home.claimed(running)
        home.file("started")
        (home.path / "down").touch()
        waiting = home.submit("waits")
        (home.path / "go").touch()
        home.wait_for(lambda: home.client.stats().reports_held == 1, "the report to be held")
        assert not home.client.stats().claiming
        (home.path / "down").unlink()
        assert home.report(running)["xcoms"]
        assert home.report(waiting)["ending"]["outcome"] == "success"


class TestPressure:
    def test_many_at_once_all_run_once(self, home: Home) -> None:
        home.write_tasks("""
            def note(context, session):
                with open(HOME / "ran", "a") as file:
                    file.write(f"{context.lease_id}\\n")
        """)
        home.start()
        workloads = [home.workload("note") for _ in range(60)]
        home.client.submit(workloads)
        for workload in workloads:
            assert home.report(workload)["ending"]["outcome"] == "success"
        assert len(set(home.file("ran").split())) == len(home.file("ran").split()) == 60

    def test_an_orphan_that_hid_itself_completely_does_not_survive(self, home: Home) -> None:
        home.write_tasks("""
            def leaves(context, session):
                escaped = subprocess.Popen(["env", "-i", "sleep", "60"], start_new_session=True)
                say("pid", escaped.pid)
                time.sleep(0.1)
        """)
        home.start()
        home.report(home.submit("leaves"))
        home.wait_for(lambda: home.is_gone(int(home.file("pid"))), "the orphan to be killed")

    def test_a_log_that_cannot_be_written_fails_no_task(self, home: Home) -> None:
        home.write_tasks("""
            def talks(context, session):
                print("x" * 100_000)
        """)
        (home.path / "logs/task_id=talks").write_text("in the way")
        home.start()
        assert home.report(home.submit("talks"))["ending"]["outcome"] == "success"
        assert "cannot be written" in home.stderr()
