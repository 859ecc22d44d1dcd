"""An installed provider's policies hold in real processes: for DAG files, for tasks, and for files that are parsed."""

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
    return Provider(name="acme", policies=("acme_policies",))
"""
POLICIES = """
import msgspec
from windlass.errors import PolicyViolation
from windlass.plugin import hookimpl

@hookimpl
def task_policy(task, dag):
    return msgspec.structs.replace(task, retries=1, retry_delay=0.0)

@hookimpl
def dag_policy(dag):
    if not dag.tags:
        raise PolicyViolation("every DAG needs a tag; add tags=[…]")

@hookimpl
def connection_policy(connection, dag_id, task_id):
    if connection.conn_id == "prod" and (dag_id, task_id) != ("good", "allowed"):
        raise PolicyViolation(f"prod is not for {dag_id or 'the top level of a file'} ({connection.password})")
"""
GOOD = """
from windlass import DAG, task
from windlass.hooks import BaseHook
with DAG("good", schedule=None, tags=["x"], is_paused_upon_creation=False):
    @task
    def allowed():
        print("the host is", BaseHook.get_connection("prod").host)
    @task
    def refused():
        BaseHook.get_connection("prod")
    allowed()
    refused()
"""


def test_policies_hold_everywhere(installation: Installation, tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[windlass.providers]\nacme = acme_plugin\n")
    (site / "acme_plugin.py").write_text(PLUGIN)
    (site / "acme_policies.py").write_text(POLICIES)
    installation.environ["PYTHONPATH"] = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    installation.environ["WINDLASS_CONN_PROD"] = "http://ann:c4nary@db.example"
    installation.write("good.py", GOOD)
    installation.write("untagged.py", "from windlass import DAG\nDAG('untagged')\nwith DAG('untagged'): pass\n")
    installation.write(
        "greedy.py", "from windlass import DAG\nfrom windlass.hooks import BaseHook\nBaseHook.get_connection('prod')\n"
    )
    installation.start()
    installation.wait_for_dag("good")
    run = installation.wait_for_run("good", installation.trigger("good"))
    tasks = {task["task_id"]: task for task in run["tasks"]}
    assert tasks["allowed"]["state"] == "success"
    assert (tasks["refused"]["state"], tasks["refused"]["try_number"]) == ("failed", 2), "the policy gave it a retry"
    log = installation.windlass("tasks", "logs", "good", "refused", run["run_id"])
    assert "PolicyViolation: prod is not for good (***)" in log
    installation.wait(lambda: len(errors(installation)) == 2, "both import errors")
    found = errors(installation)
    assert found["untagged.py"] == (
        "untagged.py: DAG 'untagged': dag_policy of provider acme refuses it: every DAG needs a tag; add tags=[…]"
    )
    assert "prod is not for the top level of a file" in found["greedy.py"]
    assert "c4nary" not in log + str(found)


def errors(installation: Installation) -> dict[str, str]:
    command = installation.command("dags", "list-import-errors", "-o", "json")
    import json
    import subprocess

    done = subprocess.run(command, env=installation.environ, capture_output=True, check=False, timeout=60)
    return {row["file"]: row["error"] for row in json.loads(done.stdout)}
