"""The facades only re-export, explicitly and all of it; the bases behind them do what their docstrings say."""

from __future__ import annotations

import ast
import importlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from windlass.backends import Executor, Notifier, SecretsBackend, XComCodec
from windlass.hooks import Connection
from windlass.ports import StopRequest, Workload
from windlass.triggers import BaseTrigger, TriggerEvent

FACADES = ["backends", "hooks", "operators", "plugin", "sensors", "timetables", "triggers"]


@pytest.mark.parametrize("name", FACADES)
def test_a_facade_re_exports_explicitly(name: str) -> None:
    module = importlib.import_module(f"windlass.{name}")
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("windlass"):
            assert all(alias.asname == alias.name for alias in node.names)
            names += [alias.name for alias in node.names]
    assert names
    assert len(names) == len(set(names))
    assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)


class Minimal(Executor):
    def submit(self, workloads: Sequence[Workload]) -> None: ...

    def stop(self, requests: Sequence[StopRequest]) -> None: ...


def test_an_executor_needs_two_methods() -> None:
    executor = Minimal()
    executor.start()
    executor.prepare([])
    executor.close()
    assert executor.parallelism == 0
    assert executor.lost_contact() is False


def test_a_secrets_backend_may_know_texts_or_nothing() -> None:
    class Texts(SecretsBackend):
        def get_conn_value(self, conn_id: str) -> str | None:
            return "pg://h" if conn_id == "db" else None

    assert Texts().get_connection("db") == Connection("db", "pg", "h")
    assert Texts().get_connection("other") is None
    assert Texts().get_variable("db") is None
    assert Texts().get_config("db") is None


def test_a_codec_shows_a_type_by_default() -> None:
    class Complex(XComCodec):
        codec_id = "complex/1"
        type_names = ("builtins.complex",)

        def encode(self, value: complex) -> bytes:
            return str(value).encode()

        def decode(self, data: bytes) -> complex:
            return complex(data.decode())

    assert Complex().decode(Complex().encode(1 + 2j)) == 1 + 2j
    assert Complex().preview(1j) == "<builtins.complex>"


def test_a_notifier_is_a_callback() -> None:
    told: list[Mapping[str, Any]] = []

    class Teller(Notifier):
        def notify(self, context: Mapping[str, Any]) -> None:
            told.append(context)

    Teller()({"run_id": "r"})
    assert told == [{"run_id": "r"}]


def test_a_trigger_yields_events() -> None:
    class Now(BaseTrigger):
        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "x:Now", {}

        async def run(self) -> AsyncIterator[TriggerEvent]:
            yield TriggerEvent({"ok": True})

    async def first() -> TriggerEvent:
        return await anext(Now().run())

    coroutine = first()
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value == TriggerEvent({"ok": True})
    assert ended.value.value != TriggerEvent()
