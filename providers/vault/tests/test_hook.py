"""VaultHook: what a connection says, what its methods return, and how it is tested."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.errors import ConfigError, SecretsError, UsageError
from windlass.hooks import Connection
from windlass.registry import registry
from windlass_testing import SetConnection
from windlass_testing.fakes.vault import FakeVault
from windlass_vault.credentials import Credentials
from windlass_vault.hook import VaultHook

Make = Callable[..., VaultHook]


@pytest.fixture
def hook(vault: FakeVault, connection: SetConnection) -> Iterator[Make]:
    """Make a hook for a connection to the Vault, by default with the root token, and with these parts of the extra."""
    made: list[VaultHook] = []

    def make(arguments: dict[str, Any] | None = None, **fields: Any) -> VaultHook:
        host, _, port = vault.url.removeprefix("http://").partition(":")
        own: dict[str, Any] = {
            name: fields.pop(name) for name in ("conn_type", "login", "password", "schema") if name in fields
        }
        given: dict[str, Any] = {
            "conn_type": "vault",
            "host": host,
            "port": int(port),
            "password": vault.root_token,
            **own,
        }
        connection("my_vault", extra=fields or None, **given)
        made.append(VaultHook("my_vault", **(arguments or {})))
        return made[-1]

    yield make
    for entry in made:
        if "vault_client" in entry.__dict__:
            entry.vault_client.close()


# --- Its methods


def test_a_secret_and_its_versions(hook: Make) -> None:
    secrets = hook()
    assert secrets.get_secret("team/db") is None
    assert secrets.create_or_update_secret("team/db", {"user": "ada"})["data"]["version"] == 1
    secrets.create_or_update_secret("team/db", {"user": "bob"}, cas=1)
    assert secrets.get_secret("team/db") == {"user": "bob"}
    assert secrets.get_secret("team/db", secret_version=1) == {"user": "ada"}
    whole = secrets.get_secret_including_metadata("team/db", 1)
    assert whole is not None
    assert whole["data"]["data"] == {"user": "ada"}
    assert whole["data"]["metadata"]["version"] == 1
    about = secrets.get_secret_metadata("team/db")
    assert about is not None
    assert about["data"]["current_version"] == 2
    with pytest.raises(SecretsError, match="check-and-set parameter did not match the current version"):
        secrets.create_or_update_secret("team/db", {}, cas=1)


def test_a_secret_of_version_1(hook: Make) -> None:
    secrets = hook(schema="old", kv_engine_version="1")
    for method in (None, "POST", "put"):
        secrets.create_or_update_secret("db", {"user": str(method)}, method=method)
        assert secrets.get_secret("db") == {"user": str(method)}
    for ask in (secrets.get_secret_metadata, secrets.get_secret_including_metadata):
        with pytest.raises(UsageError, match="only KV version 2 keeps the metadata of a secret"):
            ask("db")


def test_every_secret_comes_back_as_it_was(hook: Make) -> None:
    secrets = hook()
    values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=5)

    @settings(max_examples=50, deadline=None)
    @given(st.dictionaries(st.text(), values))
    def check(secret: dict[str, Any]) -> None:
        secrets.create_or_update_secret("any", secret)
        assert secrets.get_secret("any") == secret

    check()


def test_the_raw_client_is_hvacs(hook: Make) -> None:
    client = hook().get_conn()
    assert client.is_authenticated()
    assert client.secrets.kv.v2.list_secrets  # type: ignore[truthy-function]


# --- What a connection says


def test_login_and_password_are_what_the_method_takes(
    vault: FakeVault, hook: Make, role: Callable[..., dict[str, str]]
) -> None:
    ids = role()
    assert hook(auth_type="approle", login=ids["role_id"], password=ids["secret_id"]).get_secret("x") is None
    in_extra = hook(auth_type="approle", role_id=ids["role_id"], password=ids["secret_id"])
    assert in_extra.get_secret("x") is None
    given = hook({"auth_type": "approle", "role_id": ids["role_id"]}, login="other", password=ids["secret_id"])
    assert given.get_secret("x") is None
    vault.write("sys/auth/userpass", type="userpass")
    vault.write("auth/userpass/users/ada", password="p/w", policies="reader")
    assert hook(auth_type="userpass", login="ada", password="p/w").get_secret("x") is None


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("vault://vault.example", "http://vault.example"),
        ("vault://vault.example:8200", "http://vault.example:8200"),
        ("vaults://vault.example:8200", "https://vault.example:8200"),
        ("vault://vault.example:8200?use_tls=true", "https://vault.example:8200"),
        ("vaults://vault.example?use_tls=False", "http://vault.example"),
        ("vault://https://vault.example:8200", "https://vault.example:8200"),
        ("vault://[::1]:8200", "http://[::1]:8200"),
    ],
)
def test_the_address(connection: SetConnection, uri: str, url: str) -> None:
    before, slashes, behind = uri.rpartition("://")
    connection("v", f"{before}{slashes}:token@{behind}")
    assert VaultHook("v").vault_client.url == url


def test_a_connection_of_airflows_type_finds_the_hook() -> None:
    assert registry().hook_class("vaults") is VaultHook


def seen(hook: VaultHook) -> dict[str, object]:
    client = hook.vault_client
    return {"mount": client.mount_point, "version": client.kv_engine_version}


def test_the_mount_is_the_schema_or_stands_in_the_extra_and_an_argument_wins(hook: Make) -> None:
    assert seen(hook()) == {"mount": "secret", "version": 2}
    assert seen(hook(schema="kv/team")) == {"mount": "kv/team", "version": 2}
    assert seen(hook(schema="kv", mount_point="more", kv_engine_version=1)) == {"mount": "more", "version": 1}
    arguments = {"mount_point": "most", "kv_engine_version": 2}
    assert seen(hook(arguments, mount_point="more", kv_engine_version=1)) == {"mount": "most", "version": 2}


def test_airflows_client_kwargs_are_read_one_by_one(vault: FakeVault, hook: Make) -> None:
    vault.write("sys/namespaces/team")
    vault.write("sys/mounts/secret", namespace="team", type="kv-v2")
    vault.write("secret/data/db", namespace="team", data={"n": 2})
    assert hook(client_kwargs={"namespace": "team", "token": "other"}).get_secret("db") == {"n": 2}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"auth_type": "approle"}, "auth_type approle of Vault needs role_id"),
        ({"auth_type": "magic"}, "auth_type 'magic' is not supported"),
        ({"password": None}, "auth_type token of Vault needs token or token_path"),
        ({"kv_engine_version": "two"}, "kv_engine_version must be a number above 0, and 'two' is none"),
        ({"kv_engine_version": "3"}, "kv_engine_version of Vault must be 1 or 2, not 3"),
        ({"timeout": -1}, "timeout must be a number above 0, and -1 is none"),
        ({"ca_cert": "/nowhere.pem"}, "ca_cert '/nowhere.pem' of Vault does not exist"),
    ],
)
def test_a_connection_that_cannot_be_is_named_with_what_is_wrong(
    hook: Make, fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        hook(**fields).get_conn()
    assert str(caught.value).startswith(f"connection `my_vault`: {sentence}")


def test_a_field_that_is_not_declared_is_warned_of(hook: Make, caplog: pytest.LogCaptureFixture) -> None:
    assert hook(kv_engine_versoin="s3cret").connection.conn_type == "vault"
    assert "has no field 'kv_engine_versoin'; did you mean 'kv_engine_version'?" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_connection_without_a_host_is_told(connection: SetConnection) -> None:
    connection("v", conn_type="vault", password="t")
    with pytest.raises(ConfigError, match="connection `v`: it has no host"):
        VaultHook("v").get_conn()


def test_an_argument_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="VaultHook takes no argument radius_host"):
        VaultHook("v", radius_host="h")
    assert VaultHook(vault_conn_id="v").vault_conn_id == "v"  # type: ignore[attr-defined]
    assert VaultHook(conn_id="v").vault_conn_id == "v"  # type: ignore[attr-defined]
    assert VaultHook().vault_conn_id == "vault_default"  # type: ignore[attr-defined]


# --- Its test


def test_its_test_logs_in(hook: Make, vault: FakeVault, role: Callable[..., dict[str, str]]) -> None:
    assert hook().test_connection() == (True, f"Vault at {vault.url} lets it log in with token")
    ids = role()
    found = hook(auth_type="approle", login=ids["role_id"], password=ids["secret_id"]).test_connection()
    assert found == (True, f"Vault at {vault.url} lets it log in with approle")


def test_its_test_says_what_is_wrong(hook: Make, vault: FakeVault) -> None:
    works, message = hook(password="hvs.s3cret").test_connection()
    assert not works
    assert message == (
        f"Vault at {vault.url} (connection `my_vault`) refuses the token to log in: it has ended, was revoked or is "
        "wrong, or it lacks even the policy default; make another token and give that one"
    )
    works, message = hook(schema="old").test_connection()
    assert not works
    assert "set kv_engine_version to 1" in message
    vault.faults.order(1000, status=500, errors=["disk full"], path="sys/")
    works, message = hook(timeout=0.1).test_connection()
    assert not works
    assert "did not tell what is mounted: it failed (500: disk full)" in message
    vault.faults.clear()
    vault.faults.order(1000, status=503, errors=["Vault is sealed"])
    works, message = hook(timeout=0.1).test_connection()
    assert not works
    assert "it is sealed (503); unseal it" in message


# --- What it costs


@pytest.mark.budget
def test_importing_the_hook_imports_no_sdk() -> None:
    code = "import sys, windlass_vault.hook; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "windlass_vault.hook" in done.stdout.split()
    assert not {"hvac", "requests"} & set(done.stdout.split())


def test_a_hook_shows_no_secret() -> None:
    made = Connection("v", "vault", "h", password="s3cret")
    assert "s3cret" not in repr(made)
    assert "s3cret" not in repr(Credentials(auth_type="userpass", username="a", password="s3cret"))
