"""Many questions at once: none is lost, none is asked twice, and who merely waits is not punished with who is stuck."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from windlass.errors import SecretsError, WindlassError
from windlass.interfaces.connection import Connection
from windlass.secrets.chain import Chain, Kind, Place, Question
from windlass.secrets.client import HelperClient
from windlass.secrets.files import FileSource
from windlass.secrets.resolver import Resolver

pytestmark = pytest.mark.processes

#: ``hang`` never answers; ``once`` hangs the first time; every question is written down.
BACKEND = """
import colorsys, os, pathlib, time
from windlass.backends import SecretsBackend

HERE = pathlib.Path(__file__).parent

class Store(SecretsBackend):
    def get_variable(self, key):
        with open(HERE / "asked", "a") as file:
            file.write(key[:20] + "\\n")
        word = key.partition(" ")[0]
        if word == "hang":
            time.sleep(600)
        if word == "once" and not (HERE / "once").exists():
            (HERE / "once").touch()
            time.sleep(600)
        if word == "slow":
            time.sleep(0.25)
        if word == "die":
            os._exit(1)
        if word == "long":
            return "x" * (1 << 20)
        if word == "torn":
            return "\\udc80"
        if word == "bytes":
            return b"x"
        if word == "sdk":
            return colorsys.__file__
        return None if word == "none" else f"{key[:20]} by {os.getpid()}"

class Other(Store):
    pass
