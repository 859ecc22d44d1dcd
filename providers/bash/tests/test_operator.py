"""BashOperator: exit codes, output, environment, folders, and the end of everything that it started."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG
from windlass.errors import TaskSkipped
from windlass_bash.operators import BashCommandFailed, BashOperator


def run(command: str, **arguments: Any) -> object:
    operator = BashOperator(task_id="t", bash_command=command, **arguments)
    return operator.execute({"task": operator, "run_id": "manual__1", "try_number": 2})


def until(condition: Callable[[], bool]) -> bool:
    """Wait for a condition, 10 seconds at most."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_last_line_is_the_result() -> None:
    assert run("echo one; echo two") == "two"
    assert run("printf 'one\\ntwo'") == "two"
    assert run("true") == ""
    assert run("echo '{\"a\": 1}'", output_processor=json.loads) == {"a": 1}


def test_standard_error_is_output_too() -> None:
    assert run("echo out; echo err >&2") == "err"


@pytest.mark.parametrize(
    ("code", "skip", "skips"),
    [(99, 99, True), (99, None, False), (3, 3, True), (3, [2, 3], True), (99, [2, 3], False), (1, 99, False)],
)
def test_exit_codes(code: int, skip: object, skips: bool) -> None:
    if skips:
        with pytest.raises(TaskSkipped, match=f"exit code {code}"):
            run(f"exit {code}", skip_on_exit_code=skip)
    else:
        with pytest.raises(BashCommandFailed, match=f"bash ended with exit code {code};") as caught:
            run(f"exit {code}", skip_on_exit_code=skip)
        assert caught.value.exit_code == code


def test_99_skips_by_default() -> None:
    with pytest.raises(TaskSkipped):
        run("exit 99")


def test_death_by_a_signal_is_a_failure_that_names_it() -> None:
    with pytest.raises(BashCommandFailed, match=r"signal 9 \(SIGKILL\)"):
        run("kill -9 $$")


def test_output_is_logged_line_by_line_while_the_command_runs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    seen: list[str] = []

    class Opener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            gate.touch()

    logger = logging.getLogger("windlass_bash")
    handler = Opener()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        # The command goes on only when its first line was logged.
        run(f"echo first; until [ -e {gate} ]; do sleep 0.01; done; echo second")
    finally:
        logger.removeHandler(handler)
    assert seen == ["first", "second"]


def test_bytes_that_are_no_text_are_shown_escaped() -> None:
    assert run("printf 'a\\xffb\\n'") == "a\\xffb"
    assert run("printf 'caf\\xe9\\n'", output_encoding="latin-1") == "café"


def test_the_environment_is_inherited_replaced_or_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "outer")
    show = "echo $OUTER-$INNER"
    assert run(show) == "outer-"
    assert run(show, env={"INNER": "inner"}) == "-inner"
    assert run(show, env={"INNER": "inner"}, append_env=True) == "outer-inner"
    assert run(show, env={"INNER": 1, "OUTER": "mine"}, append_env=True) == "mine-1"
    assert run(show, env={}) == "-"


def test_the_lease_is_always_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDLASS_LEASE_ID", "lease-1")
    assert run("echo $WINDLASS_LEASE_ID", env={}) == "lease-1"
    assert run("echo $WINDLASS_LEASE_ID", env={"WINDLASS_LEASE_ID": "forged"}) == "lease-1"


def test_the_environment_says_what_runs() -> None:
    assert (
        run("echo $WINDLASS_CTX_TASK_ID $WINDLASS_CTX_DAG_RUN_ID $WINDLASS_CTX_TRY_NUMBER", env={}) == "t manual__1 2"
    )


@pytest.mark.parametrize("env", ["A=1", {"A": True}, {"A": None}, {1: "a"}])
def test_an_environment_that_is_none_is_an_error(env: object) -> None:
    with pytest.raises(TypeError, match="task 't': env"):
        run("true", env=env)


