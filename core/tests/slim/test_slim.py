"""What works where only the slim core is installed, and what is said about what does not.

`nox -s tests-slim` runs these in an environment without the server extra. Elsewhere the libraries are hidden from the
interpreter that a test starts, so that every run of the tests proves the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from windlass_testing.live import LiveInstallation
from windlass_testing.stores import environ_of

pytestmark = pytest.mark.slim

EXTRAS = ("alembic", "cryptography", "jsonschema", "referencing", "rich", "sqlalchemy", "yaml")
HIDE = f"import sys\nfor name in {EXTRAS!r}:\n    sys.modules[name] = None\n"


class Slim:
    """A home and an interpreter that finds no library of an extra."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.dags = self.home / "dags"
        self.dags.mkdir(parents=True)
        self.home.chmod(0o700)
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")},
            **environ_of(self.home),
        }

    def python(self, code: str, *args: str, exit_code: int = 0) -> str:
        """Run ``code`` and return what it prints; its exit code must be the one given."""
        done = subprocess.run(
            [sys.executable, "-P", "-c", HIDE + code, *args],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == exit_code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def windlass(self, *args: str, exit_code: int = 0) -> str:
        """Run a command and return what it prints."""
        code = "from windlass.cli import main\nsys.exit(main(sys.argv[1:]))"
        return self.python(code, *args, exit_code=exit_code)

    def dag_file(self, source: str) -> Path:
        """Put a DAG file into the DAG folder."""
        path = self.dags / "file.py"
        path.write_text(source, encoding="utf-8")
        return path


@pytest.fixture
def slim(tmp_path: Path) -> Slim:
    return Slim(tmp_path)


PIPELINE = """
from datetime import datetime
from windlass import DAG, task, get_current_context
from windlass.operators import EmptyOperator

with DAG("pipeline", schedule="@daily", start_date=datetime(2026, 1, 1)) as dag:
    @task
    def numbers():
        return [1, 2, 3]

    @task(retries=1)
    def double(number):
        if get_current_context()["ti"].try_number == 1:
            raise RuntimeError("not yet")
        return 2 * number

    @task.branch
    def choose(doubled, day):
        return "chosen" if list(doubled) == [2, 4, 6] and day == "20260301" else "other"

    decision = choose(double.expand(number=numbers()), day="{{ ds_nodash }}")
    decision >> [EmptyOperator(task_id="chosen"), EmptyOperator(task_id="other")]
"""

CHECK = """
from datetime import UTC, datetime
import file

result = file.dag.test(logical_date=datetime(2026, 3, 1, tzinfo=UTC))
assert result.state == "success", result
states = result.states
assert states["numbers"] == states["chosen"] == "success"
assert states["other"] == "skipped"
assert [states[f"double[{index}]"] for index in range(3)] == ["success"] * 3
assert {result.task("double", index).try_number for index in range(3)} == {2}
assert not any(name.startswith("windlass.store") for name in sys.modules)
"""


def test_what_these_tests_import_needs_no_extra(slim: Slim) -> None:
    slim.python("import windlass_testing.live, windlass_testing.stores")


def test_a_dag_with_mapping_retries_templates_and_a_branch_runs_in_process(slim: Slim) -> None:
    slim.dag_file(PIPELINE)
    slim.python(f"sys.path.insert(0, {str(slim.dags)!r})\n{CHECK}")


def test_the_command_line_tests_a_dag(slim: Slim) -> None:
    slim.dag_file(PIPELINE)
    shown = slim.windlass("dags", "test", "pipeline", "-e", "2026-03-01")
    assert re.search(r"^chosen .* success", shown, re.MULTILINE)
    assert re.search(r"^other .* skipped", shown, re.MULTILINE)


CONNECTED = """
from windlass import DAG, Variable, task
from windlass.hooks import BaseHook

with DAG("connected") as dag:
    @task
    def ask():
        return [BaseHook.get_connection("db").host, Variable.get("colour")]
    ask()
"""


def test_a_tested_dag_knows_what_it_is_given_and_then_the_environment(slim: Slim) -> None:
    slim.dag_file(CONNECTED)
    slim.environ |= {"WINDLASS_CONN_DB": "http://from-environment", "WINDLASS_VAR_COLOUR": "blue"}
    shown = slim.python(
        f"sys.path.insert(0, {str(slim.dags)!r})\n"
        "import file\n"
        "print(file.dag.test().xcom('ask'))\n"
        "print(file.dag.test(connections={'db': 'http://given'}, variables={'colour': 'red'}).xcom('ask'))\n"
    )
    assert shown.splitlines()[-2:] == ["['from-environment', 'blue']", "['given', 'red']"]


def test_a_missing_connection_is_told_with_both_remedies(slim: Slim) -> None:
    slim.dag_file(CONNECTED)
    shown = slim.windlass("dags", "test", "connected", exit_code=1)
    assert "connection `db` is not defined; give it to dag.test(connections=" in shown
    assert "or set WINDLASS_CONN_DB" in shown


PROJECT_TEST = """
def test_every_dag_is_sound(dag_bag):
    assert list(dag_bag) == ["pipeline"]

def test_the_pipeline(run_dag, virtual_clock):
    result = run_dag("pipeline", fakes={"choose": "other"})
    assert result.states["chosen"] == "skipped"
    assert result.xcom("double", map_index=2) == 6

def test_one_task(run_task, dag_bag, connection, variable):
    variable("colour", "blue")
    connection("db", "http://somewhere")
    task = dag_bag["pipeline"].get_task("double")
    assert run_task(task, map_index=1, xcoms={"numbers": [5, 6]}).state == "failed"  # its first try always does
"""


def test_a_project_tests_its_dags_with_the_plugin(slim: Slim) -> None:
    project = slim.home.parent / "project"
    (project / "dags").mkdir(parents=True)
    (project / "dags" / "pipeline.py").write_text(PIPELINE, encoding="utf-8")
    (project / "test_pipeline.py").write_text(PROJECT_TEST, encoding="utf-8")
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    shown = slim.python(
        f"import os, pytest\nos.chdir({str(project)!r})\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-W', 'error']))\n"
    )
    assert "3 passed" in shown


SIMULATED = "2026-03-01T00:00:00Z"


def test_a_folder_is_simulated(slim: Slim) -> None:
    slim.dag_file(PIPELINE)
    period = ("--from", "2026-03-01", "--to", "2026-03-03")
    shown = slim.windlass("simulate", *period, "--dags", str(slim.dags))
    assert SIMULATED in shown
    assert "2 run(s) of 1 DAG(s): 0 failed, 0 not ended" in shown


INSTALL = "install it with `pip install 'windlass[server]'`"

WITH_PARAM = """
from windlass import DAG, Param, task

with DAG("with_param", params={"plain": 1, "checked": Param(3, type="integer")}) as dag:
    @task
    def show(params=None):
        return params["plain"]
    show()
"""


def test_a_param_with_a_schema_names_the_extra_that_checks_it(slim: Slim) -> None:
    slim.dag_file(WITH_PARAM)
    assert INSTALL in slim.windlass("dags", "test", "with_param", exit_code=2)


def test_plain_params_need_no_extra(slim: Slim) -> None:
    slim.dag_file(WITH_PARAM.replace(', "checked": Param(3, type="integer")', ""))
    slim.windlass("dags", "test", "with_param")


def test_the_store_needs_no_extra_but_secrets_in_it_do(slim: Slim) -> None:
    slim.windlass("db", "migrate")
    assert "default_pool" in slim.windlass("pools", "list")
    for command in (
        ("variables", "set", "colour", "blue"),
        ("connections", "add", "db", "--conn-uri", "http://host"),
    ):
        assert INSTALL in slim.windlass(*command, exit_code=2)


def test_yaml_names_the_extra_and_the_way_without(slim: Slim) -> None:
    shown = slim.windlass("config", "list", "-o", "yaml", exit_code=2)
    assert "-o json" in shown
    assert INSTALL in shown


STORED = """
from windlass import DAG, task

with DAG("stored", schedule=None, is_paused_upon_creation=False) as dag:
    @task
    def add(one, two):
        return one + two
    add(1, add.override(task_id="before")(2, 3))
"""


@pytest.mark.processes
def test_standalone_needs_no_extra(tmp_path: Path) -> None:
    installation = LiveInstallation(tmp_path)
    installation.write("stored.py", STORED)
    try:
        server = installation.start()
        installation.wait_for_dag("stored")
        assert installation.wait_for_run("stored", installation.trigger("stored"))["state"] == "success"
        assert installation.stop(server) == 0
    finally:
        installation.close()


@pytest.mark.parametrize("args", [("--version",), ("--help",), ("info",), ("providers", "list"), ("config", "list")])
def test_commands_that_look_at_the_installation_work(slim: Slim, args: tuple[str, ...]) -> None:
    assert slim.windlass(*args)
