"""WINDLASS_TRACE_HOOKS: every call of a provider's hooks is a line on stderr, without secrets."""

from __future__ import annotations

import types

import pytest

from windlass.hooks import Connection
from windlass.plugin import hookimpl
from windlass.registry.discovery import load_hooks


def module() -> types.ModuleType:
    made = types.ModuleType("acme_policies")

    @hookimpl
    def connection_policy(connection: Connection, dag_id: str) -> None:
        if dag_id == "forbidden":
            raise PermissionError("not for this DAG")

    made.connection_policy = connection_policy  # type: ignore[attr-defined]
    return made


def call(dag_id: str) -> None:
    connection = Connection("db", conn_type="postgres", password="s3cret", extra={"token": "t0ken"})
    load_hooks(module()).hook.connection_policy(connection=connection, dag_id=dag_id, task_id=None)


def test_a_call_is_a_line_that_names_module_arguments_and_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WINDLASS_TRACE_HOOKS", "1")
    call("etl")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hook of acme_policies: connection_policy(connection=Connection(conn_id='db', ")
    assert line.endswith("dag_id='etl', task_id=None) -> []")
    assert "s3cret" not in line
    assert "t0ken" not in line


def test_what_a_hook_raises_is_told_and_raised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WINDLASS_TRACE_HOOKS", "1")
    with pytest.raises(PermissionError):
        call("forbidden")
    assert capsys.readouterr().err.endswith("-> raised PermissionError('not for this DAG')\n")


@pytest.mark.parametrize("value", ["", "0", None])
def test_nothing_is_printed_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str | None
) -> None:
    monkeypatch.delenv("WINDLASS_TRACE_HOOKS", raising=False)
    if value is not None:
        monkeypatch.setenv("WINDLASS_TRACE_HOOKS", value)
    call("etl")
    assert capsys.readouterr().err == ""
