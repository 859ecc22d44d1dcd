"""What users get wrong gives one clear error that names the thing and the remedy, and harms nobody else."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

TASKS = """
import ctypes, os, sys
from windlass import DAG, task
from windlass.errors import TaskDeferred
from windlass.hooks import BaseHook

class Unknown:
    pass

class Trigger:
    def serialize(self):
        return "somewhere.Trigger", {}

with DAG("wrong", schedule=None, is_paused_upon_creation=False):
    @task
    def unserialisable():
        return {"deep": [Unknown()]}
    @task
    def missing_connection():
        BaseHook.get_connection("no_such_connection")
    @task(templates_dict={"path": "{{ no_such_name }}/file"})
    def missing_name(templates_dict=None):
        pass
    @task
    def leaves():
        os._exit(7)
    @task
    def crashes():
        ctypes.string_at(0)
    @task
    def not_a_list():
        return 42
    @task
    def each(x):
        pass
    @task
    def raises():
        raise ValueError("the file of Müller\\nis empty")
    @task.branch
    def branches():
        return "no_such_task"
    @task
    def fine():
        print("fine")
        sys.stdout.write("no newline at the end")
    @task
    def defers():
        raise TaskDeferred(trigger=Trigger(), method_name="resume")
    unserialisable(); defers(); missing_connection(); missing_name(); leaves(); crashes(); raises()
    branches() >> fine()
    each.expand(x=not_a_list())
"""
#: Task -> what its log must say.
EXPECTED = {
    "unserialisable": ["return_value", "Unknown"],
    "missing_connection": ["connection `no_such_connection` is not defined; looked in", "windlass connections add"],
    "missing_name": ["missing_name", "templates_dict", "'no_such_name' is undefined"],
    "leaves": ["exited with status 7"],
    "crashes": ["signal 11"],
    "raises": ["ValueError: the file of Müller"],
    "branches": ["no_such_task", "fine"],
    "defers": ["a subclass of windlass.triggers.BaseTrigger", "is none"],
}


def test_each_mistake_in_a_task_is_told_in_its_log_and_the_others_go_on(installation: Installation) -> None:
    installation.write("wrong.py", TASKS)
    installation.start()
    installation.wait_for_dag("wrong")
    run_id = installation.trigger("wrong")
    run = installation.wait_for_run("wrong", run_id)
    states = {task["task_id"]: task["state"] for task in run["tasks"]}
    assert states == dict.fromkeys(EXPECTED, "failed") | {
        "not_a_list": "failed",
        "each": "upstream_failed",
        "fine": "upstream_failed",
    }
    for task_id, sentences in EXPECTED.items():
        log = installation.windlass("tasks", "logs", "wrong", task_id, run_id)
        for sentence in sentences:
            assert sentence in log, f"{task_id}: {log}"
    assert "neither a list nor a dict" in installation.windlass("explain", "wrong", run_id, "not_a_list")


@pytest.mark.parametrize(
    ("environ", "arguments", "words"),
    [
        ({"WINDLASS__CORE__PARALELISM": "3"}, ["dags", "list"], ["WINDLASS__CORE__PARALELISM", "parallelism"]),
        ({"WINDLASS__CORE__PARALLELISM": "many"}, ["dags", "list"], ["PARALLELISM", "many"]),
        (
            {"WINDLASS__CORE__EXECUTOR": "NoSuchExecutor"},
            ["standalone"],
            ["core.executor is 'NoSuchExecutor', which is unknown; choose one of LocalExecutor, SequentialExecutor"],
        ),
        ({"WINDLASS__SECRETS__BACKEND": "no.such.Backend"}, ["standalone"], ["no.such.Backend"]),
        ({}, ["connections", "add", "x", "--conn-uri", "no uri at all"], ["uri"]),
        ({}, ["dags", "trigger", "wrong", "--conf", "{not json"], ["JSON"]),
        ({}, ["dags", "triger"], ["trigger"]),
    ],
)
def test_a_wrong_setting_or_argument_is_refused_with_the_closest_right_one(
    environ: dict[str, str], arguments: list[str], words: list[str], installation: Installation
) -> None:
    installation.windlass("db", "migrate")
    done = subprocess.run(
        installation.command(*arguments),
        env={**installation.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word.lower() in done.stderr.lower()
    assert installation.processes() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount the small file system that this test fills")
@pytest.mark.sqlite_only("the disk that is full is the one with the tables")
def test_a_full_disk_stops_nothing_for_good(tmp_path: Path, installation: Installation) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "tmpfs", str(installation.home)], check=True)
    try:
        installation.dags.mkdir()
        installation.write(
            "small.py",
            "from windlass import DAG, task\n"
            "with DAG('small', schedule=None, is_paused_upon_creation=False, default_args={'retries': 2}):\n"
            "    task(task_id='a')(lambda: 'x' * 1000)() >> task(task_id='b')(print)('done')\n",
        )
        installation.start()
        installation.wait_for_dag("small")
        before = installation.trigger("small")
        assert installation.wait_for_run("small", before)["state"] == "success"
        ballast = installation.home / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:  # until it is full
                file.write(bytes(4096))
        failed = subprocess.run(
            installation.command("dags", "trigger", "small", "--conf", '{"ballast": "' + "x" * 50_000 + '"}'),
            env=installation.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert failed.returncode == 3
        assert f"full: {installation.home / 'windlass.db'}; make room on its disk" in failed.stderr
        assert "Traceback" not in failed.stderr
        ballast.unlink()
        after = installation.trigger("small")
        assert installation.wait_for_run("small", after)["state"] == "success"
        assert installation.windlass("doctor", "--invariants") is not None
    finally:
        installation.close()
        subprocess.run(["umount", str(installation.home)], check=True)
