"""A real supervisor, real zygotes and real children, over a gateway made of files."""

from __future__ import annotations

import base64
import os
import signal
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from windlass.errors import Conflict
from windlass.ports import StopKind, StopRequest
from windlass.supervisor.client import SupervisorClient

if TYPE_CHECKING:
    from core.tests.unit.supervisor.conftest import Home

pytestmark = pytest.mark.processes

PREAMBLE = """
import os, signal, subprocess, sys, time
from pathlib import Path
DAG_ID = "d"
HOME = Path(__file__).parent.parent

def say(name, text):
    (HOME / name).write_text(f"{text}\\n")
"""


def code(body: str) -> str:
    return PREAMBLE + textwrap.dedent(body)


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def zygotes(home: Home) -> set[int]:
    """Return the processes that the supervisor itself has started."""
    return {pid for pid in home.children() if parent_of(pid) == home.process.pid}


def parent_of(pid: int) -> int:
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


class TestEndings:
    def test_a_task_runs_and_its_result_is_reported(self, home: Home) -> None:
        home.write_code(
            code("""
            def hello(context, session):
                print("hello from", context.task_id)
                return 42
        """)
        )
        home.start()
        report = home.report(home.submit("hello"))
        assert report["ending"]["outcome"] == "success"
        assert [xcom["key"] for xcom in report["xcoms"]] == ["return_value"]
        assert home.messages("hello") == ["hello from hello"]
        assert report["log_size"] == (home.path / "logs/task_id=hello/attempt=1.log").stat().st_size

    def test_a_failure_is_reported_with_its_reason_and_traceback(self, home: Home) -> None:
        home.write_code(
            code("""
            def bad(context, session):
                raise ValueError("no such column")
        """)
        )
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
        home.write_code(
            code(f"""
            def dies(context, session):
                {statement}
        """)
        )
        home.start()
        report = home.report(home.submit("dies"))
        assert reason in report["lost"]
        assert reason in home.messages("dies")[-1]

    def test_the_log_is_complete_after_a_kill(self, home: Home) -> None:
        home.write_code(
            code("""
            def dies(context, session):
                for number in range(20_000):
                    print("line", number)
                print("the end has no newline", end="")
                sys.stdout.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        """)
        )
        home.start()
        home.report(home.submit("dies"))
        *lines, last, note = home.messages("dies")
        if last.startswith("the task's process"):
            last, note = note, last
        assert lines == [f"line {number}" for number in range(20_000)]
        assert last == "the end has no newline"
        assert "SIGKILL" in note

    def test_a_child_that_lingers_after_its_success_is_killed(self, home: Home) -> None:
        home.write_code(
            code("""
            from datetime import datetime, timezone
            from windlass.protocol import Finish, Outcome
            def lingers(context, session):
                say("pid", os.getpid())
                now = datetime.now(timezone.utc)
                session.end(Finish(outcome=Outcome.SUCCESS, started_at=now, ended_at=now))
                time.sleep(60)
        """)
        )
        home.start()
        assert home.report(home.submit("lingers"))["ending"]["outcome"] == "success"
        wait_for(lambda: is_gone(int(home.file("pid"))), "the lingering child to be killed")
        assert len(home.journal("report")) == 1

    def test_a_grandchild_that_holds_the_log_delays_nothing_and_does_not_survive(self, home: Home) -> None:
        home.write_code(
            code("""
            def leaves(context, session):
                escaped = subprocess.Popen(["sleep", "60"], start_new_session=True)
                say("pid", escaped.pid)
        """)
        )
        home.start()
        assert home.report(home.submit("leaves"))["ending"]["outcome"] == "success"
        wait_for(lambda: is_gone(int(home.file("pid"))), "the grandchild to be killed")

    def test_a_failed_task_is_reported_when_its_processes_are_gone(self, home: Home) -> None:
        home.write_code(
            code("""
            def leaves(context, session):
                escaped = subprocess.Popen(["sleep", "60"], start_new_session=True)
                say("pid", escaped.pid)
                raise ValueError("x")
        """)
        )
        home.start()
        home.report(home.submit("leaves"))
        assert is_gone(int(home.file("pid")))


