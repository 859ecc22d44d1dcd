from __future__ import annotations

import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from windlass.app.clocks import SystemClock
from windlass.dagfiles.parser import ParseServer
from windlass.errors import ConnectionNotDefined, VariableNotDefined
from windlass.interfaces.connection import Connection
from windlass.protocol.parsing import ParseRequest, ParseResult, parse_server_command
from windlass.spec import decode_spec

pytestmark = pytest.mark.processes

DAG = """
from datetime import datetime
from windlass import DAG, task

with DAG("{dag_id}", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def step():
        return 1

    step()
"""


class Vault:
    def get_connection(self, conn_id: str) -> Connection:
        if conn_id != "warehouse":
            raise ConnectionNotDefined(f"connection {conn_id!r} is not defined; add it")
        return Connection(conn_id="warehouse", conn_type="generic", host="db", password="s3cr3t-pa55")

    def get_variable(self, key: str) -> str:
        if key != "api_token":
            raise VariableNotDefined(f"variable {key!r} is not defined; add it")
        return "t0ken-abc"


class Skewed(SystemClock):
    """The system's clock, moved on by :attr:`skew` seconds."""

    skew = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.skew


class Bench:
    """A folder of DAG files and a parse server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = Skewed()
        self.starts: list[int] = []
        self.command: Callable[[int, int], list[str]] = lambda fd, n: parse_server_command(fd, concurrency=n)
        self.parser = ParseServer(concurrency=2, secrets=Vault(), clock=self.clock, command=self._counted)
        self._files: dict[int, str] = {}

    def _counted(self, fd: int, concurrency: int) -> list[str]:
        self.starts.append(fd)
        return self.command(fd, concurrency)

    def write(self, file: str, text: str) -> None:
        (self.root / file).write_text(textwrap.dedent(text))

    def submit(self, file: str, **limits: float) -> None:
        number = len(self._files) + 1
        self._files[number] = file
        self.parser.submit(
            ParseRequest(id=number, bundle="dags", root=str(self.root), file=file, timeout=limits.get("timeout", 20.0))
        )

    def collect(self) -> dict[str, ParseResult]:
        results: dict[str, ParseResult] = {}
        deadline = SystemClock().monotonic() + 30.0
        while self.parser.busy:
            assert SystemClock().monotonic() < deadline
            results |= self.collect_once()
        return results

    def collect_once(self) -> dict[str, ParseResult]:
        return {self._files[result.id]: result for result in self.parser.collect(0.2)}

    def parse(self, *files: str) -> dict[str, ParseResult]:
        for file in files:
            self.submit(file)
        return self.collect()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.parser.close()


def test_files_come_back_as_specs(bench: Bench) -> None:
    for name in ("a", "b"):
        bench.write(f"{name}.py", DAG.format(dag_id=name))
    results = bench.parse("a.py", "b.py")
    assert {file: decode_spec(result.specs[0]).dag_id for file, result in results.items()} == {"a.py": "a", "b.py": "b"}
    assert len(bench.starts) == 1


def test_nothing_is_started_before_it_is_needed_nor_kept_when_it_is_not(bench: Bench) -> None:
    bench.parser.rest()
    assert bench.starts == []
    bench.write("a.py", DAG.format(dag_id="a"))
    bench.parse("a.py")
    bench.parser.rest()
    first = bench.parser._server
    assert first is not None
    bench.clock.skew = 61.0
    bench.parser.rest()
    assert first.process.returncode == 0
    assert bench.parse("a.py")["a.py"].error is None
    assert len(bench.starts) == 2


def test_room_is_two_files_per_child(bench: Bench) -> None:
    bench.write("a.py", DAG.format(dag_id="a"))
    assert bench.parser.room == 4
    bench.submit("a.py")
    assert bench.parser.room == 3
    bench.collect()


def test_a_file_may_ask_and_what_it_prints_of_the_answer_is_masked(bench: Bench) -> None:
    bench.write(
        "a.py",
        """
        from windlass import Connection, Variable
        print("connection", Connection.get("warehouse").password)
        raise ValueError("token " + Variable.get("api_token"))
        """,
    )
    result = bench.parse("a.py")["a.py"]
    assert "connection ***" in result.output
    assert "ValueError: token ***" in str(result.error)
    assert "s3cr3t" not in repr(result)
    assert "t0ken" not in repr(result)


def test_a_file_may_have_a_secret_hidden(bench: Bench) -> None:
    bench.write(
        "a.py",
        """
        from windlass.hooks import mask_secret
        mask_secret("found-in-a-vault")
        print("key found-in-a-vault")
        raise ValueError("key found-in-a-vault")
        """,
    )
    result = bench.parse("a.py")["a.py"]
    assert "key ***" in result.output
    assert "ValueError: key ***" in str(result.error)


def test_what_is_not_defined_is_the_files_error(bench: Bench) -> None:
    bench.write("a.py", 'from windlass import Variable\nVariable.get("ghost")')
    bench.write("b.py", 'from windlass import Variable\nVariable.set("api_token", "x")')
    results = bench.parse("a.py", "b.py")
    assert "variable 'ghost' is not defined; add it" in str(results["a.py"].error)
    assert "cannot be changed while a DAG file is parsed" in str(results["b.py"].error)


def test_children_know_nothing_of_the_servers_settings(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WINDLASS_CONN_X", "WINDLASS_VAR_X", "WINDLASS__DATABASE__SQL_ALCHEMY_CONN", "OF_THE_USER"):
        monkeypatch.setenv(name, "canary")
    bench.write("a.py", "import os\nprint(sorted(k for k, v in os.environ.items() if v == 'canary'))")
    assert bench.parse("a.py")["a.py"].output == "['OF_THE_USER']\n"


def test_a_server_that_dies_is_replaced_and_nothing_is_lost(bench: Bench) -> None:
    for name in "abc":
        bench.write(f"{name}.py", DAG.format(dag_id=name))
    bench.parse("a.py")
    assert bench.parser._server is not None
    os.kill(bench.parser._server.process.pid, signal.SIGKILL)
    results = bench.parse("a.py", "b.py", "c.py")
    assert [result.error for result in results.values()] == [None, None, None]
    assert len(bench.starts) == 2


def test_the_file_that_kills_servers_is_found_and_the_others_are_not_blamed(bench: Bench) -> None:
    for name in "abc":
        bench.write(f"{name}.py", DAG.format(dag_id=name))
    bench.write("killer.py", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(60)")
    for file in ("a.py", "killer.py", "b.py", "c.py"):
        bench.submit(file)
    results: dict[str, ParseResult] = {}
    while bench.parser.busy:
        results |= bench.collect_once()
        assert not bench.parser._suspects or bench.parser.room == 0
    assert {file for file, result in results.items() if result.error} == {"killer.py"}
    assert "killer.py: the parse server was killed by signal 9 while it parsed this file" in str(
        results["killer.py"].error
    )


def test_a_server_that_says_nothing_is_given_up(bench: Bench) -> None:
    bench.command = lambda _fd, _n: [sys.executable, "-c", "import time; time.sleep(600)"]
    bench.submit("a.py", timeout=1.0)
    results: list[ParseResult] = []
    while bench.parser.busy:
        results += bench.parser.collect(0.0)
        bench.clock.skew += 32.0
    assert "it did not answer in time" in str(results[0].error)
    assert len(bench.starts) == 2


def test_a_server_that_cannot_run_is_an_error_of_each_file(bench: Bench) -> None:
    bench.command = lambda _fd, _n: [sys.executable, "-c", "raise SystemExit(3)"]
    results = bench.parse("a.py", "b.py")
    assert {result.error for result in results.values()} == {
        f"{file}: the parse server ended with status 3 while it parsed this file (it closed the line)"
        for file in ("a.py", "b.py")
    }


def test_a_server_that_cannot_be_started_is_an_error_and_tried_again_later(bench: Bench) -> None:
    bench.command = lambda _fd, _n: ["/no/such/python"]
    result = bench.parse("a.py")["a.py"]
    assert "a.py: the parse server cannot be started while it parsed this file" in str(result.error)
    assert result.min_interval == 60.0


def test_closing_leaves_no_process(bench: Bench) -> None:
    bench.write("a.py", "import time\ntime.sleep(600)")
    bench.submit("a.py")
    bench.parser.collect(0.0)
    assert bench.parser._server is not None
    process = bench.parser._server.process
    bench.parser.close()
    assert process.returncode is not None
    assert not bench.parser.busy
