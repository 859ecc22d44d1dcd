"""Cleaning, downgrading and opening the database, new keys, and the processes of a home."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from windlass.app.services import fernet_keys
from windlass.config import Settings
from windlass.spec import DagSpec, TaskSpec
from windlass.store.migrating import open_bare
from windlass.store.revision import HEAD
from windlass.store.sharing import Leases
from windlass.supervisor import lock
from windlass_testing.installation import KEY, Installation
from windlass_testing.stores import url_of

Windlass = Callable[..., Any]
COMMAND = [sys.executable, "-P", "-m", "windlass"]


# -- db clean ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def old(here: Installation) -> Installation:
    """An installation with three ended runs, whose clock has gone on for years."""
    here.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"),)))
    for name in ("r1", "r2", "r3"):
        here.control.runs.trigger("d", run_id=name, actor="test")
        here.pass_time(timedelta(minutes=1))
    here.settle()
    return here


def test_a_dry_run_counts_and_a_clean_removes(old: Installation, windlass: Windlass) -> None:
    told = windlass("db", "clean", "--before", "2026-12-31", "--tables", "runs,logs", "--dry-run", "--json")
    assert told.data == [
        {"table": "runs", "removed": 2, "note": "with 2 task instances"},
        {"table": "logs", "removed": 0, "note": ""},
    ]
    assert len(windlass("runs", "list", "d", "--json").data) == 3
    done = windlass("db", "clean", "--before", "2026-12-31", "--tables", "runs", "-y")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["table  removed  note", "runs   2        with 2 task instances"]
    assert [run["run_id"] for run in windlass("runs", "list", "d", "--json").data] == ["r3"]


def test_before_is_a_date_or_an_age(old: Installation, windlass: Windlass) -> None:
    clean = ("db", "clean", "--tables", "runs", "--dry-run", "--json")
    # The runs are of March 2026 by their virtual clock; an age is counted from today.
    assert windlass(*clean, "--before", "2026-02-01").data[0]["removed"] == 0
    assert windlass(*clean, "--before", "999999w").code == 2
    for wrong in ("yesterday", "30x", "d"):
        refused = windlass(*clean, "--before", wrong)
        assert refused.code == 2
        assert "--before" in refused.err


def test_an_unknown_kind_is_named_with_those_that_are(old: Installation, windlass: Windlass) -> None:
    result = windlass("db", "clean", "--tables", "runs,runz", "-y")
    assert result.code == 2
    assert "'runz'" in result.err
    assert "runs, outbox, versions" in result.err


# -- db downgrade and shell -------------------------------------------------------------------------------------------


def test_a_database_goes_back_and_forth(here: Installation, windlass: Windlass) -> None:
    assert windlass("db", "downgrade", "--to-revision", HEAD, "--dry-run", "--json").data["undone"] == []
    steps = windlass("db", "downgrade", "--to-revision", "0001", "--dry-run", "--json").data["undone"]
    assert steps[0] == HEAD
    assert "0001" not in steps
    assert windlass("db", "downgrade", "--to-revision", "0001", "-y").err == "the database is at revision 0001\n"
    assert windlass("db", "check", "--json").data["state"] == "older"
    assert windlass("db", "migrate").err == f"the database is at revision {HEAD}\n"
    assert windlass("db", "check").code == 0


def test_a_revision_that_is_not_there_is_refused_with_those_that_are(here: Installation, windlass: Windlass) -> None:
    result = windlass("db", "downgrade", "--to-revision", "9999", "-y")
    assert result.code == 2
    assert f"revision '9999' is not older than the database, which is at {HEAD}; choose one of" in result.err


def test_a_database_in_use_is_not_taken_back(here: Installation, windlass: Windlass) -> None:
    held = lock.acquire(here.home / "run" / "scheduler.lock")
    try:
        result = windlass("db", "downgrade", "--to-revision", "base", "-y")
        assert result.code == 1
        assert "in use by the scheduler" in result.err
        assert windlass("db", "reset", "--dry-run").code == 1
    finally:
        os.close(held)


@pytest.mark.sqlite_only("the shell is sqlite3; a provider's database has its own")
def test_the_shell_is_the_databases_own(here: Installation, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    program = bin_folder / "sqlite3"
    program.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    program.chmod(0o755)
    environ = {**os.environ, "WINDLASS_HOME": str(here.home), "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*COMMAND, "db", "shell", "-readonly", "SELECT 1"], env=environ, capture_output=True, text=True, check=True
    )
    words = done.stdout.splitlines()
    assert words[-3:] == [str(here.home / "windlass.db"), "-readonly", "SELECT 1"]
    assert "PRAGMA wal_autocheckpoint=0" in words
    missing = subprocess.run(
        [*COMMAND, "db", "shell"], env={**environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (missing.returncode, "install sqlite3" in missing.stderr) == (2, True)


# -- rotate-fernet-key ------------------------------------------------------------------------------------------------


def sealed(home: Path) -> dict[str, bytes]:
    with closing(open_bare(url_of(home))) as database:
        return dict(database.rows("SELECT name, secret FROM variable"))


def test_a_new_key_is_put_first_and_everything_encrypted_with_it(here: Installation) -> None:
    here.control.variables.set("k", "v", actor="test")
    environ = {**os.environ, "WINDLASS_HOME": str(here.home)}
    done = subprocess.run(
        [*COMMAND, "rotate-fernet-key", "--new-key"], env=environ, capture_output=True, text=True, check=True
    )
    assert "encrypted 1 value(s) anew; older keys may be removed" in done.stderr
    new, old_key = fernet_keys(Settings.load(environ=environ))
    assert old_key == KEY
    assert Fernet(new).decrypt(sealed(here.home)["k"]) == b"v"
    assert (here.home / "fernet.key").stat().st_mode & 0o077 == 0
    (here.home / "fernet.key").write_text(new)
    shown = subprocess.run([*COMMAND, "variables", "get", "k"], env=environ, capture_output=True, text=True, check=True)
    assert shown.stdout == "v\n", "the old key is needed no longer"


def test_a_key_that_is_lost_is_not_replaced_while_something_needs_it(here: Installation) -> None:
    here.control.variables.set("k", "v", actor="test")
    key = here.home / "fernet.key"
    key.unlink(missing_ok=True)
    environ = {**os.environ, "WINDLASS_HOME": str(here.home)}
    for words in (["variables", "set", "other", "w"], ["variables", "get", "k"]):
        done = subprocess.run([*COMMAND, *words], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f"{key} is not there, and what the database stores was encrypted with a key: put it there" in done.stderr
    assert not key.exists()
    subprocess.run([*COMMAND, "variables", "get", "k"], env=environ | {"WINDLASS__CORE__FERNET_KEY": KEY}, check=True)


def test_keys_of_the_configuration_are_their_owners_to_change(
    here: Installation, windlass: Windlass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDLASS__CORE__FERNET_KEY", KEY)
    result = windlass("rotate-fernet-key", "--new-key")
    assert result.code == 2
    assert "put a new one before them there" in result.err


def test_a_value_of_a_lost_key_stops_the_rotation_and_is_named(here: Installation, windlass: Windlass) -> None:
    here.control.variables.set("good", "v", actor="test")
    before = sealed(here.home)
    insert = "INSERT INTO variable (name, description, secret, updated_at) VALUES ('lost', '', :secret, 0)"
    secret = Fernet(Fernet.generate_key()).encrypt(b"x")
    here.store.db.write(lambda transaction: transaction.run(insert, {"secret": secret}))
    result = windlass("rotate-fernet-key")
    assert result.code == 2
    assert "variable 'lost' was encrypted with another key, so nothing was changed" in result.err
    assert sealed(here.home)["good"] == before["good"]


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_jobs_show_the_schedulers_of_other_hosts_and_what_they_hold(here: Installation, windlass: Windlass) -> None:
    here.store.jobs.start("scheduler", "elsewhere", 4711)
    here.store.jobs.start("scheduler", "nowhere", 4711)
    leases = Leases(here.store.db, "elsewhere:/home", hostname="elsewhere", pid=4711)
    leases.register()
    held = leases.take([dag.dag_id for dag in here.store.scheduler.dags()])
    rows = windlass("jobs", "list", "--json").data
    found = [(row["hostname"], row["state"], row["here"], row["dags"]) for row in rows]
    assert found == [("nowhere", "killed", False, None), ("elsewhere", "running", False, len(held))]
    assert windlass("jobs", "check", "--kind", "scheduler").code == 1, "it is none of this home's"


def test_jobs_tell_running_ended_and_killed_apart(here: Installation, windlass: Windlass) -> None:
    assert windlass("jobs", "check").code == 1
    host = socket.gethostname()
    ended = here.store.jobs.start("scheduler", host, 10)
    here.store.jobs.end(ended)
    here.store.jobs.start("scheduler", host, 11)
    here.store.jobs.start("supervisor", host, os.getpid())
    here.store.jobs.start("scheduler", host, os.getpid())
    held = [lock.acquire(here.home / "run" / f"{kind}.lock") for kind in ("scheduler", "supervisor")]
    try:
        rows = windlass("jobs", "list", "--json").data
        assert [(row["kind"], row["state"]) for row in rows] == [
            ("scheduler", "running"),
            ("supervisor", "running"),
            ("scheduler", "killed"),
            ("scheduler", "ended"),
        ]
        assert windlass("jobs", "list", "--kind", "supervisor", "--json").data == [rows[1]]
        assert windlass("jobs", "check").code == 0
    finally:
        for descriptor in held:
            os.close(descriptor)
    result = windlass("jobs", "check", "--kind", "scheduler")
    assert (result.code, "no scheduler is running" in result.err) == (1, True)


# -- the names that people of Airflow know ----------------------------------------------------------------------------


def test_runs_of_a_dag_and_states_of_a_run(old: Installation, windlass: Windlass) -> None:
    runs = windlass("dags", "list-runs", "d", "--json").data
    assert runs == windlass("runs", "list", "d", "--json").data
    assert [run["run_id"] for run in runs] == ["r3", "r2", "r1"]
    states = windlass("tasks", "states-for-dag-run", "d", "r1", "--json").data
    assert [(row["task_id"], row["state"]) for row in states] == [("a", "success")]


# -- signals and shells -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_that_is_told_to_end_says_so_by_its_exit_code(
    old: Installation, number: signal.Signals, code: int
) -> None:
    old.control.runs.trigger("d", run_id="waiting", actor="test")
    environ = {**os.environ, "WINDLASS_HOME": str(old.home)}
    ready = old.home / "ready"
    script = (
        "import sys, pathlib, windlass.cli.logs as logs\n"
        "sleep = logs.time.sleep\n"
        f"logs.time.sleep = lambda seconds: (pathlib.Path({str(ready)!r}).touch(), sleep(seconds))\n"
        "from windlass.cli import main\n"
        "sys.exit(main(['tasks', 'logs', 'd', 'a', 'waiting', '--follow']))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], env=environ, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not ready.exists():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(number)
    try:
        _, said = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == code
    assert b"Traceback" not in said


def test_bash_completes_ids_without_reading_a_dag_file(old: Installation, tmp_path: Path) -> None:
    (old.home / "dags").mkdir()
    (old.home / "dags" / "d.py").write_text("# windlass dag\nopen('/tmp/windlass-was-parsed', 'w')\n")
    old.control.connections.import_all({"warehouse": "http://h"}, actor="test")
    launcher = tmp_path / "windlass"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m windlass "$@"\n')
    launcher.chmod(0o755)
    script = """