class TestClaims:
    def test_a_workload_delivered_twice_runs_once(self, home: Home) -> None:
        home.write_code(
            code("""
            def once(context, session):
                with open(HOME / "ran", "a") as file:
                    file.write("x\\n")
        """)
        )
        home.start()
        workload = home.workload("once")
        home.client.submit([workload, workload])
        home.report(workload)
        wait_for(lambda: home.client.stats().running == 0, "the child to be gone")
        assert home.journal("conflict") == []  # the second one did not even cost a fork
        home.client.submit([workload])
        wait_for(lambda: home.journal("conflict"), "the late delivery to be refused")
        assert home.file("ran") == "x"
        assert len(home.journal("claim")) == 1

    def test_a_child_dead_before_its_hello_costs_nothing(self, home: Home) -> None:
        home.write_code(
            code("""
            def quick(context, session):
                pass
        """)
        )
        home.start(spare=True)
        home.report(home.submit("quick"))  # the zygote is warm, its spare waits
        wait_for(lambda: len(home.children()) == 2, "the spare child")
        (home.path / "down").touch()
        workload = home.submit("quick")
        time.sleep(0.1)  # whichever side of the hand-over the kill falls on, the outcome is the same
        zygote = next(pid for pid in home.children() if (Path(f"/proc/{pid}/task/{pid}/children")).read_text())
        for pid in home.children() - {zygote}:
            os.kill(pid, signal.SIGKILL)
        (home.path / "down").unlink()
        assert home.report(workload)["ending"]["outcome"] == "success"

    def test_while_the_gateway_fails_nothing_is_claimed_killed_or_lost(self, home: Home) -> None:
        home.write_code(
            code("""
            def waits(context, session):
                say("started", os.getpid())
                while not (HOME / "go").exists():
                    time.sleep(0.01)
                return "result"
        """)
        )
        home.start()
        running = home.submit("waits")
        home.claimed(running)
        home.file("started")
        (home.path / "down").touch()
        waiting = home.submit("waits")
        (home.path / "go").touch()
        wait_for(lambda: home.client.stats().reports_held == 1, "the report to be held")
        assert not home.client.stats().claiming
        (home.path / "down").unlink()
        assert home.report(running)["xcoms"]
        assert home.report(waiting)["ending"]["outcome"] == "success"


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
        home.write_code(code(self.STUBBORN))
        home.start()
        report = home.report(home.submit("stubborn", timeout=0.6))
        assert report["timed_out"] == "it ran longer than its execution_timeout of 0.6 s"
        for pid in home.file("pids").split():
            assert is_gone(int(pid))

    def test_a_stop_lets_the_task_clean_up(self, home: Home) -> None:
        home.write_code(code(self.STUBBORN))
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
        home.write_code(code(self.STUBBORN))
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
        home.write_code(code(self.STUBBORN))
        home.start(fence_after=fence_after)
        workload = home.submit("polite")
        pid = int(home.file("pids").split()[0])
        (home.path / "down").touch()
        if fence_after is None:
            time.sleep(0.6)
            assert not is_gone(pid)
            (home.path / "down").unlink()
            return
        wait_for(lambda: is_gone(pid), "the end of the task while nothing can be written")
        (home.path / "down").unlink()
        assert home.report(workload)["lost"] == "the supervisor could not renew its leases and killed its tasks"


