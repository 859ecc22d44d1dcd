"""Real processes are killed at bad moments; a ledger outside the database tells what really ran."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windlass_testing.stores import environ_of

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

#: Each attempt writes its start and its end, with the process that it was, in one append each.
LEDGER = """
import os, time
from datetime import timedelta
from windlass import DAG, task

def note(word, task_id):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{word} {task_id} {os.getpid()} {time.monotonic():.6f}\\n")

def work(task_id, seconds):
    note("start", task_id)
    time.sleep(seconds)
    note("end", task_id)
"""

CHAIN = (
    LEDGER
    + """
with DAG("chain", schedule=None, is_paused_upon_creation=False, default_args={"retries": 3}):
    previous = None
    for number in range(8):
        @task(task_id=f"t{number}")
        def step(number=number):
            work(f"t{number}", 0.4)
        this = step()
        previous and previous >> this
        previous = this
"""
)


def attempts(installation: Installation) -> dict[str, list[tuple[float, float | None, bool]]]:
    """Return (start, end or None) of every attempt by task, from the ledger."""
    open_at: dict[tuple[str, str], float] = {}
    found: dict[str, list[tuple[float, float | None, bool]]] = defaultdict(list)
    for word, task_id, pid, at in installation.ledger():
        if word == "start":
            open_at[task_id, pid] = float(at)
        else:
            found[task_id].append((open_at.pop((task_id, pid)), float(at), True))
    for (task_id, _), start in open_at.items():
        found[task_id].append((start, None, False))
    return found


def assert_never_twice_at_once(installation: Installation, killed_at: float) -> None:
    for task_id, spans in attempts(installation).items():
        ordered = sorted(spans)
        for (_, end, _), (start, _, _) in itertools.pairwise(ordered):
            assert start >= (end if end is not None else killed_at), f"{task_id} ran twice at once: {ordered}"
        assert sum(finished for *_, finished in ordered) == 1, f"{task_id} ended {ordered}"
    assert "every promise holds" in installation.windlass("doctor", "--invariants")


def wait_for_start(installation: Installation, task_id: str) -> None:
    installation.wait(
        lambda: any(line[:2] == ["start", task_id] for line in installation.ledger()), f"the start of {task_id}"
    )


@pytest.mark.each_database
def test_a_killed_scheduler_loses_nothing_and_its_successor_adopts_what_runs(installation: Installation) -> None:
    installation.write("chain.py", CHAIN)
    server = installation.start("scheduler")
    installation.wait_for_dag("chain")
    run_id = installation.trigger("chain")
    wait_for_start(installation, "t2")
    supervisor = installation.supervisor()
    server.kill()
    server.wait()
    killed_at = time.monotonic()
    installation.start("scheduler")
    run = installation.wait_for_run("chain", run_id, patience=15)
    assert run["state"] == "success"
    assert installation.supervisor() == supervisor  # the attempts went on under the same supervisor
    assert {task["try_number"] for task in run["tasks"]} == {1}
    assert_never_twice_at_once(installation, killed_at)
    os.kill(supervisor, signal.SIGTERM)


@pytest.mark.each_database
def test_a_killed_supervisor_takes_its_tasks_along_and_they_run_again(installation: Installation) -> None:
    installation.write("chain.py", CHAIN)
    installation.start()
    installation.wait_for_dag("chain")
    run_id = installation.trigger("chain")
    wait_for_start(installation, "t2")
    os.kill(installation.supervisor(), signal.SIGKILL)
    killed_at = time.monotonic()
    run = installation.wait_for_run("chain", run_id, patience=15)
    assert run["state"] == "success"
    assert max(task["try_number"] for task in run["tasks"]) == 2
    assert_never_twice_at_once(installation, killed_at)


def test_a_killed_task_is_retried_and_its_log_says_by_what_it_was_killed(installation: Installation) -> None:
    installation.write("chain.py", CHAIN)
    installation.start()
    installation.wait_for_dag("chain")
    run_id = installation.trigger("chain")
    wait_for_start(installation, "t1")
    pid = next(int(line[2]) for line in installation.ledger() if line[:2] == ["start", "t1"])
    os.kill(pid, signal.SIGKILL)
    killed_at = time.monotonic()
    run = installation.wait_for_run("chain", run_id)
    assert run["state"] == "success"
    assert next(task["try_number"] for task in run["tasks"] if task["task_id"] == "t1") == 2
    assert "signal 9" in installation.windlass("tasks", "logs", "chain", "t1", run_id, "--try", "1")
    assert_never_twice_at_once(installation, killed_at)


@pytest.mark.each_database
def test_everything_killed_at_once_is_recovered_by_a_restart(installation: Installation) -> None:
    installation.write("chain.py", CHAIN)
    server = installation.start()
    installation.wait_for_dag("chain")
    run_id = installation.trigger("chain")
    wait_for_start(installation, "t3")
    for pid in (server.pid, installation.supervisor()):
        os.kill(pid, signal.SIGKILL)
    killed_at = time.monotonic()
    server.wait()
    installation.start()
    run = installation.wait_for_run("chain", run_id, patience=15)
    assert run["state"] == "success"
    assert_never_twice_at_once(installation, killed_at)


def test_a_timeout_kills_the_whole_process_tree(installation: Installation) -> None:
    installation.write(
        "stubborn.py",
        LEDGER
        + """