eval "$(windlass completion bash)"
for line in 'windlass da' 'windlass dags trigger ' 'windlass connections get w' 'windlass dags list --js'; do
    COMP_LINE=$line; COMP_POINT=${#line}
    read -ra COMP_WORDS <<< "$line"; [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
    _windlass_completion windlass; echo "${COMPREPLY[@]}"
done
"""
    environ = {**os.environ, "WINDLASS_HOME": str(old.home), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["dags", "d", "warehouse", "--json"]
    assert not Path("/tmp/windlass-was-parsed").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str, windlass: Windlass) -> None:
    assert "_WINDLASS_COMPLETE" in windlass("completion", shell).out


# -- colour -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "environ", "colored"),
    [
        ((), {}, False),
        (("--color", "always"), {}, True),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "0"}, False),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
    ],
)
@pytest.mark.parametrize("before", [True, False], ids=["before the command", "after it"])
def test_colour_is_as_it_is_told(
    old: Installation,
    windlass: Windlass,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environ: dict[str, str],
    colored: bool,
    before: bool,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    command = ("tasks", "states-for-dag-run", "d", "r1")
    result = windlass(*arguments, *command) if before else windlass(*command, *arguments)
    assert ("\x1b[32m" in result.out) is colored
    assert json.loads(windlass(*arguments, *command, "--json").out)
