"""How one logs in: what each method needs, and that it works against Vault's own protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from windlass.errors import ConfigError, SecretsError
from windlass_testing.fakes.vault import FakeVault
from windlass_vault.client import VaultClient
from windlass_vault.credentials import AUTH_TYPES, Credentials
from windlass_vault.plugin import windlass_provider

Connect = Callable[..., VaultClient]


def works(client: VaultClient) -> bool:
    return client.read_secret("missing") is None


def test_a_token_is_given_lies_in_a_file_or_in_the_environment(
    vault: FakeVault, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert works(connect({"token": vault.root_token}))
    (tmp_path / "token").write_text(f"{vault.root_token}\n")
    assert works(connect({"token_path": str(tmp_path / "token")}))
    monkeypatch.setenv("VAULT_TOKEN", vault.root_token)
    assert works(connect({"auth_type": "token"}))


def test_the_token_that_somebody_left_in_their_home_is_not_taken(
    vault: FakeVault, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".vault-token").write_text(vault.root_token)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        ConfigError, match="auth_type token of Vault needs token or token_path; give it, or set VAULT_TO"
    ):
        Credentials()
    client = connect({"token": "hvs.other"})
    assert client._raw.token == ""
    with pytest.raises(SecretsError, match="refuses the token"):
        client.read_secret("missing")


def test_approle(connect: Connect, role: Callable[..., dict[str, str]]) -> None:
    assert works(connect(role()))


def test_a_method_may_be_mounted_elsewhere(vault: FakeVault, connect: Connect) -> None:
    vault.write("sys/auth/people/of-eu", type="userpass")
    vault.write("auth/people/of-eu/users/ada", password="p/w", policies="reader")
    given = {"auth_type": "userpass", "auth_mount_point": "people/of-eu", "username": "ada", "password": "p/w"}
    assert works(connect(given))


@pytest.mark.parametrize("method", ["ldap", "userpass"])
@pytest.mark.parametrize("name", ["ada", "ada@example.com", "a/b?c", "Ада"])
def test_userpass_and_ldap_with_any_name(vault: FakeVault, connect: Connect, method: str, name: str) -> None:
    vault.write(f"sys/auth/{method}", type=method)
    vault.write(f"auth/{method}/users/{name}", password="pässwörd", policies="reader")
    assert works(connect({"auth_type": method, "username": name, "password": "pässwörd"}))


@pytest.mark.parametrize("method", ["jwt", "kubernetes"])
def test_kubernetes_and_jwt_read_their_token_anew_at_each_login(
    vault: FakeVault, connect: Connect, tmp_path: Path, method: str
) -> None:
    vault.write(f"sys/auth/{method}", type=method)
    bound = {"bound_service_account_names": "worker", "bound_service_account_namespaces": "jobs"}
    vault.write(f"auth/{method}/role/etl", token_policies=["reader"], **bound)
    file = tmp_path / "jwt"
    client = connect(
        {
            "auth_type": method,
            f"{method}_role": "etl",
            {"jwt": "jwt_token_path"}.get(method, "kubernetes_jwt_path"): str(file),
        }
    )
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        works(client)
    file.write_text(vault.state.service_accounts.issue("worker", "jobs") + "\n")
    assert works(client)


def test_a_jwt_may_be_given_itself(vault: FakeVault, connect: Connect) -> None:
    vault.write("sys/auth/jwt", type="jwt")
    vault.write("auth/jwt/role/etl", token_policies=["reader"])
    jwt = vault.state.service_accounts.issue("worker", "jobs")
    assert works(connect({"auth_type": "jwt", "jwt_role": "etl", "jwt_token": jwt}))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"auth_type": "approle"}, "auth_type approle of Vault needs role_id; give it"),
        ({"auth_type": "userpass", "username": "ada"}, "auth_type userpass of Vault needs password; give it"),
        ({"auth_type": "ldap", "password": "p"}, "auth_type ldap of Vault needs username; give it"),
        ({"auth_type": "kubernetes"}, "auth_type kubernetes of Vault needs kubernetes_role; give it"),
        ({"auth_type": "jwt", "jwt_role": "r"}, "auth_type jwt of Vault needs jwt_token or jwt_token_path; give it"),
        ({"auth_type": "aws_iam"}, "auth_type 'aws_iam' is not supported; choose one of approle, jwt, kubern"),
        ({"auth_type": "token", "token": 5}, "token of Vault must be a text, not int"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Credentials(**given)
    assert str(caught.value).startswith(sentence)


def test_they_do_not_show_themselves() -> None:
    assert repr(Credentials(token="hvs.s3cret")) == "Credentials(auth_type='token')"


def test_the_connection_offers_the_methods_that_there_are() -> None:
    for kind in windlass_provider().connection_types:
        assert {field.name: field for field in kind.fields}["auth_type"].choices == AUTH_TYPES
