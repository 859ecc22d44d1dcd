"""Author code gets no key, no credential and no setting of the server; server processes get no author code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from windlass_testing.live import LiveInstallation

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

#: As the 32 bytes of a key that the server is given in its environment; and other things that are only the server's.
KEY = "a2FuYXJpa2FuYXJpa2FuYXJpa2FuYXJpa2FuYXJpMTI="
SERVER_ONLY = {
    "WINDLASS__CORE__FERNET_KEY": KEY,
    "WINDLASS_CONN_NEST": "generic://bird:kanari37@nest",
    "WINDLASS_VAR_SONG": "tirili-tirila",
}
DAG = """
import json, os, subprocess, sys
from pathlib import Path
from windlass import DAG, BaseOperator, task
from windlass.triggers import BaseTrigger, TriggerEvent
import bird_helpers

def tell(who):
    text = {"who": who, "environ": Path("/proc/self/environ").read_text(), "os": dict(os.environ),
            "argv": Path("/proc/self/cmdline").read_text(), "parent": Path(f"/proc/{os.getppid()}/cmdline").read_text(),
            "parent_environ": Path(f"/proc/{os.getppid()}/environ").read_text()}
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(json.dumps(text) + "\\n")

tell("import")

class Spy(BaseTrigger):
    def serialize(self):
        return "spy.Spy", {}
    async def run(self):
        tell("trigger")
        yield TriggerEvent()

class Waits(BaseOperator):
    def execute(self, context):
        self.defer(trigger=Spy(), method_name="done")
    def done(self, context, event):
        tell("resumed")

with DAG("spy", schedule=None, is_paused_upon_creation=False):
    @task
    def look(rendered):
        tell("task")
        subprocess.run(["sh", "-c", "cat /proc/self/environ"], stdout=open(os.environ["LEDGER"] + ".sh", "wb"))
        from windlass import Variable
        assert Variable.get("song") == "tirili-tirila", "what is hidden can be asked for"
    look("{{ dag.dag_id }} {{ ds }}")
    Waits(task_id="waits")
"""
#: Written where every Python of this home finds it: says at a process's exit what it had imported.
DUMP = """
import atexit, json, os, sys

def dump():
    words = {"argv": open("/proc/self/cmdline").read().split("\\0"), "modules": sorted(sys.modules)}
    with open(os.path.join(os.environ["DUMP"], f"{os.getpid()}.json"), "w") as file:
        json.dump(words, file)

atexit.register(dump)
"""


def test_children_get_nothing_of_the_server_in_environment_or_arguments(installation: LiveInstallation) -> None:
    installation.write("bird_helpers.py", "SONG = 1\n")
    installation.write("spy.py", DAG)
    installation.start(**SERVER_ONLY)
    installation.wait_for_dag("spy")
    assert installation.wait_for_run("spy", installation.trigger("spy"))["state"] == "success"

    told = [json.loads(line) for line in installation.ledger_file.read_text().splitlines()]
    parents = {" ".join(words["parent"].split("\0")).partition("-m ")[2].partition(" ")[0] for words in told}
    assert parents == {"windlass.runtime", "windlass.app.supervisor_process"}, "parse server, zygote, and the zygote's"
    assert {words["who"] for words in told} == {"import", "task", "trigger", "resumed"}
    for words in told:
        child = {name: words[name] for name in ("environ", "os", "argv")}
        if "windlass.runtime" in words["parent"]:
            child |= {"parent": words["parent"], "parent_environ": words["parent_environ"]}
        text = json.dumps(child)
        assert "WINDLASS_HOME" in text, "the home's name is no secret"
        for value in ("WINDLASS__", "WINDLASS_CONN_", "WINDLASS_VAR_", KEY, "kanari37", "tirili", "windlass.db"):
            assert value not in text, (words["who"], value)
    grandchild = Path(f"{installation.ledger_file}.sh").read_bytes()
    assert b"LEDGER" in grandchild
    assert b"WINDLASS__" not in grandchild
    assert b"kanari37" not in grandchild


def test_server_processes_import_no_author_code_and_no_template_engine(
    installation: LiveInstallation, tmp_path: Path
) -> None:
    dumps, path = tmp_path / "dumps", tmp_path / "path"
    dumps.mkdir()
    path.mkdir()
    (path / "sitecustomize.py").write_text(DUMP)
    installation.write("bird_helpers.py", "SONG = 1\n")
    installation.write("spy.py", DAG.replace("assert Variable", "Variable"))
    environ = {"PYTHONPATH": f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "DUMP": str(dumps)}
    server = installation.start(**environ, WINDLASS_VAR_SONG="tirili")
    installation.wait_for_dag("spy")
    assert installation.wait_for_run("spy", installation.trigger("spy"))["state"] == "success"
    supervisor = installation.supervisor()
    assert installation.stop(server) == 0

    def imported(pid: int) -> Any:  # noqa: ANN401 - JSON
        return json.loads((dumps / f"{pid}.json").read_text())["modules"]

    for pid in (server.pid, supervisor):
        modules = imported(pid)
        assert "windlass.store" in modules
        forbidden = ("windlass.authoring", "windlass.runtime", "windlass.operators", "jinja2", "spy", "bird_helpers")
        assert [name for name in modules if name.startswith(forbidden)] == []
        assert [name for name in modules if name.partition(".")[0] in {"pickle", "sqlalchemy", "alembic"}] == []
