"""Zygotes: who serves which code, who is replaced, and what waits for new code; over a gateway made of files."""

from __future__ import annotations

import base64
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

if TYPE_CHECKING:
    from core.tests.unit.supervisor.conftest import Home

pytestmark = pytest.mark.processes


class TestZygotes:
    def test_one_zygote_serves_many_tasks_each_in_a_process_of_its_own(self, home: Home) -> None:
        home.write_tasks("""
            import random
            def number(context, session):
                return [os.getpid(), os.getppid(), random.random()]
        """)
        home.start()
        reports = [home.report(home.submit("number")) for _ in range(3)]
        values = [msgspec.json.decode(base64.b64decode(report["xcoms"][0]["value"]["data"])) for report in reports]
        assert len({pid for pid, _, _ in values}) == 3
        assert len({parent for _, parent, _ in values}) == 1
        assert len({chance for _, _, chance in values}) == 3

    def test_a_killed_zygote_takes_its_children_along_and_is_replaced(self, home: Home) -> None:
        home.write_tasks("""
            def waits(context, session):
                grandchild = subprocess.Popen(["sleep", "60"])
                say("pids", f"{os.getpid()} {os.getppid()} {grandchild.pid}")
                time.sleep(60)
            def quick(context, session):
                pass
        """)
        home.start()
        workload = home.submit("waits")
        child, zygote, grandchild = map(int, home.file("pids").split())
        os.kill(zygote, signal.SIGKILL)
        assert "the process that had forked the task was killed" in home.report(workload)["lost"]
        assert home.is_gone(child)
        assert home.is_gone(grandchild)
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
        home.start(import_timeout=1 if "sleep" in source else 30)
        report = home.report(home.submit("any"))
        assert report["ending"]["outcome"] == "fail"
        assert report["ending"]["reason"].startswith("the DAG file cannot be imported")
        (line,) = home.log("any")
        assert says in line["msg"]

    def test_code_that_leaves_threads_gets_a_fresh_interpreter_per_task(self, home: Home) -> None:
        home.write_tasks("""
            import threading
            threading.Thread(target=time.sleep, args=(600,), daemon=True, name="poller").start()
            def quick(context, session):
                return os.getppid()
        """)
        home.start()
        for _ in range(2):
            report = home.report(home.submit("quick"))
            parent = msgspec.json.decode(base64.b64decode(report["xcoms"][0]["value"]["data"]))
            assert parent == home.process.pid
        assert "leaves threads behind when it is imported (poller)" in home.stderr()

    def test_zygotes_beyond_the_limit_leave(self, home: Home) -> None:
        home.start(max_zygotes=2, spares=0)
        for number in range(4):
            home.write_tasks(f"""
                VERSION = {number}
                def quick(context, session):
                    pass
            """)
            home.report(home.submit("quick"))
        home.wait_for(lambda: len(home.children()) <= 2, "the oldest zygotes to leave")

    def test_preparing_starts_the_zygote_and_its_spare(self, home: Home) -> None:
        home.write_tasks("def quick(context, session): return os.getpid()")
        home.start()
        home.client.prepare([("b", "dag.py", home.code_version)])
        home.wait_for(lambda: len(home.children()) == 2, "a zygote and a spare child")

    def test_many_short_tasks_find_spares_waiting_of_which_one_stays(self, home: Home) -> None:
        home.write_tasks("def quick(context, session): pass")
        home.start(spares=3, surplus_after=0.3, tidy=0.1)
        home.report(home.submit("quick"))  # the zygote is there
        workloads = [home.workload("quick") for _ in range(5)]
        home.client.submit(workloads)
        for workload in workloads:
            assert home.report(workload)["ending"]["outcome"] == "success"
        (zygote,) = home.zygotes()
        home.wait_for(lambda: len(home.children()) == 4, "three spares beside their zygote")
        # None of them holds the line or the log of another.
        open_files = [list(Path(f"/proc/{spare}/fd").iterdir()) for spare in home.children() - {zygote}]
        assert len({len(files) for files in open_files}) == 1
        home.wait_for(lambda: len(home.children()) == 2, "two of them to leave")
        assert home.report(home.submit("quick"))["ending"]["outcome"] == "success"

    def test_a_run_keeps_its_code_whatever_the_disk_says(self, home: Home) -> None:
        home.write_tasks(
            """
                from lib.names import NAME
                def tell(context, session):
                    from lib.late import LATE
                    print(NAME, LATE, Path(__file__).with_name("data.txt").read_text())
            """,
            **{"lib/__init__.py": "", "lib/names.py": "NAME = 'pinned'", "lib/late.py": "LATE = 'late'"},
        )
        (home.path / "bundle/lib/names.py").write_text("NAME = 'edited'")
        (home.path / "bundle/lib/late.py").unlink()
        (home.path / "bundle/dag.py").write_text("raise ValueError")
        (home.path / "bundle/data.txt").write_text("data")
        home.start()
        home.report(home.submit("tell"))
        assert home.messages("tell") == ["pinned late data"]

    def test_more_files_than_zygotes_all_get_their_turn(self, home: Home) -> None:
        home.start(max_zygotes=1)
        workloads = []
        for number in range(4):
            home.write_tasks(f"""
                VERSION = {number}
                def quick(context, session):
                    pass
            """)
            workloads.append(home.submit("quick"))
        for workload in workloads:
            assert home.report(workload)["ending"]["outcome"] == "success"

    def test_a_blank_zygote_waits_for_new_code_and_is_replaced_when_it_is_used(self, home: Home) -> None:
        home.start(blank=True, tidy=3600)
        home.wait_for(home.children, "the blank zygote")
        (blank,) = home.children()
        home.write_tasks("def parent(context, session): return os.getppid()")
        report = home.report(home.submit("parent"))
        assert msgspec.json.decode(base64.b64decode(report["xcoms"][0]["value"]["data"])) == blank
        home.wait_for(lambda: len(home.zygotes() - {blank}) == 1, "the next blank zygote")
