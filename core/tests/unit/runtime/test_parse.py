"""A real parse server: what good files say, and what bad ones cannot do to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windlass.protocol import GetConnection, recv_frame
from windlass.protocol.parsing import (
    PARSE_FRAME_LIMIT,
    ParseAnswer,
    ParseAsk,
    ParseRequest,
    ParseResult,
    pack,
    parse_server_command,
    unpack_from_server,
)
from windlass.spec import decode_spec

pytestmark = pytest.mark.processes

GOOD = """
    from windlass import DAG
    with DAG("good"):
        pass
"""


class Parser:
    """A parse server and the dagfiles side of its socket."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(20)
        with theirs:
            self.process = subprocess.Popen(
                parse_server_command(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                env=os.environ,
                stdin=subprocess.DEVNULL,
            )
        self._ids = 0

    def write(self, file: str, source: str | bytes) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else textwrap.dedent(source).encode())

    def ask(self, file: str, *, timeout: float = 10.0, memory: int = 2 << 30, timezone: str = "UTC") -> int:
        self._ids += 1
        request = ParseRequest(
            id=self._ids,
            bundle="b",
            root=str(self.root),
            file=file,
            timeout=timeout,
            memory=memory,
            timezone=timezone,
        )
        self.sock.sendall(pack(request))
        return self._ids

    def next(self) -> ParseResult | ParseAsk:
        payload = recv_frame(self.sock, PARSE_FRAME_LIMIT)
        assert payload is not None, "the parse server is gone"
        return unpack_from_server(payload)

    def results(self, count: int) -> dict[int, ParseResult]:
        found: dict[int, ParseResult] = {}
        while len(found) < count:
            message = self.next()
            assert isinstance(message, ParseResult)
            found[message.id] = message
        return found

    def parse(self, source: str | bytes, **limits: float | str) -> ParseResult:
        self.write("dag.py", source)
        number = self.ask("dag.py", **limits)  # type: ignore[arg-type]
        return self.results(1)[number]

    def error(self, source: str | bytes, **limits: float | str) -> str:
        result = self.parse(source, **limits)
        assert result.error is not None, "the file was accepted"
        assert result.specs == []
        return result.error


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parser]:
    parser = Parser(tmp_path_factory.mktemp("bundle"))
    yield parser
    parser.sock.close()
    assert parser.process.wait(10) == 0


@pytest.fixture
def parser(server: Parser, tmp_path: Path) -> Parser:
    server.root = tmp_path
    return server


def test_naive_dates_are_read_in_the_configured_zone(parser: Parser) -> None:
    source = """
        from datetime import datetime
        from windlass import DAG
        dag = DAG("naive", schedule="@daily", start_date=datetime(2026, 3, 1))
    """
    [data] = parser.parse(source, timezone="Asia/Tokyo").specs
    spec = decode_spec(data)
    assert spec.start_date == datetime(2026, 2, 28, 15, tzinfo=UTC)
    assert spec.timezone == "Asia/Tokyo"
    [data] = parser.parse(source).specs
    assert decode_spec(data).start_date == datetime(2026, 3, 1, tzinfo=UTC), "each child reads its own zone"


def test_a_zone_that_is_none_is_an_error_of_every_file(parser: Parser) -> None:
    assert "core.default_timezone is 'Mars/Olympus', which is no IANA time zone" in parser.error(
        GOOD, timezone="Mars/Olympus"
    )


def test_a_good_file_gives_its_specs_and_its_inputs(parser: Parser) -> None:
    result = parser.parse(GOOD)
    assert result.error is None
    assert [(decode_spec(data).dag_id, decode_spec(data).file) for data in result.specs] == [("good", "dag.py")]
    assert list(result.inputs) == ["dag.py"]
    assert result.duration > 0


def test_everything_read_below_the_root_is_an_input(parser: Parser) -> None:
    parser.write("lib/__init__.py", "")
    parser.write("lib/tables.py", "NAMES = ['a', 'b']")
    parser.write("settings.yaml", "x: 1")
    result = parser.parse("""
        from pathlib import Path
        from windlass import DAG
        from lib.tables import NAMES
        (Path(__file__).parent / "settings.yaml").read_text()
        for name in NAMES:
            with DAG(name):
                pass
    """)
    assert [decode_spec(data).dag_id for data in result.specs] == ["a", "b"]
    assert sorted(result.inputs) == ["dag.py", "lib/__init__.py", "lib/tables.py", "settings.yaml"]


def test_a_module_that_is_missing_is_waited_for(parser: Parser) -> None:
    result = parser.parse("import not_yet_there")
    assert result.error is not None
    assert result.error.startswith("dag.py:1: ModuleNotFoundError: No module named 'not_yet_there'")
    assert "not_yet_there.py" in result.missing
    assert list(result.inputs) == ["dag.py"]