import signal, subprocess
with DAG("stubborn", schedule=None, is_paused_upon_creation=False):
    @task(execution_timeout=timedelta(seconds=1))
    def hang():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("start", "hang")
        subprocess.Popen(["setsid", "sleep", "1234.5"])
        subprocess.Popen(["sleep", "1234.5"])
        time.sleep(600)
    hang()
""",
    )
    installation.start(WINDLASS__CORE__KILLED_TASK_CLEANUP_TIME="0.5")
    installation.wait_for_dag("stubborn")
    run = installation.wait_for_run("stubborn", installation.trigger("stubborn"))
    assert run["state"] == "failed"
    assert not [line for line in installation.processes().values() if "sleep 1234.5" in line]


def test_a_second_scheduler_refuses_and_names_the_first(installation: Installation) -> None:
    server = installation.start()
    message = installation.windlass("scheduler", code=1)
    assert f"a scheduler (pid {server.pid}) already runs" in message


@pytest.mark.sqlite_only("of other databases several schedulers share one")
def test_a_second_home_refuses_the_file_that_another_one_uses(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "shared.db"
    file.parent.mkdir()
    installation.environ["WINDLASS__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{file}"
    installation.start()
    other = {**installation.environ, "WINDLASS_HOME": str(tmp_path / "other")}
    done = subprocess.run(
        installation.command("standalone"), env=other, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert re.search(rf"a process of another home \(pid \d+\) uses the database {file}; stop it first", done.stderr)
    assert "ready" not in done.stderr


@pytest.mark.each_database
def test_standalone_stops_cleanly_and_leaves_no_process(installation: Installation) -> None:
    installation.write("chain.py", CHAIN)
    server = installation.start()
    installation.wait_for_dag("chain")
    installation.trigger("chain")
    wait_for_start(installation, "t0")
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=30) == 0
    assert installation.processes() == {}


def test_standalone_says_which_supervisor_it_leaves(installation: Installation) -> None:
    assert installation.stop(installation.start("scheduler")) == 0
    there = installation.supervisor()
    server, log = installation.start(), installation.home / "standalone-1.log"
    installation.wait(lambda: "ready" in log.read_text(), "the server")
    assert installation.stop(server) == 0
    assert installation.supervisor() == there
    said = log.read_text()
    assert f"the supervisor that was there before stays, with what it runs; `kill {there}` ends it" in said


@pytest.mark.parametrize("_again", range(5))  # the bad moment is a few microseconds wide: one burst may miss it
def test_a_burst_of_signals_ends_standalone_like_two(installation: Installation, _again: int) -> None:
    server = installation.start()
    until = time.monotonic() + 0.02
    while time.monotonic() < until:  # many come while the one before is handled
        os.kill(server.pid, signal.SIGTERM)
        os.kill(server.pid, signal.SIGINT)
    assert server.wait(timeout=20) == 0
    assert installation.processes() == {}


@pytest.mark.each_database
def test_fifty_commands_at_once_all_succeed(installation: Installation) -> None:
    installation.write(
        "one.py", LEDGER + "with DAG('one', schedule=None, is_paused_upon_creation=False):\n    task(work)('one', 0)\n"
    )
    installation.start()
    installation.wait_for_dag("one")
    command = installation.command("dags", "trigger", "one")
    started = [
        subprocess.Popen(command, env=installation.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(50)
    ]
    assert [process.communicate(timeout=120)[1] for process in started] == [b""] * 50
    installation.wait(
        lambda: [run["state"] for run in installation.json("runs", "list", "one")].count("success") == 50, "50 runs"
    )
    assert len(installation.ledger()) == 100


def test_ctrl_c_in_the_middle_of_quickstart_leaves_nothing_running_and_a_restart_goes_on(
    installation: Installation,
) -> None:
    # Quickstart keeps a DAG file that is there; this one waits for somebody to say `go`.
    installation.write(
        "seattle_weather.py",
        LEDGER
        + """
with DAG("seattle_weather", schedule=None, default_args={"retries": 3}):
    @task
    def wait():
        note("start", "wait")
        while not os.path.exists(os.environ["LEDGER"] + ".go"):
            time.sleep(0.02)
        note("end", "wait")
    wait()
""",
    )
    with subprocess.Popen(
        installation.command("quickstart"),
        env=installation.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as quickstart:
        wait_for_start(installation, "wait")
        quickstart.send_signal(signal.SIGINT)
        output, error = quickstart.communicate(timeout=60)
    assert quickstart.returncode == 130, output + error
    assert "Traceback" not in error
    assert installation.processes() == {}
    installation.ledger_file.with_name("ledger.go").touch()
    [run] = installation.json("runs", "list", "seattle_weather")
    installation.start()
    assert installation.wait_for_run("seattle_weather", run["run_id"])["state"] == "success"


def test_a_home_with_too_long_a_path_is_refused_with_the_reason(installation: Installation, tmp_path: Path) -> None:
    home = tmp_path.joinpath(*["a" * 50] * 4)
    refusal = subprocess.run(
        installation.command("standalone"),
        env={**installation.environ, **environ_of(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert refusal.returncode == 2
    assert "bytes too long for sockets" in refusal.stderr
    assert not home.exists()
