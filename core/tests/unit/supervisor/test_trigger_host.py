"""A real trigger host process: its code, its answers, its logs, and its faults, each with a name."""

# ruff: noqa: ANN401 - payloads are any value
from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import ConnectionNotDefined
from windlass.ports import Wait, WaitKey
from windlass.protocol import GetConnection, Query, Variable, XComValue
from windlass.supervisor.artifacts import LocalArtifacts
from windlass.supervisor.reactor import Reactor
from windlass.supervisor.settings import SupervisorSettings
from windlass.supervisor.trigger_host import Surroundings, TriggerHost, TriggerHosts
from windlass.supervisor.waiting import SHARED, HostKey

pytestmark = pytest.mark.processes

PATIENCE = 30.0

CODE = """
import asyncio, logging, os, sys, time
from windlass.triggers import BaseTrigger, TriggerEvent
from windlass.hooks import BaseHook, mask_secret
from windlass.ports import all_rows, current_session
from windlass.protocol import XComSet, XComValue

class Does(BaseTrigger):
    def __init__(self, what):
        self.what = what
    def serialize(self):
        return "dag.Does", {"what": self.what}
    async def run(self):
        await asyncio.sleep(0)
        yield TriggerEvent(await getattr(self, self.what)())
    async def version(self):
        return VERSION
    async def forever(self):
        try:
            await asyncio.sleep(3600)
        finally:
            logging.getLogger("mine").warning("cancelled")
    async def writes(self):
        print("printed", end=" ")
        logging.getLogger("mine").info("logged")
        await asyncio.sleep(0.01)
        print("in one line")
        await asyncio.to_thread(print, "from a thread")
        print("no newline at the end", file=sys.stderr, end="")
    async def connects(self):
        password = (await asyncio.to_thread(BaseHook.get_connection, "db")).password
        print("the password is", password)
        return BaseHook.get_connection("db").login
    async def masks(self):
        mask_secret("found-in-a-vault")
        print("the key is found-in-a-vault")
        await asyncio.to_thread(mask_secret, {"token": "t0k"})
        print("the token is t0k")
        return "found-in-a-vault"
    async def lacks(self):
        BaseHook.get_connection("nowhere")
    async def asks(self):
        return all_rows("runs", {"dag_id": "d"})
    async def pushes(self):
        current_session().ask(XComSet(key="k", value=XComValue(codec="json", data=b"1")))
    async def large(self):
        return "x" * 200_000
    async def fails(self):
        raise ValueError("no such swordfish-9")
    async def environment(self):
        return sorted(name for name in os.environ if name.startswith("WINDLASS"))
    async def blocks(self):
        time.sleep(60)
    async def blocks_in_a_task(self):
        await asyncio.gather(self.blocks())
    async def leaves(self):
        os._exit(3)
    async def exits(self):
        await asyncio.gather(self.exit())
    async def exit(self):
        sys.exit(4)
"""


class Gateway:
    def answer(self, wait: WaitKey, query: Query) -> list[dict[str, Any]]:
        return [{"wait": list(wait), "what": query.what}]


class Questions:
    def ask(self, verb: GetConnection | Variable, then: Callable[..., None]) -> None:
        if isinstance(verb, GetConnection) and verb.conn_id == "db":
            then({"conn_type": "http", "login": "ann", "password": "swordfish-9"}, ["swordfish-9"], None)
        elif isinstance(verb, Variable):
            then("swordfish-9", ["swordfish-9"], None)
        else:
            then(None, (), ConnectionNotDefined("connection `nowhere` is not defined; looked in: nowhere"))


class Rng:
    def token(self) -> str:
        return os.urandom(16).hex()

    key = token


