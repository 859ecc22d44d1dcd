"""How an attempt ends: by itself, by a signal, by a stop or a timeout; over a gateway made of files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from windlass.ports import StopKind, StopRequest

if TYPE_CHECKING:
    from core.tests.unit.supervisor.conftest import Home

pytestmark = pytest.mark.processes


class TestEndings:
    def test_a_task_runs_and_its_result_is_reported(self, home: Home) -> None:
        home.write_tasks("""
            def hello(context, session):
                print("hello from", context.task_id)
                return 42
        """)
        home.start()
        report = home.report(home.submit("hello"))
        assert report["ending"]["outcome"] == "success"
        assert [xcom["key"] for xcom in report["xcoms"]] == ["return_value"]
        assert home.messages("hello") == ["hello from hello"]
        assert report["log_size"] == (home.path / "logs/task_id=hello/attempt=1.log").stat().st_size

    def test_a_failure_is_reported_with_its_reason_and_traceback(self, home: Home) -> None:
        home.write_tasks("""
            def bad(context, session):
                raise ValueError("no such column")
        """)
        home.start()
        report = home.report(home.submit("bad"))
        assert (report["ending"]["outcome"], report["ending"]["reason"]) == ("fail", "no such column")
        (line,) = home.log("bad")
        assert line["stream"] == "log"
        assert "ValueError: no such column" in line["exc"]

    @pytest.mark.parametrize(
        ("statement", "reason"),
        [
            ("os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9 (SIGKILL)"),
            ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11 (SIGSEGV)"),
            ("os._exit(7)", "exited with status 7 without saying how the task ended"),
        ],
    )
    def test_a_child_that_dies_without_a_word_is_lost_for_the_true_reason(
        self, home: Home, statement: str, reason: str
    ) -> None:
        home.write_tasks(f"""
            def dies(context, session):
                {statement}
        """)
        home.start()
        report = home.report(home.submit("dies"))
        assert reason in report["lost"]
        assert reason in home.messages("dies")[-1]

    def test_the_log_is_complete_after_a_kill(self, home: Home) -> None:
        home.write_tasks("""
            def dies(context, session):
                for number in range(20_000):
                    print("line", number)
                print("the end has no newline", end="")
                sys.stdout.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        """)
        home.start()
        home.report(home.submit("dies"))
        *lines, last, note = home.messages("dies")
        if last.startswith("the task's process"):
            last, note = note, last
        assert lines == [f"line {number}" for number in range(20_000)]
        assert last == "the end has no newline"
        assert "SIGKILL" in note

    def test_a_child_that_lingers_after_its_success_is_killed(self, home: Home) -> None:
        home.write_tasks("""
            from datetime import datetime, timezone
            from windlass.protocol import Finish, Outcome
            def lingers(context, session):
                say("pid", os.getpid())
                now = datetime.now(timezone.utc)
                session.end(Finish(outcome=Outcome.SUCCESS, started_at=now, ended_at=now))
                time.sleep(60)
        """)
        home.start()
        assert home.report(home.submit("lingers"))["ending"]["outcome"] == "success"
        home.wait_for(lambda: home.is_gone(int(home.file("pid"))), "the lingering child to be killed")
        assert len(home.journal("report")) == 1

    def test_a_grandchild_that_holds_the_log_delays_nothing_and_does_not_survive(self, home: Home) -> None:
        home.write_tasks("""
            def leaves(context, session):
                escaped = subprocess.Popen(["sleep", "60"], start_new_session=True)
                say("pid", escaped.pid)
        """)
        home.start()
        assert home.report(home.submit("leaves"))["ending"]["outcome"] == "success"
        home.wait_for(lambda: home.is_gone(int(home.file("pid"))), "the grandchild to be killed")

    def test_a_failed_task_is_reported_when_its_processes_are_gone(self, home: Home) -> None:
        home.write_tasks("""
            def leaves(context, session):
                escaped = subprocess.Popen(["sleep", "60"], start_new_session=True)
                say("pid", escaped.pid)
                raise ValueError("x")
        """)
        home.start()
        home.report(home.submit("leaves"))
        assert home.is_gone(int(home.file("pid")))


class TestStopping:
    STUBBORN = """
        def stubborn(context, session):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            escaped = subprocess.Popen(
                [sys.executable, "-c", "import signal, time\\n"
                 "signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"],
                start_new_session=True, stdout=subprocess.PIPE)
            escaped.stdout.readline()
            say("pids", f"{os.getpid()} {escaped.pid}")
            time.sleep(60)
        def polite(context, session):
            say("pids", os.getpid())
            try:
                time.sleep(60)
            finally:
                print("cleaned up")
    """

    def test_a_timeout_ends_a_child_that_ignores_sigterm_and_its_escaped_grandchild(self, home: Home) -> None:
        home.write_tasks(self.STUBBORN)
        home.start()
        # A limit that a busy machine reaches before the task has made itself stubborn proves nothing.
        for limit in (0.6, 4.0, 30.0):
            report = home.report(home.submit("stubborn", timeout=limit))
            assert report["timed_out"] == f"it ran longer than its execution_timeout of {limit:g} s"
            if (home.path / "pids").exists():
                break
        for pid in home.file("pids").split():
            assert home.is_gone(int(pid))

    def test_a_stop_lets_the_task_clean_up(self, home: Home) -> None:
        home.write_tasks(self.STUBBORN)
        home.start(heartbeat=30)
        workload = home.submit("polite")
        home.file("pids")
        lease = f"lease-{workload.id}-1"
        home.client.stop([StopRequest(task=workload.id, run=1, lease_id=lease, kind=StopKind.MARK_FAILED, actor="ann")])
        report = home.report(workload)
        assert report["stopped"] == "mark_failed"
        assert "ending" not in report
        assert home.messages("polite") == ["stopped by ann: mark_failed", "cleaned up"]

    def test_a_stop_comes_with_the_heartbeat_too(self, home: Home) -> None:
        home.write_tasks(self.STUBBORN)
        home.start()
        workload = home.submit("polite")
        home.file("pids")
        request = StopRequest(task=workload.id, run=1, lease_id=f"lease-{workload.id}-1", kind=StopKind.CLEAR)
        (home.path / "stops").write_bytes(msgspec.json.encode([request]))
        assert home.report(workload)["stopped"] == "clear"

    @pytest.mark.parametrize("fence_after", [0.3, None])
    def test_without_renewals_it_kills_its_tasks_where_another_host_might_start_them_and_only_there(
        self, home: Home, fence_after: float | None
    ) -> None:
        home.write_tasks(self.STUBBORN)
        home.start(fence_after=fence_after)
        workload = home.submit("polite")
        pid = int(home.file("pids").split()[0])
        (home.path / "down").touch()
        if fence_after is None:
            time.sleep(0.6)
            assert not home.is_gone(pid)
            (home.path / "down").unlink()
            return
        home.wait_for(lambda: home.is_gone(pid), "the end of the task while nothing can be written")
        (home.path / "down").unlink()
        assert home.report(workload)["lost"] == "the supervisor could not renew its leases and killed its tasks"