def test_an_error_names_the_line_and_shows_the_authors_traceback_only(parser: Parser) -> None:
    error = parser.error("""
        def limit():
            return 1 / 0
        limit()
    """)
    assert error.startswith("dag.py:3: ZeroDivisionError: division by zero\n\nTraceback")
    assert "windlass/runtime" not in error
    assert "importlib" not in error


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def f(:\n", "dag.py:1: SyntaxError"),
        (b"name = '\xff\xfe'\n", "dag.py:1: SyntaxError: (unicode error) 'utf-8'"),
        (b"x = 1\0\n", "dag.py"),
        ("import sys; sys.exit(3)", "dag.py:1: it calls sys.exit(3) when it is imported; remove that"),
        ("import os; os._exit(3)", "exited with status 3 before it was done: something calls os._exit; have it raise"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "crashed (SIGSEGV), in a library that it imports; import that inside",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "when memory runs out; move what needs much of it"),
        ("def f(): f()\nf()", "exceeded; something calls itself without end"),
        ("import os; os.close(1); os.close(2); raise ValueError('quiet')", "dag.py:1: ValueError: quiet"),
        ("raise BaseException('rude')", "dag.py:1: BaseException: rude"),
    ],
)
def test_a_bad_file_is_one_clear_error(parser: Parser, source: str | bytes, says: str) -> None:
    assert says in parser.error(source)
    assert parser.parse(GOOD).error is None


def test_an_endless_file_is_stopped(parser: Parser) -> None:
    assert "took longer than 0.3 s and was stopped; move slow work" in parser.error("while True: pass", timeout=0.3)


def test_a_sleeping_file_is_stopped_with_what_it_started(parser: Parser) -> None:
    output = ""
    # A limit that a busy machine reaches before the file has started anything proves nothing.
    for limit in (0.5, 4.0, 30.0):
        result = parser.parse(
            """
            import subprocess, time
            sleeper = subprocess.Popen(["sleep", "120"], start_new_session=True)
            print(sleeper.pid, flush=True)
            time.sleep(120)
            """,
            timeout=limit,
        )
        assert result.error is not None
        assert f"took longer than {limit:g} s" in result.error
        if output := result.output:
            break
    pid = int(output)
    parser.parse(GOOD)
    assert not Path(f"/proc/{pid}").exists()


def test_a_file_that_takes_too_much_memory_is_stopped(parser: Parser) -> None:
    error = parser.error("data = bytearray(1 << 30)", memory=512 << 20)
    assert "dag.py:1: it needs more than the 512 MB of memory" in error
    assert "; move what needs it into tasks, or raise dag_processor.memory_limit_mb" in error


def test_a_slow_file_delays_no_other(parser: Parser) -> None:
    gate = parser.root / "gate"
    os.mkfifo(gate)
    parser.write("slow.py", f"open({str(gate)!r}).read()")
    parser.write("quick.py", GOOD)
    slow = parser.ask("slow.py", timeout=60.0)
    quick = parser.ask("quick.py")
    first = parser.next()
    assert first.id == quick
    gate.open("w").close()  # only now can the slow one go on
    assert parser.results(1)[slow].error is None


def test_what_a_file_prints_and_warns_comes_with_its_result(parser: Parser) -> None:
    result = parser.parse("""
        import sys, warnings
        print("to stdout")
        print("to stderr", file=sys.stderr)
        warnings.warn("old name", DeprecationWarning)
    """)
    assert result.output.splitlines() == ["to stdout", "to stderr"]
    (warning,) = result.warnings
    assert warning.endswith("dag.py:5: DeprecationWarning: old name")


def test_a_file_may_ask_for_a_connection(parser: Parser) -> None:
    parser.write(
        "dag.py",
        """
        from windlass.hooks import BaseHook
        print(BaseHook.get_connection("db").host)
    """,
    )
    number = parser.ask("dag.py")
    asked = parser.next()
    assert asked == ParseAsk(id=number, verb=GetConnection(conn_id="db"))
    parser.sock.sendall(pack(ParseAnswer(id=number, result={"conn_type": "http", "host": "example.org"})))
    result = parser.results(1)[number]
    assert (result.error, result.output) == (None, "example.org\n")


def test_a_file_that_is_gone_is_an_error(parser: Parser) -> None:
    number = parser.ask("nowhere.py")
    assert parser.results(1)[number].error == "nowhere.py: it cannot be read: No such file or directory"


def test_the_server_has_imported_nothing_of_any_user() -> None:
    code = (
        "import sys, windlass.runtime.parse, windlass.authoring\n"
        "heavy = {'sqlalchemy', 'jinja2', 'pluggy', 'asyncio', 'ssl', 'importlib.metadata'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
