"""Connection policies see who asks, refuse by raising, and hold also when they are broken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from windlass.errors import ConnectionNotDefined, PolicyViolation
from windlass.interfaces.connection import Connection
from windlass.plugin import hookimpl
from windlass.registry import Catalog, PluginModules, Provider, Registry
from windlass.secrets.policies import ConnectionPolicies

DATABASE = Connection("prod", "postgres", host="h", password="s3cret")


def policies(monkeypatch: pytest.MonkeyPatch, policy: Callable[..., None]) -> ConnectionPolicies:
    module = ModuleType("acme_policies")
    module.connection_policy = hookimpl(policy)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_policies", module)
    provider = Provider(name="acme", policies=("acme_policies",))
    return ConnectionPolicies(PluginModules(Registry(lambda: Catalog((provider,), ())), "policies"))


def test_a_policy_is_told_who_asks_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def note(connection: Connection, dag_id: str, task_id: str | None) -> None:
        asked.append((connection, dag_id, task_id))

    made = policies(monkeypatch, note)
    made.check(DATABASE, "sales", "load")
    made.check(DATABASE, "", None)
    assert asked == [(DATABASE, "sales", "load"), (DATABASE, "", None)]


def test_its_own_error_is_what_the_task_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: Connection) -> None:
        raise PolicyViolation(f"{connection.conn_id} is for the night shift")

    with pytest.raises(PolicyViolation, match=r"^prod is for the night shift$"):
        policies(monkeypatch, refuse).check(DATABASE, "sales", "load")

    def blab(connection: Connection) -> None:
        raise PolicyViolation(f"not with {connection.password}")

    with pytest.raises(PolicyViolation, match=r"^not with \*\*\*$"):
        policies(monkeypatch, blab).check(DATABASE, "sales", "load")

    def hide(connection: Connection) -> None:
        raise ConnectionNotDefined("there is no such connection")

    with pytest.raises(ConnectionNotDefined):
        policies(monkeypatch, hide).check(DATABASE, "sales", "load")


def test_a_policy_that_fails_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(dag_id: str) -> None:
        raise IndexError(dag_id)

    with pytest.raises(PolicyViolation, match=r"'prod' is refused.*provider acme failed: IndexError: sales"):
        policies(monkeypatch, fail).check(DATABASE, "sales", "load")


def test_a_policy_that_cannot_be_loaded_refuses() -> None:
    provider = Provider(name="acme", policies=("no_such_module_of_acme",))
    made = ConnectionPolicies(PluginModules(Registry(lambda: Catalog((provider,), ())), "policies"))
    with pytest.raises(PolicyViolation, match=r"'prod' is not given out.*provider acme .*cannot be loaded"):
        made.check(DATABASE, "sales", "load")
