"""The child's end of the pipe, against a test that plays the supervisor."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from windlass.errors import (
    Conflict,
    ConnectionNotDefined,
    ContextUnavailable,
    NotFound,
    ProtocolError,
    SecretsError,
    VariableNotDefined,
    WindlassError,
)
from windlass.protocol import (
    Finish,
    FrameReader,
    GetConnection,
    Hello,
    Mask,
    Outcome,
    Progress,
    Rendered,
    Reply,
    Request,
    Variable,
    Verb,
    XComInfo,
    XComSet,
    XComValue,
    decode_request,
    encode,
    frame,
)
from windlass.runtime.child import PipeSession, RecordHandler, error_of

XCOM = XComSet(key="return_value", value=XComValue(codec="json", data=b"1"))
FINISH = Finish(outcome=Outcome.SUCCESS, started_at=datetime.now(UTC), ended_at=datetime.now(UTC))


class Supervisor:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._reader = FrameReader()

    def arrived(self) -> list[Request]:
        """Return what has come in by now, read in one go: one write of the child is one piece."""
        if not select.select([self.sock], [], [], 0)[0]:
            return []
        return [decode_request(payload) for payload in self._reader.feed(self.sock.recv(1 << 20))]

    def answer(self, number: int, result: object = None, error: str | None = None, code: str | None = None) -> None:
        self.sock.sendall(frame(encode(Reply(number, result, error, code))))


@pytest.fixture
def pipe() -> Iterator[tuple[PipeSession, Supervisor]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        yield PipeSession(theirs), Supervisor(ours)


def test_the_last_words_leave_in_one_write(pipe: tuple[PipeSession, Supervisor]) -> None:
    session, supervisor = pipe
    session.tell(Rendered(fields={"sql": "select 1"}))
    session.tell(XCOM)
    assert supervisor.arrived() == []
    session.end(FINISH)
    requests = supervisor.arrived()
    assert [type(request.verb) for request in requests] == [Rendered, XComSet, Finish]
    assert {request.id for request in requests} == {0}


@pytest.mark.parametrize("verb", [Mask(values=["x"]), Progress(fraction=0.5)])
def test_what_must_be_known_at_once_leaves_at_once_after_what_was_told_before(
    pipe: tuple[PipeSession, Supervisor], verb: Verb
) -> None:
    session, supervisor = pipe
    session.tell(XCOM)
    session.tell(verb)
    assert [request.verb for request in supervisor.arrived()] == [XCOM, verb]


def test_a_question_takes_along_what_was_told_and_gets_its_answer(pipe: tuple[PipeSession, Supervisor]) -> None:
    session, supervisor = pipe
    session.tell(XCOM)
    supervisor.answer(1, {"count": 2})
    assert session.ask(XComInfo(task_id="t")) == {"count": 2}
    assert [request.id for request in supervisor.arrived()] == [0, 1]


def test_hello_without_an_answer_means_that_there_is_nothing_to_do(pipe: tuple[PipeSession, Supervisor]) -> None:
    session, supervisor = pipe
    supervisor.sock.shutdown(socket.SHUT_WR)
    assert session.hello() is None
    assert [request.verb for request in supervisor.arrived()] == [Hello(pid=os.getpid())]


def test_a_supervisor_that_goes_away_is_an_error(pipe: tuple[PipeSession, Supervisor]) -> None:
    session, supervisor = pipe
    supervisor.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ProtocolError, match="closed the connection"):
        session.ask(XComInfo(task_id="t"))


@pytest.mark.parametrize(
    ("verb", "code", "kind"),
    [
        (GetConnection(conn_id="x"), "not-found", ConnectionNotDefined),
        (Variable(op="get", key="x"), "not-found", VariableNotDefined),
        (XComInfo(task_id="x"), "not-found", NotFound),
        (XComInfo(task_id="x"), "conflict", Conflict),
        (GetConnection(conn_id="x"), "secrets", SecretsError),
        (XComInfo(task_id="x"), "unheard-of", ProtocolError),
        (XComInfo(task_id="x"), None, ProtocolError),
    ],
)
def test_an_error_is_raised_as_what_it_is(verb: Verb, code: str | None, kind: type[WindlassError]) -> None:
    error = error_of(verb, "why", code)
    assert (type(error), str(error)) == (kind, "why")


def test_a_process_that_the_task_forked_may_not_speak_for_it(pipe: tuple[PipeSession, Supervisor]) -> None:
    session, supervisor = pipe
    session.owner = os.getpid() + 1
    with pytest.raises(ContextUnavailable, match="a process started by the task"):
        session.ask(XComInfo(task_id="t"))
    with pytest.raises(ContextUnavailable):
        session.tell(XCOM)
    assert supervisor.arrived() == []


def test_logging_records_are_json_behind_a_record_separator(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr("windlass.runtime.child.write_all", lambda _, data: written.append(data))
    logger = logging.Logger("etl")  # noqa: LOG001 - one that no other test sees
    logger.addHandler(RecordHandler())
    try:
        int("no")
    except ValueError:
        logger.exception("failed for %s", "x\ny")
    (line,) = written
    assert line[:1] == b"\x1e"
    assert line.count(b"\n") == 1
    record = json.loads(line[1:])
    assert (record["level"], record["logger"], record["msg"]) == ("ERROR", "etl", "failed for x\ny")
    assert record["exc"].endswith("ValueError: invalid literal for int() with base 10: 'no'")
    assert datetime.fromisoformat(record["ts"]).tzinfo is not None


@pytest.mark.budget
def test_a_zygote_imports_nothing_heavy() -> None:
    code = (
        "import sys, windlass.runtime.zygote, windlass.runtime.attempt, windlass.authoring\n"
        "windlass.runtime.attempt.preload()\n"
        "heavy = {'sqlalchemy', 'jinja2', 'pluggy', 'asyncio', 'ssl', 'importlib.metadata', 'argparse'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
