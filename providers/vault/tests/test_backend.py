"""VaultBackend: connections, variables and settings in Vault, and when the next place is asked instead."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from windlass.errors import ConfigError, SecretsError
from windlass.hooks import Connection
from windlass_testing.fakes.vault import FakeVault
from windlass_vault import backend as module
from windlass_vault.backend import VaultBackend

Make = Callable[..., VaultBackend]


@pytest.fixture
def backend(vault: FakeVault) -> Iterator[Make]:
    """Make a backend that reads from the Vault, by default with the root token."""
    made: list[VaultBackend] = []

    def make(**arguments: Any) -> VaultBackend:
        given = {"url": vault.url, **arguments}
        made.append(VaultBackend(**({"token": vault.root_token} | given if "auth_type" not in given else given)))
        return made[-1]

    yield make
    for entry in made:
        entry.close()


# --- What is there


def test_a_connection_as_a_uri(vault: FakeVault, backend: Make) -> None:
    vault.write("secret/data/connections/db", data={"conn_uri": "postgres://ada:p%2Fw@host:5432/shop"})
    found = backend().get_connection("db")
    assert found == Connection("db", "postgres", "host", "ada", "p/w", "shop", 5432)


@pytest.mark.parametrize("extra", [{"sslmode": "require"}, '{"sslmode": "require"}'])
@pytest.mark.parametrize("port", [5432, "5432"])
def test_a_connection_as_single_fields(vault: FakeVault, backend: Make, extra: object, port: object) -> None:
    fields = {"conn_type": "postgres", "host": "host", "login": "ада", "password": "p/w", "port": port, "extra": extra}
    vault.write("secret/data/connections/db", data={**fields, "description": "the shop"})
    found = backend().get_connection("db")
    assert found == Connection("db", "postgres", "host", "ада", "p/w", None, 5432, {"sslmode": "require"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("blue", "blue"),
        ("", ""),
        (" ключ\n", " ключ\n"),
        (5, "5"),
        (True, "true"),
        ({"a": [1]}, '{"a": [1]}'),
        (None, "null"),
    ],
)
def test_a_variable_and_a_setting(vault: FakeVault, backend: Make, value: object, text: str) -> None:
    vault.write("secret/data/variables/colour", data={"value": value})
    vault.write("secret/data/config/colour", data={"value": value})
    assert backend().get_variable("colour") == text
    assert backend().get_config("colour") == text


def test_everything_of_version_1(vault: FakeVault, backend: Make) -> None:
    vault.write("old/connections/db", conn_uri="postgres://host")
    vault.write("old/variables/colour", value="blue")
    vault.write("old/config/colour", value="red")
    old = backend(mount_point="old", kv_engine_version=1)
    assert old.get_connection("db") == Connection("db", "postgres", "host")
    assert old.get_variable("colour") == "blue"
    assert old.get_config("colour") == "red"
    assert old.get_variable("other") is None


def test_other_paths_and_mounts(vault: FakeVault, backend: Make) -> None:
    vault.write("sys/mounts/kv/team", type="kv-v2")
    vault.write("kv/team/data/windlass/conns/db", data={"conn_uri": "postgres://host"})
    vault.write("kv/team/data/colour", data={"value": "blue"})
    secrets = backend(mount_point="kv/team", connections_path="windlass/conns/", variables_path="")
    assert secrets.get_connection("db") == Connection("db", "postgres", "host")
    assert secrets.get_variable("colour") == "blue"


def test_without_a_mount_the_id_names_it(vault: FakeVault, backend: Make) -> None:
    vault.write("secret/data/variables/team/colour", data={"value": "blue"})
    secrets = backend(mount_point=None)
    assert secrets.get_variable("secret/team/colour") == "blue"
    assert secrets.get_variable("colour") is None


# --- What is not


def test_what_is_missing_or_deleted_is_none(vault: FakeVault, backend: Make) -> None:
    secrets = backend()
    assert secrets.get_connection("db") is None
    assert secrets.get_variable("colour") is None
    assert secrets.get_config("colour") is None
    vault.write("secret/data/variables/colour", data={"value": "blue"})
    vault.write("secret/delete/variables/colour", versions=[1])
    assert secrets.get_variable("colour") is None


def test_a_path_of_none_asks_vault_nothing(vault: FakeVault, backend: Make) -> None:
    secrets = backend(connections_path=None, variables_path=None, config_path=None)
    assert secrets.get_connection("db") is None
    assert secrets.get_variable("colour") is None
    assert secrets.get_config("colour") is None
    assert vault.seen == []


@pytest.mark.parametrize(
    "key", ["../config/fernet_key", "a/../../config/fernet_key", "..", ".", "", "a//b", "/a", "a/"]
)
def test_no_id_leads_to_another_kind_of_secret(vault: FakeVault, backend: Make, key: str) -> None:
    vault.write("secret/data/config/fernet_key", data={"value": "s3cret"})
    secrets = backend()
    for ask in (secrets.get_variable, secrets.get_connection, secrets.get_config):
        assert ask(key) is None
    assert vault.seen == []


def test_what_is_there_and_no_entry_is_an_error_that_quotes_nothing(vault: FakeVault, backend: Make) -> None:
    secrets = backend()
    both = {"conn_uri": "postgres://s3cret@h", "host": "s3cret", "login": "a"}
    for path, data, sentence in (
        (
            "variables/v",
            {"text": "s3cret"},
            "the secret of variable `v` in Vault has no key `value`, where its text belongs",
        ),
        ("variables/v", {}, "the secret of variable `v` in Vault has no key `value`"),
        ("config/v", {"text": "s3cret"}, "the secret of config `v` in Vault has no key `value`"),
        (
            "connections/v",
            both,
            "the secret of connection `v` in Vault has conn_uri and host, login; keep one or the other",
        ),
        ("connections/v", {"conn_uri": "s3cret"}, "connection `v`: a URI looks like type://"),
        ("connections/v", {"loginn": "s3cret"}, "connection `v` has no field 'loginn'; did you mean login?"),
    ):
        vault.write(f"secret/data/{path}", data=data)
        kind = path.partition("/")[0]
        ask = {"variables": secrets.get_variable, "config": secrets.get_config, "connections": secrets.get_connection}[
            kind
        ]
        with pytest.raises(ConfigError) as caught:
            ask("v")
        assert str(caught.value).startswith(sentence)
        assert "s3cret" not in str(caught.value)


# --- When Vault does not answer


def test_a_refusal_raises(vault: FakeVault, backend: Make) -> None:
    vault.write("sys/policies/acl/narrow", policy='path "secret/data/variables/*" { capabilities = ["read"] }')
    secrets = backend(token=vault.token(policies=["narrow"]))
    assert secrets.get_variable("colour") is None
    with pytest.raises(SecretsError, match="does not let the token read `connections/db`"):
        secrets.get_connection("db")


def test_an_outage_raises_within_the_time_of_the_helper(
    vault: FakeVault, backend: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.PATIENCE < 10
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    secrets = backend()
    vault.stop()
    try:
        begun = time.monotonic()
        with pytest.raises(SecretsError, match="cannot be reached"):
            secrets.get_connection("db")
        assert 0.25 < time.monotonic() - begun < 1.5
    finally:
        vault.start()
    assert secrets.get_connection("db") is None


def test_it_is_asked_from_many_threads(vault: FakeVault, backend: Make, role: Callable[..., dict[str, str]]) -> None:
    secrets = backend(**role())
    for number in range(20):
        vault.write(f"secret/data/variables/v{number}", data={"value": str(number)})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda turn: secrets.get_variable(f"v{turn % 20}"), range(200)))
    assert found == [str(turn % 20) for turn in range(200)]
    assert vault.seen.count(("UPDATE", "auth/approle/login")) == 1


# --- Its arguments


def test_an_argument_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"takes no argument 'mountpoint' in .*; did you mean mount_point"):
        VaultBackend(mountpoint="secret")
    with pytest.raises(
        ConfigError, match=r"no argument 'region' in secrets.backend_kwargs; it takes connections_path, "
    ):
        VaultBackend(region="eu")


def test_its_arguments_can_be_written_as_json(vault: FakeVault) -> None:
    text = json.dumps({"url": vault.url, "token": vault.root_token, "verify": False, "ca_cert": None, "timeout": 2})
    made = VaultBackend(**json.loads(text))
    assert made.get_variable("v") is None
    made.close()