class Bench:
    """The owner of hosts, their surroundings, and a test's view of what they say."""

    def __init__(self, folder: Path, block_limit: float) -> None:
        self.folder = folder
        self.events: dict[WaitKey, XComValue] = {}
        self.failures: dict[WaitKey, str] = {}
        self.unopenable: list[str] = []
        self.gone: list[tuple[WaitKey | None, str, bool]] = []
        self.reactor = Reactor(time.monotonic)
        self.settings = SupervisorSettings(
            run=folder / "run",
            logs=folder / "logs",
            code=folder / "code",
            version="1",
            trigger_block_limit=block_limit,
        )
        around = Surroundings(
            self.settings,
            self.reactor,
            Gateway(),  # type: ignore[arg-type] # as much of it as triggers use
            Questions(),  # type: ignore[arg-type]
            LocalArtifacts(self.settings.artifacts, Rng()),
            functools.partial(datetime.now, UTC),
            "tag",
        )
        self.hosts = TriggerHosts(around)
        self.started: list[TriggerHost] = []
        self.reaped: set[int] = set()
        self._tasks = 0

    def code(self, source: str) -> str:
        """Store a snapshot and return its version."""
        for name in ("blobs", "versions"):
            (self.folder / "code" / name).mkdir(parents=True, exist_ok=True)
        data = textwrap.dedent(source).encode()
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "code/blobs" / digest).write_bytes(data)
        manifest = {"bundle": "b", "file": "dag.py", "root": str(self.folder / "bundle"), "files": {"dag.py": digest}}
        version = digest[:32]
        (self.folder / "code/versions" / f"{version}.json").write_text(json.dumps(manifest))
        return version

    def start(self, source: str = CODE, **values: Any) -> TriggerHost:
        """Start a host for some code."""
        version = self.code(source + "".join(f"\n{name} = {value!r}" for name, value in values.items()))
        return self.open(("b", "dag.py", version))

    def open(self, key: HostKey) -> TriggerHost:
        host = self.hosts.start(key, self)
        self.started.append(host)
        return host

    def begin(self, host: TriggerHost, what: str, name: str = "") -> WaitKey:
        """Begin a trigger that does ``what``."""
        self._tasks += 1
        digest = hashlib.sha256(b"dag.py").hexdigest()[:8]
        arguments = json.dumps({"what": what}).encode()
        wait = Wait(
            task=self._tasks,
            epoch=1,
            trigger=name or f"windlass_dag_{digest}_dag.Does",
            kwargs=XComValue(codec="json", data=arguments, size=len(arguments)),
            dag_id="d",
            run_id="r",
            task_id=what,
            map_index=-1,
            bundle="b",
            file="dag.py",
            code_version="v",
            log_path=f"{self._tasks}.log",
        )
        host.begin(wait)
        return wait.key

    # The owner.

    def on_event(self, key: WaitKey, value: XComValue) -> None:
        self.events[key] = value
        for host in self.started:
            host.end(key, "its trigger fired")

    def on_failure(self, key: WaitKey, reason: str) -> None:
        self.failures[key] = reason
        for host in self.started:
            host.end(key)

    def on_unopenable(self, key: HostKey, error: str) -> None:
        self.unopenable.append(error)

    def on_gone(self, key: HostKey, host: Any, blamed: WaitKey | None, how: str, *, opened: bool = True) -> None:
        self.gone.append((blamed, how, opened))

    # What a test waits for.

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {PATIENCE:g} s in vain for {what}; {self.failures} {self.gone}")
            self.reactor.turn(0.05)
            self.reap()

    def reap(self) -> None:
        for host in self.started:
            if host.pid not in self.reaped:
                pid, status = os.waitpid(host.pid, os.WNOHANG)
                if pid:
                    self.reaped.add(pid)
                    self.hosts.exited(pid, status)

    def value(self, key: WaitKey) -> Any:
        """Wait for an event and return its payload."""
        self.until(lambda: key in self.events or key in self.failures, f"the event of {key}")
        assert key in self.events, self.failures
        return json.loads(self.events[key].data)

    def failure(self, key: WaitKey) -> str:
        self.until(lambda: key in self.events or key in self.failures, f"the failure of {key}")
        return self.failures[key]

    def log(self, key: WaitKey) -> list[str]:
        path = self.folder / "logs" / f"{key[0]}.log"
        return [json.loads(line)["msg"] for line in path.read_text().splitlines()] if path.exists() else []

    def close(self) -> None:
        for host in self.started:
            host.close()
        self.until(lambda: all(host.pid in self.reaped for host in self.started), "the hosts to be gone")
        self.reactor.close()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Bench]:
    monkeypatch.setenv("WINDLASS__CORE__FERNET_KEY", "k")
    monkeypatch.setenv("WINDLASS_CONN_X", "http://a:b@c")
    made = Bench(tmp_path, block_limit=getattr(request, "param", 2.0))
    yield made
    made.close()