def test_the_command_runs_in_cwd_or_in_a_folder_of_its_own(tmp_path: Path) -> None:
    assert run("pwd", cwd=str(tmp_path)) == str(tmp_path)
    folder = Path(str(run("touch file; pwd")))
    assert folder != Path.cwd()
    assert not folder.exists()
    with pytest.raises(NotADirectoryError, match="does not exist on the machine"):
        run("true", cwd=str(tmp_path / "absent"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        run("true", cwd=str(tmp_path / "file"))


def test_a_command_longer_than_an_argument_may_be() -> None:
    assert run(f": {'x' * 300_000}\necho done") == "done"


def test_an_empty_command_is_an_error() -> None:
    with pytest.raises(TypeError, match="must be a text that is not empty"):
        run("  ")


def test_templates_are_the_command_the_environment_and_the_folder() -> None:
    assert set(BashOperator.template_fields) == {"bash_command", "env", "cwd"}
    assert set(BashOperator.template_ext) == {".sh", ".bash"}


@pytest.mark.processes
def test_what_is_left_in_the_background_neither_delays_nor_outlives_the_task(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    assert run(f"sleep 600 & echo $! > {pid_file}; echo done") == "done"
    pid = int(pid_file.read_text())
    assert until(lambda: not alive(pid))


def escaping(pid_file: Path, then: str) -> str:
    """Return a command that leaves a process behind in a session of its own, and goes on once it runs."""
    left = f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 600"
    return f"setsid sh -c '{left}' & until [ -e {pid_file} ]; do sleep 0.01; done; {then}"


@pytest.mark.processes
@pytest.mark.parametrize("env", [None, {"WORD": "x", "WINDLASS_LEASE_ID": "forged"}])
def test_what_has_left_the_group_ends_with_a_task_that_no_supervisor_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str] | None
) -> None:
    monkeypatch.delenv("WINDLASS_LEASE_ID", raising=False)
    assert run(escaping(tmp_path / "pid", "echo done"), env=env, append_env=True) == "done"
    assert not alive(int((tmp_path / "pid").read_text()))


@pytest.mark.processes
def test_in_a_test_of_the_dag_a_timeout_ends_what_has_left_the_group(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with DAG("bash", schedule=None) as dag:
        command = escaping(pid_file, "sleep 600")
        BashOperator(task_id="t", bash_command=command, execution_timeout=timedelta(seconds=1))
    result = dag.test()
    assert result.states == {"t": "failed"}
    assert "1 s" in str(result.task("t").reason)
    assert not alive(int(pid_file.read_text()))


@pytest.mark.processes
def test_what_a_supervisor_watches_is_the_supervisor_s_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDLASS_LEASE_ID", "lease-1")
    run(escaping(tmp_path / "pid", "echo done"))
    pid = int((tmp_path / "pid").read_text())
    try:
        assert alive(pid)
        assert b"WINDLASS_LEASE_ID=lease-1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.processes
def test_a_flood_from_the_background_does_not_keep_the_task() -> None:
    run("yes & exit 0")


@pytest.mark.processes
def test_cancelling_the_task_while_bash_is_being_started_leaves_nothing_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    program = textwrap.dedent(
        f"""
        import os, pathlib, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        from windlass_bash.operators import BashOperator

        class Slow(subprocess.Popen):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                while not pathlib.Path({str(pids)!r}).exists():
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGTERM)

        subprocess.Popen = Slow
        command = "echo $$ > {pids}.new; mv {pids}.new {pids}; sleep 600"
        BashOperator(task_id="t", bash_command=command).execute({{}})
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ)) as task:
        assert task.wait(20) == 143
    assert until(lambda: not alive(int(pids.read_text())))


@pytest.mark.processes
@pytest.mark.parametrize("start", ["", "trap '' TERM; ", "setsid "], ids=["willing", "stubborn", "escaped"])
def test_cancelling_the_task_ends_all_that_it_has_started(tmp_path: Path, start: str) -> None:
    pids = tmp_path / "pids"
    program = textwrap.dedent(
        f"""
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        from windlass_bash.operators import BashOperator
        command = "{start}sleep 600 & echo $! > {pids}; echo $$ >> {pids}; wait"
        BashOperator(task_id="t", bash_command=command).execute({{}})
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ)) as task:
        try:
            assert until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
            task.send_signal(signal.SIGTERM)
            assert task.wait(20) == 143
        finally:
            task.kill()
    assert until(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))
