"""What the shipped processes have imported at the end of a life with a run in it, and what a fork imports: counted.

A ``sitecustomize`` on the path of every process writes down its ``sys.modules`` when it ends in good order.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from windlass_testing.live import LiveInstallation
from windlass_testing.stores import on_server

pytestmark = [pytest.mark.budget, pytest.mark.processes]

SITECUSTOMIZE = """
import atexit, os, sys

def record(path=os.path.join({folder!r}, str(os.getpid()))):
    arguments = open("/proc/self/cmdline", "rb").read().decode().split("\\0")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\\n".join([" ".join(arguments), *sorted(sys.modules)]))

atexit.register(record)
"""

DAG_FILE = """
import json, os, sys
import module_of_a_user
from windlass import DAG, task

before_the_fork = set()
os.register_at_fork(before=lambda: before_the_fork.update(sys.modules))

with DAG("counted", schedule=None, is_paused_upon_creation=False) as dag:
    @task
    def first(ds=None):
        with open({found!r}, "w", encoding="utf-8") as file:
            imported = sorted(set(sys.modules) - before_the_fork)
            file.write(json.dumps([len(before_the_fork), imported]))
        return [ds]

    @task
    def second(value):
        return len(value)

    second(first())
"""

#: What a server process may never have loaded: the SQL toolkit, templates, and everything that runs author code.
FORBIDDEN = ("alembic", "jinja2", "sqlalchemy", "windlass.authoring", "windlass.runtime")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a DAG through a whole installation and stop it; return the folder with what was recorded."""
    folder = tmp_path_factory.mktemp("life")
    recorded = folder / "recorded"
    site = folder / "site"
    recorded.mkdir()
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE.format(folder=str(recorded)))
    installation = LiveInstallation(folder)
    installation.environ |= {"PYTHONPATH": str(site), "WINDLASS__CORE__LOAD_EXAMPLES": "true"}
    installation.write("module_of_a_user.py", "")
    installation.write("counted.py", DAG_FILE.format(found=str(folder / "found")))
    try:
        installation.start()
        installation.wait_for_dag("counted")
        installation.wait_for_dag("seattle_weather")  # an example of a provider
        run = installation.wait_for_run("counted", installation.trigger("counted"))
        assert run["state"] == "success", installation.logs()
    finally:
        installation.close()
    return folder


def modules_of(life: Path, process: str) -> set[str]:
    """Return what the process whose command line holds ``process`` had imported."""
    records = [path.read_text(encoding="utf-8").splitlines() for path in (life / "recorded").iterdir()]
    [found] = [modules for command, *modules in records if process in command]
    return set(found)


@pytest.mark.parametrize("process", ["-m windlass standalone", "-m windlass.app.supervisor_process"])
def test_a_server_process_never_loads_author_code_nor_the_sql_toolkit(life: Path, process: str) -> None:
    modules = modules_of(life, process)
    assert "windlass.store" in modules
    assert not {name for name in modules if name.startswith(FORBIDDEN)}
    assert not {name for name in modules if name.endswith(("counted", "module_of_a_user", "seattle_weather"))}
    # Of a provider at most its manifest, and that only where the cache of what is installed was not there yet; and of
    # that of a server with the tables what reaches it, and nothing that is for tasks.
    of_providers = {name.partition(".")[::2] for name in modules if name.startswith("windlass_")}
    of_providers -= {("windlass_testing", "provider")}  # its manifest, as its `plugin` is pytest's
    store = {package for package, module in of_providers if module == "driver"}
    assert bool(store) == on_server()
    assert {module for package, module in of_providers if package not in store} <= {"", "plugin"}
    assert not {module for _, module in of_providers} & {"connection", "copying", "hook", "hooks", "operators"}


def test_nothing_is_imported_between_the_fork_and_the_task(life: Path) -> None:
    before, imported = json.loads((life / "found").read_text(encoding="utf-8"))
    assert before > 0
    assert imported == []
