"""A broken, endless, huge or crashing DAG file is a visible import error and harms no other file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

GOOD = """
from windlass import DAG, task
with DAG("good", schedule=None, is_paused_upon_creation=False):
    @task
    def hello():
        print("hello")
    hello()
"""
HEAD = "from windlass import DAG, task\n"
BAD: dict[str, tuple[str | bytes, str]] = {
    "syntax.py": (HEAD + "def broken(:\n", "syntax.py:2"),
    "endless.py": (HEAD + "while True: pass\n", "took longer than"),
    "huge.py": (HEAD + "data = bytearray(1 << 32)\n", "MemoryError"),
    "exit.py": (HEAD + "import os\nos._exit(3)\n", "exit"),
    "crash.py": (HEAD + "import ctypes\nctypes.string_at(0)\n", "SIGSEGV"),
    "deep.py": (HEAD + "def f(): f()\nf()\n", "RecursionError"),
    "latin.py": (HEAD.encode() + b"name = '\xe9'\n", "utf-8"),
    "cycle.py": (
        HEAD
        + "with DAG('cycle'):\n"
        + "    a, b = (task(task_id=name)(print)('x') for name in 'ab')\n"
        + "    a >> b >> a\n",
        "cycle",
    ),
    "unknown.py": (HEAD + "DAG('unknown', shedule='@daily')\n", "schedule"),
    "missing.py": (HEAD + "import module_that_is_not_there\n", "module_that_is_not_there"),
}


def test_each_bad_file_gives_one_clear_error_and_the_good_one_runs(installation: Installation) -> None:
    for name, (source, _) in BAD.items():
        (installation.dags / name).write_bytes(source if isinstance(source, bytes) else source.encode())
    installation.write("good.py", GOOD)
    installation.start(WINDLASS__CORE__DAGBAG_IMPORT_TIMEOUT="4")
    installation.wait_for_dag("good")
    run = installation.wait_for_run("good", installation.trigger("good"))
    assert run["state"] == "success"

    def errors() -> dict[str, str]:
        listed = installation.windlass("dags", "list-import-errors", "-o", "json", code=1)
        return {row["file"]: row["error"] for row in json.loads(listed)}

    installation.wait(lambda: len(errors()) == len(BAD), "all import errors")
    found = errors()
    for name, (_, expected) in BAD.items():
        assert expected in found[name], f"{name}: {found[name]}"
    assert [dag["dag_id"] for dag in installation.json("dags", "list")] == ["good"]


def test_editing_a_file_during_a_run_changes_nothing_for_that_run(installation: Installation) -> None:
    source = """
import os, time
from windlass import DAG, task
with DAG("edited", schedule=None, is_paused_upon_creation=False):
    @task
    def first():
        open(os.environ["LEDGER"], "a").write("first VERSION\\n")
        time.sleep(3)
    @task
    def second():
        open(os.environ["LEDGER"], "a").write("second VERSION\\n")
    first() >> second()
"""
    installation.write("edited.py", source.replace("VERSION", "old"))
    installation.start()
    installation.wait_for_dag("edited")
    before = installation.trigger("edited")
    installation.wait(lambda: ["first", "old"] in installation.ledger(), "the first task")
    old = installation.json("dags", "details", "edited")["code_version"]
    installation.write("edited.py", source.replace("VERSION", "new"))
    installation.wait(lambda: installation.json("dags", "details", "edited")["code_version"] != old, "the new version")
    assert installation.wait_for_run("edited", before)["state"] == "success"
    assert installation.ledger() == [["first", "old"], ["second", "old"]]
    after = installation.trigger("edited")
    installation.wait_for_run("edited", after)
    assert installation.ledger()[2:] == [["first", "new"], ["second", "new"]]