# --- Code


def test_two_versions_of_one_file_wait_side_by_side(bench: Bench) -> None:
    old, new = bench.start(VERSION="old"), bench.start(VERSION="new")
    first, second = bench.begin(old, "version"), bench.begin(new, "version")
    assert (bench.value(first), bench.value(second)) == ("old", "new")


def test_the_shared_host_runs_what_providers_list_and_nothing_else(bench: Bench) -> None:
    host = bench.open(SHARED)
    foreign = bench.begin(host, "x", "antigravity.Fly")
    assert "no trigger antigravity.Fly is there: no provider lists it" in bench.failure(foreign)
    listed = bench.begin(host, "x", "windlass.triggers.FileTrigger")
    assert "FileTrigger failed: TypeError" in bench.failure(listed), "its arguments are another trigger's"


def test_code_that_cannot_be_imported_is_reported_with_its_authors_line(bench: Bench) -> None:
    bench.start("raise RuntimeError('not today')")
    bench.until(lambda: bench.unopenable, "the error")
    assert "RuntimeError: not today" in bench.unopenable[0]
    assert "dag.py" in bench.unopenable[0]
    assert "loader.py" not in bench.unopenable[0]


def test_code_may_read_a_variable_while_it_is_imported_and_never_shows_it(bench: Bench) -> None:
    host = bench.start("from windlass import Variable\nVERSION = Variable.get('x')\n" + CODE.replace("VERSION", "1"))
    key = bench.begin(host, "fails")
    assert "ValueError: no such ***" in bench.failure(key)


def test_code_that_ends_the_process_while_it_is_imported_is_known_for_it(bench: Bench) -> None:
    bench.start("import os\nos._exit(5)")
    bench.until(lambda: bench.gone, "its end")
    assert bench.gone == [(None, "exited with status 5", False)]


def test_a_host_has_no_settings_and_no_secrets_of_the_server(bench: Bench) -> None:
    key = bench.begin(bench.start(), "environment")
    assert bench.value(key) == ["WINDLASS_LEASE_ID"]


# --- What triggers do


def test_what_a_trigger_writes_goes_to_the_log_of_its_task(bench: Bench) -> None:
    key = bench.begin(bench.start(), "writes")
    bench.value(key)
    assert bench.log(key) == [
        "the trigger dag.Does waits",
        "logged",
        "printed in one line",
        "from a thread",
        "no newline at the end",
        "its trigger fired",
    ]


def test_a_trigger_uses_connections_and_its_log_hides_their_secrets(bench: Bench) -> None:
    key = bench.begin(bench.start(), "connects")
    assert bench.value(key) == "ann"
    assert "the password is ***" in bench.log(key)


def test_a_trigger_has_its_own_secrets_hidden(bench: Bench) -> None:
    key = bench.begin(bench.start(), "masks")
    assert bench.value(key) == "found-in-a-vault"
    assert {"the key is ***", "the token is ***"} <= {*bench.log(key)}


def test_an_error_that_the_supervisor_answers_with_is_the_triggers_own(bench: Bench) -> None:
    key = bench.begin(bench.start(), "lacks")
    assert "ConnectionNotDefined: connection `nowhere` is not defined" in bench.failure(key)


def test_a_trigger_asks_about_runs_and_changes_nothing(bench: Bench) -> None:
    host = bench.start()
    asks, pushes = bench.begin(host, "asks"), bench.begin(host, "pushes")
    assert bench.value(asks) == [{"wait": list(asks), "what": "runs"}]
    assert "a trigger only watches: it cannot use `xcom_set`" in bench.failure(pushes)