"""


@pytest.fixture
def folder(install: Callable[[str, dict[str, str]], None], tmp_path: Path) -> Path:
    install(BACKEND, {"store": "Store", "other": "Other"})
    return tmp_path / "installed"


Outcomes = dict[str, str | None]


class Asking:
    """A client whose time stands still, and what has come of its questions: values, or the texts of errors."""

    def __init__(self, *, timeout: float = 10.0, real_time: bool = False) -> None:
        self.time = 0.0
        backends: dict[str, dict[str, object]] = {"store": {}, "other": {}}
        self.client = HelperClient(backends, timeout, time.monotonic if real_time else lambda: self.time)
        self.outcomes: Outcomes = {}

    def ask(self, *keys: str, backend: str = "store") -> None:
        for key in keys:
            self.client.ask(Question(backend, Kind.VARIABLE, key), partial(self._done, key))

    def _done(self, key: str, value: str | None, error: SecretsError | None) -> None:
        assert key not in self.outcomes
        self.outcomes[key] = value if error is None else str(error)

    def drive(self, until: Callable[[], bool]) -> None:
        """Do what a loop does."""
        limit = time.monotonic() + 30
        with selectors.DefaultSelector() as loop:
            loop.register(self.client.fileno(), selectors.EVENT_READ)
            while not until():
                assert time.monotonic() < limit, f"of {self.client.waiting} there is no answer; {self.outcomes}"
                if loop.select(0.1):
                    self.client.receive()
                self.client.expire()

    def finish(self) -> Outcomes:
        self.drive(lambda: not self.client.waiting)
        return self.outcomes


@pytest.fixture
def asking(folder: Path) -> Iterator[Asking]:
    made = Asking()
    yield made
    made.client.close()


def asked(folder: Path) -> list[str]:
    path = folder / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_nothing_of_the_current_folder_runs_in_the_helper(
    asking: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "colorsys.py").write_text("")
    monkeypatch.chdir(clone)
    asking.ask("sdk")
    assert str(clone) not in str(asking.finish()["sdk"])


def test_a_burst_is_answered_whole(asking: Asking) -> None:
    keys = [f"key {number}" for number in range(300)]
    asking.ask(*keys)
    assert asking.outcomes == {}
    asking.finish()
    assert all(str(asking.outcomes[key]).startswith(f"{key} by ") for key in keys)


def test_who_asks_is_never_blocked_by_a_helper_that_does_not_read(asking: Asking) -> None:
    asking.ask("first")
    asking.finish()
    helper = asking.client._process
    assert helper is not None
    os.kill(helper.pid, signal.SIGSTOP)
    keys = ["none " + letter * 400_000 for letter in "abcdefgh"]
    asking.ask(*keys)
    asking.client.receive()
    os.kill(helper.pid, signal.SIGCONT)
    asking.finish()
    assert [asking.outcomes[key] for key in keys] == [None] * 8


def test_equal_questions_in_flight_are_asked_once(asking: Asking, folder: Path) -> None:
    outcomes: list[str | None] = []
    for _ in range(100):
        asking.client.ask(
            Question("store", Kind.VARIABLE, "same"), lambda value, error: outcomes.append(value if not error else "")
        )
    asking.ask("same", backend="other")
    asking.finish()
    assert asked(folder) == ["same"] * 2
    assert len(outcomes) == 100
    assert len(set(outcomes)) == 1
    assert str(outcomes[0]).startswith("same by ")


def test_waiting_for_a_slow_backend_is_no_failure(folder: Path) -> None:
    asking = Asking(timeout=1.5, real_time=True)
    try:
        asking.ask("first")
        first = asking.finish()["first"]
        asking.ask(*(f"slow {number}" for number in range(72)))
        outcomes = asking.finish()
    finally:
        asking.client.close()
    assert {str(outcome).rpartition(" ")[2] for outcome in outcomes.values()} == {str(first).rpartition(" ")[2]}


def test_only_what_is_stuck_fails_and_all_else_is_asked_again(asking: Asking, folder: Path) -> None:
    asking.ask(*(f"hang {number}" for number in range(8)), "behind")
    asking.time = 5.0
    asking.ask("once", backend="other")
    asking.drive((folder / "once").exists)
    assert asking.client.deadline() == 10.0
    assert asking.outcomes == {}
    asking.time = 10.0
    outcomes = asking.finish()
    for number in range(8):
        expected = f"variable `hang {number}`: secrets backend store did not answer within 10 s"
        assert outcomes[f"hang {number}"] == expected
    assert str(outcomes["behind"]).startswith("behind by ")
    assert str(outcomes["once"]).startswith("once by ")
    assert sorted(key for key in asked(folder) if "hang" not in key) == ["behind", "once", "once"]


def test_a_backend_that_is_stuck_holds_no_thread_of_another(asking: Asking) -> None:
    asking.ask(*(f"hang {number}" for number in range(20)))
    asking.ask("quick", backend="other")
    asking.drive(lambda: "quick" in asking.outcomes)
    assert set(asking.outcomes) == {"quick"}


def test_a_question_is_asked_again_once_at_most(asking: Asking, folder: Path) -> None:
    asking.ask("hang 1")
    asking.time = 5.0
    asking.ask("hang 2")
    asking.drive(lambda: len(asked(folder)) == 2)
    asking.time = 10.0
    asking.drive(lambda: "hang 1" in asking.outcomes and len(asked(folder)) == 3)
    assert asking.client.deadline() == 20.0
    asking.time = 20.0
    assert "did not answer within 10 s" in str(asking.finish()["hang 2"])


def test_a_burst_to_a_stuck_backend_ends_as_one(asking: Asking) -> None:
    asking.ask("hang 1")
    asking.time = 0.1
    asking.ask("hang 2")
    asking.time = 10.0
    asking.client.expire()
    assert set(asking.outcomes) == {"hang 1", "hang 2"}


def test_an_answer_that_came_while_the_loop_was_busy_is_not_late(asking: Asking) -> None:
    asking.ask("first")
    with selectors.DefaultSelector() as loop:
        loop.register(asking.client.fileno(), selectors.EVENT_READ)
        assert loop.select(30)
    asking.time = 60.0
    asking.client.expire()
    assert str(asking.outcomes["first"]).startswith("first by ")


def test_a_helper_that_dies_fails_what_it_had_begun_and_what_waited_goes_on(asking: Asking) -> None:
    asking.ask(*(f"hang {number}" for number in range(7)), "die", "behind")
    outcomes = asking.finish()
    assert outcomes["die"] == (
        "variable `die`: the secrets helper ended unexpectedly; its messages are in the server's log"
    )
    assert str(outcomes["behind"]).startswith("behind by ")


def test_an_answer_that_cannot_travel_is_an_error_that_says_so(asking: Asking) -> None:
    asking.ask("long", "torn", "bytes")
    assert asking.finish() == {
        "long": "secrets backend store gave variable `long`, but it is longer than 1048576 bytes",
        "torn": "secrets backend store gave variable `torn`, but it is no valid text",
        "bytes": "secrets backend store failed to give variable `bytes`: TypeError: its answer is no text, but bytes",
    }


def test_a_question_that_cannot_travel_is_an_error_that_says_so(asking: Asking) -> None:
    asking.ask("\ud800", "x" * (1 << 20))
    assert list(asking.outcomes.values()) == [
        "a variable cannot be looked up in store: its name is no text",
        "a variable cannot be looked up in store: its name is too long",
    ]


def test_a_helper_that_cannot_be_started_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    asking = Asking()
    asking.ask("one", "two")
    assert asking.outcomes["two"] == ("variable `two`: the secrets helper cannot be started: No such file or directory")
    assert asking.client.waiting == 0
    asking.client.close()


def test_one_who_cannot_take_an_answer_keeps_no_other_from_theirs(asking: Asking) -> None:
    def broken(_value: str | None, _error: SecretsError | None) -> None:
        msg = "a mistake of the loop's"
        raise OSError(msg)

    asking.ask("first")
    asking.finish()
    told: list[int] = []
    same = Question("store", Kind.VARIABLE, "same")
    asking.client.ask(same, lambda _value, _error: told.append(1))
    asking.client.ask(same, broken)
    asking.client.ask(same, lambda _value, _error: told.append(2))
    asking.ask("later")
    with pytest.raises(OSError, match="a mistake of the loop's"):
        asking.drive(lambda: bool(told))
    assert told == [1, 2]
    assert str(asking.finish()["later"]).startswith("later by ")


def test_a_place_that_fails_after_a_miss_of_a_backend_is_an_answer(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = [Place("backend store", None, "store"), Place("files", FileSource(tmp_path / "file" / "below"))]
    resolver = Resolver(Chain(places), HelperClient({"store": {}}))
    outcomes: list[tuple[Connection | str | None, WindlassError | None]] = []
    try:
        for key in ("none 1", "none 2"):
            resolver.resolve(Kind.VARIABLE, key, lambda value, error: outcomes.append((value, error)))
        with pytest.raises(SecretsError, match="variable `none 3` cannot be looked up in files: Not a directory"):
            resolver.get_variable("none 3")
    finally:
        resolver.close()
    assert sorted(str(error) for _, error in outcomes) == [
        "variable `none 1` cannot be looked up in files: Not a directory",
        "variable `none 2` cannot be looked up in files: Not a directory",
    ]