class TestZygotes:
    def test_one_zygote_serves_many_tasks_each_in_a_process_of_its_own(self, home: Home) -> None:
        home.write_code(
            code("""
            import random
            def number(context, session):
                return [os.getpid(), os.getppid(), random.random()]
        """)
        )
        home.start()
        reports = [home.report(home.submit("number")) for _ in range(3)]
        values = [msgspec.json.decode(base64.b64decode(report["xcoms"][0]["value"]["data"])) for report in reports]
        assert len({pid for pid, _, _ in values}) == 3
        assert len({parent for _, parent, _ in values}) == 1
        assert len({chance for _, _, chance in values}) == 3

    def test_a_killed_zygote_takes_its_children_along_and_is_replaced(self, home: Home) -> None:
        home.write_code(
            code("""
            def waits(context, session):
                grandchild = subprocess.Popen(["sleep", "60"])
                say("pids", f"{os.getpid()} {os.getppid()} {grandchild.pid}")
                time.sleep(60)
            def quick(context, session):
                pass
        """)
        )
        home.start()
        workload = home.submit("waits")
        child, zygote, grandchild = map(int, home.file("pids").split())
        os.kill(zygote, signal.SIGKILL)
        assert "the process that had forked the task was killed" in home.report(workload)["lost"]
        assert is_gone(child)
        assert is_gone(grandchild)
        assert home.report(home.submit("quick"))["ending"]["outcome"] == "success"

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
            ("def f(:", "SyntaxError"),
            ("import sys; sys.exit(4)", "SystemExit: 4"),
            ("import os; print('last words', flush=True); os._exit(5)", "exited with status 5"),
            ("import time; time.sleep(60)", "took longer than 1 s"),
        ],
    )
    def test_code_that_cannot_be_imported_fails_the_task_and_its_log_says_why(
        self, home: Home, source: str, says: str
    ) -> None:
        home.write_code(source)
        home.start(import_timeout=1)
        report = home.report(home.submit("any"))
        assert report["ending"]["outcome"] == "fail"
        assert report["ending"]["reason"].startswith("the DAG file cannot be imported")
        (line,) = home.log("any")
        assert says in line["msg"]

    def test_code_that_leaves_threads_gets_a_fresh_interpreter_per_task(self, home: Home) -> None:
        home.write_code(
            code("""
            import threading
            threading.Thread(target=time.sleep, args=(600,), daemon=True, name="poller").start()
            def quick(context, session):
                return os.getppid()
        """)
        )
        home.start()
        for _ in range(2):
            report = home.report(home.submit("quick"))
            parent = msgspec.json.decode(base64.b64decode(report["xcoms"][0]["value"]["data"]))
            assert parent == home.process.pid
        assert "leaves threads behind when it is imported (poller)" in home.stderr()

    def test_zygotes_beyond_the_limit_leave(self, home: Home) -> None:
        home.start(max_zygotes=2, spare=False)
        for number in range(4):
            home.write_code(
                code(f"""
                VERSION = {number}
                def quick(context, session):
                    pass
            """)
            )
            home.report(home.submit("quick"))
        wait_for(lambda: len(home.children()) <= 2, "the oldest zygotes to leave")

    def test_preparing_starts_the_zygote_and_its_spare(self, home: Home) -> None:
        home.write_code(code("def quick(context, session): return os.getpid()"))
        home.start()
        home.client.prepare([("b", "dag.py", home.code_version)])
        wait_for(lambda: len(home.children()) == 2, "a zygote and a spare child")

    def test_a_run_keeps_its_code_whatever_the_disk_says(self, home: Home) -> None:
        home.write_code(
            code("""
                from lib.names import NAME
                def tell(context, session):
                    from lib.late import LATE
                    print(NAME, LATE, Path(__file__).with_name("data.txt").read_text())
            """),
            **{"lib/__init__.py": "", "lib/names.py": "NAME = 'pinned'", "lib/late.py": "LATE = 'late'"},
        )
        (home.path / "bundle/lib/names.py").write_text("NAME = 'edited'")
        (home.path / "bundle/lib/late.py").unlink()
        (home.path / "bundle/dag.py").write_text("raise ValueError")
        (home.path / "bundle/data.txt").write_text("data")
        home.start()
        home.report(home.submit("tell"))
        assert home.messages("tell") == ["pinned late data"]


