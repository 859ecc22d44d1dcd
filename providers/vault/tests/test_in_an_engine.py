"""Vault behind a running engine: a task gets what is in Vault, and what happens when Vault refuses or is down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from windlass.app.clocks import VirtualClock
from windlass.config import Settings
from windlass.errors import ConnectionNotDefined, SecretsError, VariableNotDefined
from windlass.secrets.chain import Chain, Place
from windlass.secrets.client import HelperClient
from windlass.secrets.resolver import Resolver, resolve_settings
from windlass_testing.fakes.vault import FakeVault
from windlass_testing.live import LiveInstallation

pytestmark = pytest.mark.processes

DAG = """
import os
from windlass import DAG, Variable, task
from windlass.hooks import BaseHook
from windlass_vault.hook import VaultHook

with DAG("ask", schedule=None, is_paused_upon_creation=False):
    @task
    def connection():
        db = BaseHook.get_connection("db")
        print("logging in with", db.password)
        with open(os.environ["LEDGER"], "a") as ledger:
            ledger.write(f"db {db.login}@{db.host} {len(db.password)}\\n")

    @task
    def variable():
        with open(os.environ["LEDGER"], "a") as ledger:
            ledger.write(f"colour {Variable.get('colour')} {Variable.get('shade')}\\n")

    @task
    def hook():
        with open(os.environ["LEDGER"], "a") as ledger:
            secret = VaultHook("my_vault").get_secret("app")
            ledger.write(f"hook {secret['name']}\\n")
        print("signing with", secret["signing"])
        other = VaultHook("my_vault").get_secret_including_metadata("app")["data"]["data"]["other"]
        print("or with", other)

    @task
    def refused():
        BaseHook.get_connection("forbidden")

    connection(), variable(), hook(), refused()
