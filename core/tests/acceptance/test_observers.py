"""An installed provider's observers hear of everything that real processes do, and a broken one stops nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from core.tests.acceptance.conftest import Installation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

PLUGIN = """
from windlass.plugin import Provider, hookimpl

@hookimpl
def windlass_provider():
    return Provider(name="{name}", observers=("{name}_observers",))
"""
OBSERVERS = """
import os
from windlass.plugin import hookimpl

def note(*words):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")

@hookimpl
def on_run_changed(change):
    note("run", change.dag_id, change.before, change.after)

@hookimpl
def on_task_changed(change):
    note("task", change.task_id, change.before, change.after)

@hookimpl
def on_import_error(change):
    note("file", change.file, "broken" if change.message else "whole")
"""
BROKEN = """
from windlass.plugin import hookimpl

@hookimpl
def on_task_changed(change):
    raise RuntimeError("no network")
"""
DAG = """
from windlass import DAG, task
with DAG("seen", schedule=None, is_paused_upon_creation=False):
    @task
    def a():
        pass
    a()
"""


def install(folder: Path, name: str, observers: str) -> None:
    """Put a distribution into ``folder``, as pip would."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[windlass.providers]\n{name} = {name}_plugin\n")
    (folder / f"{name}_plugin.py").write_text(PLUGIN.format(name=name))
    (folder / f"{name}_observers.py").write_text(observers)


def test_observers_hear_of_tasks_runs_and_files(installation: Installation, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "acme", OBSERVERS)
    install(site, "broken", BROKEN)
    installation.environ["PYTHONPATH"] = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    installation.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    installation.write("seen.py", DAG)
    installation.write("bad.py", "from windlass import DAG\nimport nothing_of_this_name\n")
    installation.start()
    installation.wait_for_dag("seen")
    installation.wait_for_run("seen", installation.trigger("seen"))
    expected = {
        "run seen queued running",
        "run seen running success",
        "task a none scheduled",
        "task a scheduled queued",
        "task a queued running",
        "task a running success",
        "file bad.py broken",
    }

    def heard() -> list[str]:
        return installation.ledger_file.read_text().splitlines()

    installation.wait(lambda: expected <= set(heard()), f"all of {sorted(expected)}; heard {heard()}")
    assert sorted(heard()) == sorted(expected), "each once, since nothing failed"
    installation.write("bad.py", "from windlass import DAG\n")
    installation.wait(lambda: "file bad.py whole" in heard(), "the good news")
    log = (installation.home / "standalone-0.log").read_text()
    assert "on_task_changed of provider broken failed" in log