class TestConversation:
    def test_a_secret_is_masked_in_the_log_in_all_its_forms(self, home: Home) -> None:
        home.write_code(
            code("""
            import base64, logging
            from windlass.protocol import GetConnection, Mask
            def tell(context, session):
                password = session.ask(GetConnection(conn_id="db"))["password"]
                print("password is", password)
                print(base64.b64encode(password.encode()).decode())
                logging.getLogger("x").info("half" + password + "half")
                session.tell(Mask(values=["own-secret"]))
                sys.stdout.write("own-se")
                sys.stdout.flush()
                time.sleep(0.05)
                print("cret")
        """)
        )
        home.start()
        home.report(home.submit("tell"))
        text = (home.path / "logs/task_id=tell/attempt=1.log").read_text()
        assert "swordfish" not in text
        assert base64.b64encode(b"swordfish-9").decode().rstrip("=") not in text
        assert home.messages("tell") == ["password is ***", "***", "half***half", "***"] or "***" in text
        assert home.messages("tell")[-1] == "***"

    def test_questions_are_answered_and_errors_are_answers(self, home: Home) -> None:
        home.write_code(
            code("""
            from windlass.errors import ConnectionNotDefined
            from windlass.protocol import GetConnection, XComInfo
            def ask(context, session):
                print(session.ask(XComInfo(task_id="other")))
                try:
                    session.ask(GetConnection(conn_id="nope"))
                except ConnectionNotDefined as error:
                    print(error)
        """)
        )
        home.start()
        home.report(home.submit("ask"))
        assert home.messages("ask") == [
            "{'answered': 'XComInfo'}",
            "connection `nope` is not defined; looked in: nowhere",
        ]

    def test_a_child_that_breaks_the_protocol_is_killed_and_lost(self, home: Home) -> None:
        home.write_code(
            code("""
            def lies(context, session):
                session._sock.sendall(b"\\xff\\xff\\xff\\xff")
                time.sleep(60)
        """)
        )
        home.start()
        assert "broke the protocol" in home.report(home.submit("lies"))["lost"]

    def test_children_see_none_of_the_servers_secrets_and_carry_their_mark(self, home: Home) -> None:
        home.write_code(
            code("""
            def tell(context, session):
                print(sorted(name for name in os.environ if name.startswith("WINDLASS_") and name != "WINDLASS_HOME"))
                print(os.environ["WINDLASS_LEASE_ID"] in open("/proc/self/environ").read())
        """)
        )
        home.start()
        home.report(home.submit("tell"))
        assert home.messages("tell") == ["['WINDLASS_LEASE_ID']", "True"]


class TestLife:
    def test_it_outlives_its_server_and_is_adopted_by_the_next(self, home: Home) -> None:
        home.write_code(
            code("""
            def waits(context, session):
                while not (HOME / "go").exists():
                    time.sleep(0.01)
        """)
        )
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
        home.write_code(
            code("""
            def waits(context, session):
                escaped = subprocess.Popen(["sleep", "60"], start_new_session=True)
                say("pids", f"{os.getpid()} {escaped.pid}")
                time.sleep(60)
        """)
        )
        home.start()
        home.submit("waits")
        pids = [int(pid) for pid in home.file("pids").split()]
        home.process.kill()
        home.process.wait()
        home.client.close()
        home.start()
        wait_for(lambda: len(home.journal("recover")) == 2, "the successor to recover")
        assert all(is_gone(pid) for pid in pids)

    def test_a_process_that_a_task_forked_may_not_end_the_attempt(self, home: Home) -> None:
        home.write_code(
            code("""
            def forks(context, session):
                if os.fork() == 0:
                    raise ValueError("from the fork")
                os.wait()
                return 42
        """)
        )
        home.start()
        assert home.report(home.submit("forks"))["ending"]["outcome"] == "success"

    def test_a_draining_supervisor_stays_when_a_new_server_comes(self, home: Home) -> None:
        home.write_code(
            code("""
            def waits(context, session):
                say("started", os.getpid())
                time.sleep(60)
            def quick(context, session):
                pass
        """)
        )
        home.start()
        home.submit("waits")
        home.file("started")
        home.client.drain()
        home.client.close()
        home.connect()
        assert home.report(home.submit("quick"))["ending"]["outcome"] == "success"

    def test_draining_finishes_what_runs_and_takes_nothing_new(self, home: Home) -> None:
        home.write_code(
            code("""
            def waits(context, session):
                while not (HOME / "go").exists():
                    time.sleep(0.01)
        """)
        )
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
        home.write_code(
            code("""
            def waits(context, session):
                time.sleep(60)
        """)
        )
        home.start()
        running = home.submit("waits")
        home.claimed(running)
        home.process.terminate()
        assert "the supervisor was stopped" in home.report(running)["lost"]
        assert home.process.wait(10) == 0