def test_a_large_event_goes_to_the_artifact_store(bench: Bench) -> None:
    key = bench.begin(bench.start(), "large")
    bench.until(lambda: key in bench.events, "the event")
    value = bench.events[key]
    assert value.artifact is not None
    assert (bench.folder / "artifacts" / value.artifact[:2] / value.artifact).stat().st_size == value.size


def test_a_failure_has_its_reason_and_the_authors_traceback_in_the_log(bench: Bench) -> None:
    key = bench.begin(bench.start(), "fails")
    assert bench.failure(key) == "its trigger dag.Does failed: ValueError: no such swordfish-9"
    assert any('raise ValueError("no such' in line for line in bench.log(key))


def test_a_cancelled_trigger_cleans_up_and_the_others_go_on(bench: Bench) -> None:
    host = bench.start()
    cancelled, other = bench.begin(host, "forever"), bench.begin(host, "forever")
    bench.value(bench.begin(host, "environment"))
    host.end(cancelled)
    bench.value(bench.begin(host, "environment"))
    assert cancelled not in bench.failures
    assert other not in bench.failures


# --- Faults


# A machine that stands still for a while must not pass over the warning.
@pytest.mark.parametrize("bench", [5.0], indirect=True)
@pytest.mark.parametrize("what", ["blocks", "blocks_in_a_task"])
def test_a_trigger_that_blocks_is_named_with_its_line_and_fails_alone(bench: Bench, what: str) -> None:
    host = bench.start()
    key, other = bench.begin(host, what), bench.begin(host, "forever")
    reason = bench.failure(key)
    line = CODE.splitlines().index("        time.sleep(60)") + 1
    assert reason.startswith(f"its trigger dag.Does has blocked all others at {bench.folder}/bundle/dag.py:{line} for ")
    assert "asyncio.to_thread" in reason
    assert len([entry for entry in bench.log(key) if "has blocked all others" in entry]) == 2, "a warning, then the end"
    bench.until(lambda: bench.gone, "the end of the host")
    assert bench.gone == [(None, "was ended, because a trigger blocked it", True)]
    assert other not in bench.failures


def test_a_trigger_that_stops_everything_is_named_by_the_cell(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from windlass.supervisor import trigger_host

    monkeypatch.setattr(trigger_host, "_PING", 0.2)
    host = bench.start(
        CODE.replace("time.sleep(60)", "os.kill(os.getpid(), 19)")
    )  # no thread of it says a word any more
    key = bench.begin(host, "blocks")
    assert "its trigger dag.Does has blocked all others for " in bench.failure(key)


@pytest.mark.parametrize(("what", "how"), [("leaves", "exited with status 3"), ("exits", "exited with status 4")])
def test_a_trigger_that_ends_the_process_is_blamed_for_it(bench: Bench, what: str, how: str) -> None:
    host = bench.start()
    bench.begin(host, "forever")
    key = bench.begin(host, what)
    bench.until(lambda: bench.gone, "the end of the host")
    assert bench.gone == [(key, how, True)]
    assert f"the trigger host {how} while this trigger ran" in bench.log(key)


def test_a_host_that_is_killed_from_outside_blames_nobody(bench: Bench) -> None:
    host = bench.start()
    bench.value(bench.begin(host, "environment"))
    bench.begin(host, "forever")
    bench.value(bench.begin(host, "environment"))
    os.kill(host.pid, signal.SIGKILL)
    bench.until(lambda: bench.gone, "the end of the host")
    assert bench.gone == [(None, "was killed by SIGKILL", True)]


def test_many_triggers_wait_in_one_process(bench: Bench) -> None:
    host = bench.start()
    keys = [bench.begin(host, "forever") for _ in range(1000)]
    bench.value(bench.begin(host, "environment"))
    for key in keys[:500]:
        host.end(key)
    last = [bench.begin(host, "environment") for _ in range(200)]
    assert [bench.value(key) for key in last] == [["WINDLASS_LEASE_ID"]] * 200
    assert len(bench.started) == 1
