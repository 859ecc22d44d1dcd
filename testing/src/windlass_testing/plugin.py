"""The pytest plugin that `windlass-testing` registers under the name `windlass`: fixtures, and what suites need.

pytest imports this module at start-up in every environment where the distribution is installed, so it imports
nothing of Windlass at module level: a fixture imports what it needs when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

pytest_plugins = ["windlass_testing.deviations", "windlass_testing.store_option"]
# A suite's assertions shall explain themselves as those of a test file do.
pytest.register_assert_rewrite("windlass_testing.conformance")

#: The markers of the suites, and the one that --require-services goes by.
_MARKERS = (
    "budget: counts what is imported",
    "processes: starts and kills real processes",
    "services: needs a real server such as PostgreSQL; skips, saying what to install, where none is found",
)

if TYPE_CHECKING:
    from windlass.app.clocks import VirtualClock
    from windlass_testing.bag import DagBag
    from windlass_testing.fakes.kubernetes import FakeKubernetes
    from windlass_testing.fakes.s3 import FakeS3
    from windlass_testing.fakes.vault import FakeVault
    from windlass_testing.fixtures import Given, RunDag, RunTask, SetConnection, SetVariable
    from windlass_testing.servers import MysqlServer, PostgresServer

_T = TypeVar("_T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project name its DAG folder, and insist on real servers."""
    group = parser.getgroup("windlass")
    group.addoption(
        "--require-services",
        action="store_true",
        help="Fail, rather than skip, a test whose server, such as PostgreSQL, is neither there nor can be started.",
    )
    group.addoption(
        "--windlass-dags",
        metavar="FOLDER",
        help="The DAG folder that dag_bag loads; by default what windlass_dags says.",
    )
    parser.addini(
        "windlass_dags", "The DAG folder that dag_bag loads, relative to the root of the project.", default="dags"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, for projects that are strict about them."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With `--require-services`, turn the skip of a test that needs a server into a failure.

    A test that has its fixtures, and then finds by itself that there is nothing to try, may still say so.
    """
    report = yield
    if not item.config.getoption("--require-services") or not report.skipped or hasattr(report, "wasxfail"):
        return report
    has_none = report.when == "setup" and item.get_closest_marker("services") is not None
    if has_none or _is_for_want_of_a_server(call):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"--require-services, and this test was to be skipped. {reason}"
    return report


def _is_for_want_of_a_server(call: pytest.CallInfo[None]) -> bool:
    """Return whether a test was skipped while a :class:`ServerMissing` was handled, as by the fixtures below."""
    from windlass_testing.servers import ServerMissing

    return call.excinfo is not None and isinstance(call.excinfo.value.__context__, ServerMissing)


@pytest.fixture(scope="session")
def dag_folder(pytestconfig: pytest.Config) -> Path:
    """The project's DAG folder: `--windlass-dags`, else `windlass_dags` of the ini file, else `dags`."""
    chosen = pytestconfig.getoption("--windlass-dags")
    if chosen is not None:
        return pytestconfig.invocation_params.dir / str(chosen)
    return pytestconfig.rootpath / str(pytestconfig.getini("windlass_dags"))


@pytest.fixture(scope="session")
def dag_bag(dag_folder: Path) -> DagBag:
    """Every DAG of the project by id. A test that asks for it fails if a file cannot be imported or a DAG has a cycle.

    Connections and variables that a file reads when it is imported come from the environment.
    """
    from windlass.errors import ConfigError
    from windlass_testing.bag import load_bag
    from windlass_testing.fixtures import Given

    try:
        bag = load_bag(dag_folder, Given())
    except ConfigError as error:
        pytest.fail(f"{error}: set windlass_dags, or override the fixture dag_folder", pytrace=False)
    if bag.import_errors:
        pytest.fail(f"{len(bag.import_errors)} DAG file(s) cannot be used.\n\n{bag.problems}", pytrace=False)
    return bag


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """The clock that `run_dag` and `run_task` go by: it begins on 1 January 2026 and goes on when a task waits."""
    from datetime import UTC, datetime

    from windlass.app.clocks import VirtualClock

    return VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def windlass_given() -> Iterator[Given]:
    """The connections and variables of the test, also for hooks that it uses outside a task."""
    from windlass.ports import session_scope
    from windlass_testing.fixtures import Given

    given = Given()
    with session_scope(given):
        yield given


@pytest.fixture
def connection(windlass_given: Given) -> SetConnection:
    """Define a connection for this test: `connection("db", "postgres://ada@host/db")`."""
    from windlass_testing.fixtures import SetConnection

    return SetConnection(windlass_given)


@pytest.fixture
def variable(windlass_given: Given) -> SetVariable:
    """Define a variable for this test: `variable("colour", "blue")`."""
    from windlass_testing.fixtures import SetVariable

    return SetVariable(windlass_given)


@pytest.fixture
def run_dag(windlass_given: Given, virtual_clock: VirtualClock, request: pytest.FixtureRequest) -> RunDag:
    """Run a DAG, or the one of that id in `dag_bag`: `run_dag("etl", fakes={"extract": [1, 2]})`."""
    from windlass_testing.fixtures import RunDag

    def bag() -> DagBag:
        found: DagBag = request.getfixturevalue("dag_bag")
        return found

    return RunDag(windlass_given, virtual_clock, bag)


@pytest.fixture
def run_task(windlass_given: Given, virtual_clock: VirtualClock) -> RunTask:
    """Run one try of one operator: `run_task(dag.get_task("load"), xcoms={"extract": [1, 2]})`."""
    from windlass_testing.fixtures import RunTask

    return RunTask(windlass_given, virtual_clock)


@pytest.fixture(scope="session")
def fake_vault_server() -> Iterator[FakeVault]:
    """The server behind `fake_vault`, started once."""
    from windlass_testing.fakes.vault import FakeVault

    with FakeVault() as vault:
        yield vault


@pytest.fixture
def fake_vault(fake_vault_server: FakeVault) -> FakeVault:
    """A Vault with its real protocol, for this test alone: `fake_vault.url` and `fake_vault.root_token`."""
    fake_vault_server.reset()
    return fake_vault_server


@pytest.fixture
def fake_kubernetes() -> Iterator[FakeKubernetes]:
    """A cluster with its real protocol, for this test alone: `fake_kubernetes.url`, `fake_kubernetes.kubeconfig()`."""
    from windlass_testing.fakes.kubernetes import FakeKubernetes

    with FakeKubernetes() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def fake_s3_server() -> Iterator[FakeS3]:
    """The server behind `fake_s3`, started once."""
    from windlass_testing.fakes.s3 import FakeS3

    with _needed(FakeS3) as s3:
        yield s3


@pytest.fixture
def fake_s3(fake_s3_server: FakeS3) -> FakeS3:
    """An S3 without a bucket, which is Secrets Manager and the Parameter Store as well: `fake_s3.url`."""
    fake_s3_server.reset()
    return fake_s3_server


@contextmanager
def _needed(server: Callable[[], AbstractContextManager[_T]]) -> Iterator[_T]:
    """Enter ``server``; where there is none, skip the test."""
    from windlass_testing.servers import ServerMissing

    manager = server()
    try:
        found = manager.__enter__()  # only what entering raises says that there is none
    except ServerMissing as error:
        pytest.skip(str(error))
    try:
        yield found
    finally:
        manager.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of an empty PostgreSQL database, which is dropped at the end of the session."""
    from windlass_testing.servers import postgres

    with _needed(postgres) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server that was started for the session, with a password and TLS; a test may stop and start it."""
    from windlass_testing.servers import private_postgres

    with _needed(private_postgres) as server:
        yield server


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """The URL of an empty MySQL or MariaDB database, which is dropped at the end of the session."""
    from windlass_testing.servers import mysql

    with _needed(mysql) as url:
        yield url


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[MysqlServer]:
    """A MariaDB server that was started for the session, with a password and TLS; a test may stop and start it."""
    from windlass_testing.servers import private_mysql

    with _needed(private_mysql) as server:
        yield server