class TestPressure:
    def test_more_files_than_zygotes_all_get_their_turn(self, home: Home) -> None:
        home.start(max_zygotes=1)
        workloads = []
        for number in range(4):
            home.write_code(
                code(f"""
                VERSION = {number}
                def quick(context, session):
                    pass
            """)
            )
            workloads.append(home.submit("quick"))
        for workload in workloads:
            assert home.report(workload)["ending"]["outcome"] == "success"

    def test_a_blank_zygote_waits_for_new_code_and_is_replaced_when_it_is_used(self, home: Home) -> None:
        home.start(blank=True, tidy=3600)
        wait_for(home.children, "the blank zygote")
        (blank,) = home.children()
        home.write_code(code("def parent(context, session): return os.getppid()"))
        report = home.report(home.submit("parent"))
        assert msgspec.json.decode(base64.b64decode(report["xcoms"][0]["value"]["data"])) == blank
        wait_for(lambda: len(zygotes(home) - {blank}) == 1, "the next blank zygote")

    def test_many_at_once_all_run_once(self, home: Home) -> None:
        home.write_code(
            code("""
            def note(context, session):
                with open(HOME / "ran", "a") as file:
                    file.write(f"{context.lease_id}\\n")
        """)
        )
        home.start()
        workloads = [home.workload("note") for _ in range(60)]
        home.client.submit(workloads)
        for workload in workloads:
            assert home.report(workload)["ending"]["outcome"] == "success"
        assert len(set(home.file("ran").split())) == len(home.file("ran").split()) == 60

    def test_an_orphan_that_hid_itself_completely_does_not_survive(self, home: Home) -> None:
        home.write_code(
            code("""
            def leaves(context, session):
                escaped = subprocess.Popen(["env", "-i", "sleep", "60"], start_new_session=True)
                say("pid", escaped.pid)
                time.sleep(0.1)
        """)
        )
        home.start()
        home.report(home.submit("leaves"))
        wait_for(lambda: is_gone(int(home.file("pid"))), "the orphan to be killed")

    def test_a_log_that_cannot_be_written_fails_no_task(self, home: Home) -> None:
        home.write_code(
            code("""
            def talks(context, session):
                print("x" * 100_000)
        """)
        )
        (home.path / "logs/task_id=talks").write_text("in the way")
        home.start()
        assert home.report(home.submit("talks"))["ending"]["outcome"] == "success"
        assert "cannot be written" in home.stderr()

    def test_a_task_reads_its_own_xcom_and_its_fields_are_masked(self, home: Home) -> None:
        home.write_code(
            code("""
            from windlass.protocol import Mask, Rendered, XComGet, XComSet, XComValue
            def asks(context, session):
                session.tell(Mask(values=["swordfish"]))
                session.tell(Rendered(fields={"sql": "select 'swordfish'", "big": "x" * 10_000}))
                session.tell(XComSet(key="k", value=XComValue(codec="json", data=b"1", preview="swordfish")))
                session.ask(XComGet(task_id="asks", key="k"))
                session.tell(XComSet(key="l", value=XComValue(codec="json", data=b"1", preview="swordfish")))
        """)
        )
        home.start()
        report = home.report(home.submit("asks"))
        assert [call["key"] for call in home.journal("call")] == ["k", "k"]
        assert home.journal("call")[0]["value"]["preview"] == "***"
        assert report["rendered"]["fields"]["sql"] == "select '***'"
        assert len(report["rendered"]["fields"]["big"]) < 5000
        assert [(xcom["key"], xcom["value"]["preview"]) for xcom in report["xcoms"]] == [("l", "***")]