"""

POLICY = """
path "secret/data/*" { capabilities = ["read"] }
path "secret/data/connections/forbidden" { capabilities = ["deny"] }
"""


@pytest.fixture
def arguments(vault: FakeVault) -> dict[str, str]:
    """The backend_kwargs of a role that may read all but one connection."""
    vault.write("sys/policies/acl/windlass", policy=POLICY)
    vault.write("sys/auth/approle", type="approle")
    vault.write("auth/approle/role/engine", token_policies=["windlass"])
    return {
        "url": vault.url,
        "auth_type": "approle",
        "role_id": vault.read("auth/approle/role/engine/role-id")["role_id"],
        "secret_id": vault.write("auth/approle/role/engine/secret-id")["secret_id"],
    }


@pytest.fixture
def installation(tmp_path: Path, arguments: dict[str, str]) -> Iterator[LiveInstallation]:
    made = LiveInstallation(tmp_path)
    made.environ["WINDLASS__SECRETS__BACKEND"] = "vault"
    made.environ["WINDLASS__SECRETS__BACKEND_KWARGS"] = json.dumps(arguments)
    yield made
    made.close()


@pytest.mark.timeout(180)
def test_a_task_gets_connections_and_variables_from_vault_and_a_refusal_is_not_passed_over(
    installation: LiveInstallation, vault: FakeVault, arguments: dict[str, str]
) -> None:
    vault.write("secret/data/connections/db", data={"conn_uri": "postgres://ada:pa55word@vault.example"})
    vault.write("secret/data/connections/my_vault", data=vault_connection(vault))
    vault.write("secret/data/variables/colour", data={"value": "blue"})
    vault.write("secret/data/app", data={"name": "windlass", "signing": "s1gn-1ng/key", "other": {"token": "t0k"}})
    installation.environ["WINDLASS_CONN_DB"] = "postgres://environment"
    installation.environ["WINDLASS_CONN_FORBIDDEN"] = "postgres://environment"
    installation.environ["WINDLASS_VAR_SHADE"] = "light"
    installation.write("ask.py", DAG)
    installation.start()
    installation.wait_for_dag("ask")
    run = installation.wait_for_run("ask", run_id := installation.trigger("ask"), patience=90)
    states = {task["task_id"]: task["state"] for task in run["tasks"]}
    assert states == {"connection": "success", "variable": "success", "hook": "success", "refused": "failed"}, (
        installation.logs()
    )
    assert sorted(map(" ".join, installation.ledger())) == [
        "colour blue light",  # the second is not in Vault, so it is looked for in the environment
        "db ada@vault.example 8",
        "hook windlass",
    ]
    logs = {task_id: installation.windlass("tasks", "logs", "ask", task_id, run_id) for task_id in states}
    assert "logging in with ***" in logs["connection"]
    assert "signing with ***" in logs["hook"]
    assert "or with {'token': '***'}" in logs["hook"]
    refusal = "does not let the approle login read `connections/forbidden` in mount `secret`: permission denied"
    assert refusal in logs["refused"]
    everything = installation.logs() + "".join(logs.values())
    for secret in (arguments["secret_id"], "pa55word", vault.root_token, "s1gn-1ng/key", "'t0k'"):
        assert secret not in everything


def vault_connection(vault: FakeVault, **more: Any) -> dict[str, Any]:
    host, _, port = vault.url.removeprefix("http://").partition(":")
    return {"conn_type": "vault", "host": host, "port": port, "password": vault.root_token, **more}


def test_a_vault_connection_can_be_tested_and_its_fields_are_checked(
    installation: LiveInstallation, vault: FakeVault
) -> None:
    def add(conn_id: str, code: int = 0, **more: Any) -> str:
        text = json.dumps(vault_connection(vault, **more))
        return installation.windlass("connections", "add", conn_id, "--conn-json", text, code=code)

    installation.windlass("db", "migrate")
    add("good")
    assert f"Vault at {vault.url} lets it log in with token" in installation.windlass("connections", "test", "good")
    add("bad", password="hvs.s3cret")
    answer = installation.windlass("connections", "test", "bad", code=1)
    assert (
        f"Vault at {vault.url} (connection `bad`) refuses the token to log in: it has ended, was revoked or is wrong"
        in answer
    )
    assert "hvs.s3cret" not in answer
    assert "auth_type is none of approle, jwt" in add("other", 2, extra={"auth_type": "magic"})
    assert "has no field 'kv_version'" in add("other", 2, extra={"kv_version": 1})


# --- The cache of the core before the backend, with the real helper process


class Lookups(Resolver):
    """A resolver whose only place is Vault, in a helper process, and whose cache goes by the clock of the test."""

    def __init__(self, arguments: dict[str, str]) -> None:
        self.clock = VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))
        chain = Chain([Place("backend vault", None, "vault")], ttl=60.0, now=self.clock.monotonic)
        super().__init__(chain, HelperClient({"vault": arguments}))


@pytest.fixture
def lookups(arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lookups]:
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path))
    made = Lookups(arguments)
    yield made
    made.close()


def reads(vault: FakeVault) -> int:
    return len([path for method, path in vault.seen if method == "READ" and path.startswith("secret/data/")])


def test_answers_are_kept_for_a_while(vault: FakeVault, lookups: Lookups) -> None:
    vault.write("secret/data/connections/db", data={"conn_uri": "postgres://first"})
    vault.write("secret/data/variables/colour", data={"value": "first"})
    vault.write("secret/data/config/key", data={"value": "first"})

    def ask() -> list[str | None]:
        return [lookups.get_connection("db").host, lookups.get_variable("colour"), lookups.get_config("key")]

    assert ask() == ["first"] * 3
    vault.write("secret/data/connections/db", data={"conn_uri": "postgres://second"})
    vault.write("secret/data/variables/colour", data={"value": "second"})
    vault.write("secret/data/config/key", data={"value": "second"})
    lookups.clock.advance(59)
    assert ask() == ["first"] * 3
    assert reads(vault) == 3
    lookups.clock.advance(2)
    assert ask() == ["second"] * 3
    assert reads(vault) == 6


def test_misses_are_kept_too(vault: FakeVault, lookups: Lookups) -> None:
    def ask() -> None:
        with pytest.raises(ConnectionNotDefined, match="looked in: backend vault"):
            lookups.get_connection("new")
        with pytest.raises(VariableNotDefined, match="looked in: backend vault"):
            lookups.get_variable("new")
        assert lookups.get_config("new") is None

    ask()
    ask()
    assert reads(vault) == 3
    vault.write("secret/data/variables/new", data={"value": "there"})
    lookups.clock.advance(61)
    assert lookups.get_variable("new") == "there"


def test_refusals_and_failures_are_not_kept(vault: FakeVault, lookups: Lookups) -> None:
    for _ in range(2):
        with pytest.raises(SecretsError, match="backend vault did not give connection `forbidden`: Vault at"):
            lookups.get_connection("forbidden")
    assert reads(vault) == 2
    vault.write("secret/data/connections/db", data={"conn_uri": "postgres://host"})
    vault.faults.order(status=400, errors=["no such luck"], path="secret/")
    with pytest.raises(SecretsError, match="did not read `connections/db` in mount `secret`: it answered 400: no such"):
        lookups.get_connection("db")
    assert lookups.get_connection("db").host == "host"


def test_a_setting_can_lie_in_vault(
    vault: FakeVault, arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vault.write("secret/data/config/fernet", data={"value": "from Vault"})
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path))
    environ = {
        "WINDLASS_HOME": str(tmp_path),
        "WINDLASS__SECRETS__BACKEND": "vault",
        "WINDLASS__SECRETS__BACKEND_KWARGS": json.dumps(arguments),
        "WINDLASS__CORE__FERNET_KEY_SECRET": "fernet",
    }
    assert resolve_settings(Settings.load(environ=environ, cwd=tmp_path)).core.fernet_key == "from Vault"
