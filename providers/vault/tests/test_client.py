"""Secrets of both versions of the engine, the patience with a Vault that is unwell, and what is said when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from windlass.errors import ConfigError, SecretsError, UsageError
from windlass_testing.fakes.vault import FakeVault
from windlass_vault.client import VaultClient
from windlass_vault.credentials import Credentials

Role = Callable[..., dict[str, str]]
Connect = Callable[..., VaultClient]


def told(ask: Callable[[], object]) -> str:
    with pytest.raises(SecretsError) as caught:
        ask()
    assert caught.value.__cause__ is None
    return str(caught.value)


# --- Secrets


@pytest.mark.parametrize("path", ["db", "team/db", "with space", "naïve/ключ", "100%25", "a?b#c"])
def test_a_secret_at_any_path(connect: Connect, path: str) -> None:
    client = connect()
    client.write_secret(path, {"user": "ada", "ключ": "✓"}, None, None)
    answer = client.read_secret(path)
    assert answer is not None
    assert answer["data"]["data"] == {"user": "ada", "ключ": "✓"}
    old = connect(mount_point="old", kv_engine_version=1)
    old.write_secret(path, {"user": "bob"}, None, None)
    answer = old.read_secret(path)
    assert answer is not None
    assert answer["data"] == {"user": "bob"}


@pytest.mark.parametrize("path", ["", "/", "..", "a/../b", "a//b", "./a", "../config/key"])
def test_no_path_leads_out_of_its_place(vault: FakeVault, connect: Connect, path: str) -> None:
    client = connect()
    for ask in (lambda: client.read_secret(path), lambda: client.write_secret(path, {}, None, None)):
        with pytest.raises(UsageError, match=r"may not be empty, \. or \.\."):
            ask()
    assert vault.seen == []


def test_what_is_missing_deleted_or_destroyed_is_none(vault: FakeVault, connect: Connect) -> None:
    client = connect()
    assert client.read_secret("x") is None
    assert client.read_metadata("x") is None
    vault.write("secret/data/x", data={"n": 1})
    vault.write("secret/data/x", data={"n": 2})
    vault.write("secret/delete/x", versions=[2])
    vault.write("secret/destroy/x", versions=[1])
    assert client.read_secret("x") is None
    assert client.read_secret("x", 1) is None
    assert client.read_secret("x", 9) is None
    assert connect(mount_point="old", kv_engine_version=1).read_secret("x") is None


def test_a_policy_that_lacks_something_is_told_with_what_it_should_say(
    vault: FakeVault, connect: Connect, role: Role
) -> None:
    given = role()
    vault.write("sys/mounts/other", type="kv-v2")
    vault.write("other/data/db", data={"n": 1})
    text = told(lambda: connect(given, mount_point="other").read_secret("team/db"))
    assert text == (
        f"Vault at {vault.url} does not let the approle login read `team/db` in mount `other`: permission denied; give "
        'it a policy with path "other/data/team/db" { capabilities = ["read"] }'
    )
    assert given["secret_id"] not in text
    assert vault.seen.count(("UPDATE", "auth/approle/login")) == 1  # another login would be refused as well
    text = told(lambda: connect(given, mount_point="other").write_secret("db", {"n": 2}, None, None))
    assert 'path "other/data/db" { capabilities = ["create", "update"] }' in text


def test_an_engine_of_the_other_version_is_told_apart_from_a_missing_secret(vault: FakeVault, connect: Connect) -> None:
    assert told(lambda: connect(mount_point="old").read_secret("db")) == (
        f"mount `old` of Vault at {vault.url} is a KV engine of version 1, and it is asked as one of version 2; set "
        "kv_engine_version to 1"
    )
    assert told(lambda: connect(kv_engine_version=1).read_secret("db")).endswith("set kv_engine_version to 2")


def test_the_version_is_asked_for_once_and_not_insisted_on(vault: FakeVault, connect: Connect) -> None:
    client = connect()
    for _ in range(3):
        client.read_secret("x")
    assert [path for _, path in vault.seen].count("sys/internal/ui/mounts/secret") == 1
    vault.write("sys/policies/acl/narrow", policy='path "secret/data/x" { capabilities = ["read"] }')
    vault.faults.order(status=403, errors=["permission denied"], path="sys/internal")
    assert connect({"token": vault.token(policies=["narrow"])}).read_secret("x") is None


def test_a_mount_that_is_not_there_is_told(vault: FakeVault, connect: Connect) -> None:
    text = told(lambda: connect(mount_point="nowhere").read_secret("db"))
    assert text == f"Vault at {vault.url} has no secrets engine at mount `nowhere`; check mount_point"


def test_a_namespace_is_asked_and_named(vault: FakeVault, connect: Connect) -> None:
    vault.write("sys/namespaces/team")
    vault.write("sys/mounts/secret", namespace="team", type="kv-v2")
    vault.write("secret/data/db", namespace="team", data={"n": 2})
    answer = connect(namespace="team").read_secret("db")
    assert answer is not None
    assert answer["data"]["data"] == {"n": 2}
    text = told(lambda: connect(namespace="nobody").read_secret("db"))
    assert text == (
        f"Vault at {vault.url} (namespace nobody) did not log in with token: there is no such namespace; check "
        "namespace"
    )


def test_what_one_version_alone_can_do_is_refused_of_the_other(connect: Connect) -> None:
    old, new = connect(mount_point="old", kv_engine_version=1), connect()
    for ask in (
        lambda: old.read_secret("x", 1),
        lambda: old.read_metadata("x"),
        lambda: old.write_secret("x", {}, None, 1),
        lambda: new.write_secret("x", {}, "PUT", None),
    ):
        with pytest.raises(UsageError, match="kv_engine_version is"):
            ask()


def test_a_version_that_does_not_match_is_told(vault: FakeVault, connect: Connect) -> None:
    client = connect()
    client.write_secret("x", {"n": 1}, None, 0)
    assert told(lambda: client.write_secret("x", {"n": 2}, None, 0)) == (
        f"Vault at {vault.url} did not write `x` in mount `secret`: it answered 400: check-and-set parameter did not "
        "match the current version"
    )


# --- Logins that fail


def test_a_wrong_secret_id_is_told_without_it(vault: FakeVault, connect: Connect, role: Role) -> None:
    given = role() | {"secret_id": "s3cret-id"}
    assert told(connect(given).raw) == (
        f"Vault at {vault.url} refused the approle login at auth/approle: invalid role or secret ID; check role_id and "
        "secret_id, which may have ended or be used up"
    )


def test_a_method_that_is_not_mounted_is_told(vault: FakeVault, connect: Connect) -> None:
    text = told(connect({"auth_type": "approle", "role_id": "r", "secret_id": "s"}).raw)
    assert text.startswith(f"Vault at {vault.url} refused the approle login at auth/approle: ")
    assert text.endswith("and that the method is mounted there, else set auth_mount_point")


def test_a_wrong_kubernetes_role_is_told(vault: FakeVault, connect: Connect, tmp_path: Path) -> None:
    vault.write("sys/auth/kubernetes", type="kubernetes")
    (tmp_path / "jwt").write_text(vault.state.service_accounts.issue("worker"))
    given = {"auth_type": "kubernetes", "kubernetes_role": "nobody", "kubernetes_jwt_path": str(tmp_path / "jwt")}
    text = told(connect(given).raw)
    assert text.startswith(
        f'Vault at {vault.url} refused the kubernetes login at auth/kubernetes: invalid role name "nobody"; check '
    )


def test_vaults_words_are_quoted_without_a_secret(vault: FakeVault, connect: Connect) -> None:
    vault.faults.order(5, status=400, errors=["cannot use hvs.s3cret\n\there"])
    text = told(lambda: connect({"token": "hvs.s3cret"}).read_secret("x"))
    assert "cannot use *** here" in text


@pytest.mark.parametrize("token", ["hvs.s3c\nret", "hvs.s3c\rret", "hvs.s3crét", "hvs.s3c密"])
def test_a_token_that_no_header_can_hold_is_not_shown(vault: FakeVault, connect: Connect, token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect({"token": token}).read_secret("x")
    assert str(caught.value) == (
        f"Vault at {vault.url} was not asked to log in: the token has a character that none can have, for example a "
        "line break; give it again"
    )
    with pytest.raises(ConfigError, match="the namespace of Vault has a character"):
        connect(namespace=token)


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_no_vault_is_told(vault: FakeVault, connect: Connect, role: Role, version: int) -> None:
    client = connect(kv_engine_version=version)
    client.raw()
    vault.faults.order(status=200, errors=["welcome"])
    assert "what it answered holds no secret; check the address" in told(lambda: client.read_values("x"))
    vault.faults.order(status=204)
    assert "what it answered holds no secret; check the address" in told(lambda: client.read_values("x"))
    for status, text in (
        (200, "<h1>welcome</h1>"),
        (404, "<h1>no such service</h1>"),
        (404, '{"message": "not here"}'),
    ):
        vault.faults.order(status=status, text=text, path="secret")
        assert "what it answered holds no secret; check the address" in told(lambda: client.read_values("x"))
    vault.faults.order(status=200)
    assert told(connect(role()).raw).startswith(
        f"Vault at {vault.url} gave no token for the approle login: it wants a "
    )


@pytest.mark.parametrize("text", ["[]", "null", "<h1>oh</h1>", '{"errors": "oh"}', '{"errors": [{"message": "oh"}]}'])
def test_a_failure_of_something_that_is_no_vault_is_told_as_well(vault: FakeVault, connect: Connect, text: str) -> None:
    client = connect()
    client.raw()
    vault.faults.order(status=418, text=text)
    assert "it answered 418" in told(lambda: client.read_secret("x"))


# --- Patience


@pytest.mark.parametrize("status", [412, 429, 472, 473, 500, 502, 503, 504])
def test_a_read_is_tried_again_until_vault_is_well(vault: FakeVault, connect: Connect, status: int) -> None:
    vault.write("secret/data/x", data={"n": 1})
    client = connect()
    vault.faults.order(3, status=status, path="secret/")
    assert client.read_secret("x") is not None
    assert vault.seen.count(("READ", "secret/data/x")) == 4


def test_a_connection_that_breaks_is_made_anew(vault: FakeVault, connect: Connect) -> None:
    vault.write("secret/data/x", data={"n": 1})
    vault.faults.order(2, drop=True)
    assert connect().read_secret("x") is not None


def test_a_login_is_tried_again_too(vault: FakeVault, connect: Connect, role: Role) -> None:
    client = connect(role())
    vault.faults.order(2, status=503, errors=["Vault is sealed"])
    vault.faults.order(1, drop=True)
    assert client.read_secret("x") is None


def test_a_vault_that_restarts_is_waited_for(vault: FakeVault, connect: Connect) -> None:
    import threading

    client = connect()
    client.raw()
    vault.stop()
    back = threading.Timer(0.2, vault.start)
    back.start()
    assert client.read_secret("x") is None
    back.join()


@pytest.mark.parametrize(
    ("ordered", "writes"), [({"status": 503}, 2), ({"status": 429}, 2), ({"status": 500}, 1), ({"drop": True}, 1)]
)
def test_a_write_is_tried_again_only_if_the_first_cannot_have_been_done(
    vault: FakeVault, connect: Connect, ordered: dict[str, Any], writes: int
) -> None:
    client = connect()
    client.raw()
    vault.faults.order(1, path="secret/", **ordered)
    if writes == 1:
        told(lambda: client.write_secret("x", {"n": 1}, None, None))
    else:
        client.write_secret("x", {"n": 1}, None, None)
    assert vault.seen.count(("UPDATE", "secret/data/x")) == writes


def test_what_vault_refuses_is_not_tried_again(vault: FakeVault, connect: Connect) -> None:
    client = connect()
    vault.faults.order(1, status=400, errors=["no"], path="secret/")
    told(lambda: client.read_secret("x"))
    assert vault.seen.count(("READ", "secret/data/x")) == 1


def test_patience_ends_and_the_reason_is_told(vault: FakeVault, connect: Connect) -> None:
    client = connect(patience=0.3)
    client.raw()
    where = f"Vault at {vault.url} did not read `x` in mount `secret`: "
    vault.state.sealed = True
    assert told(lambda: client.read_secret("x")) == where + "it is sealed (503); unseal it"
    vault.state.sealed = False
    vault.state.mode = "standby"
    assert told(lambda: client.read_secret("x")).startswith(where + "no active node answers (503: no active Vault")
    vault.state.mode = "active"
    vault.faults.order(100, status=500, errors=["disk full"])
    assert told(lambda: client.read_secret("x")) == where + "it failed (500: disk full); look at its log"
    vault.faults.clear()
    vault.faults.order(100, status=429, errors=["rate limit quota exceeded"])
    assert "it has too many requests (429: rate limit quota exceeded)" in told(lambda: client.read_secret("x"))


def test_a_vault_that_hangs_costs_no_more_than_the_patience(vault: FakeVault, connect: Connect) -> None:
    client = connect(patience=0.5, timeout=0.2)
    client.raw()
    vault.faults.order(10, delay=5.0)
    begun = time.monotonic()
    text = told(lambda: client.read_secret("x"))
    assert time.monotonic() - begun < 1.5
    assert text == (
        f"Vault at {vault.url} did not answer in time to read `x` in mount `secret`; check that it is well, and the "
        "network to it"
    )
    assert len([path for _, path in vault.seen if path == "secret/data/x"]) >= 2


def test_a_vault_that_is_not_there_is_told(connect: Connect) -> None:
    with FakeVault() as gone:
        url = gone.url
    assert told(lambda: connect({"token": "t"}, url=url, patience=0.2).read_secret("x")) == (
        f"Vault at {url} cannot be reached to log in with token: the connection was refused or its name is not known; "
        "check the address, and that it runs"
    )


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    import ipaddress

    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vault")])
    now = datetime.now(tz=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "vault.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "vault.pem", folder / "key.pem"


def test_a_certificate_is_checked_against_the_authorities_that_are_given(
    connect: Connect, certificate: tuple[Path, Path]
) -> None:
    with FakeVault(certificate=certificate) as vault:
        given = {"token": vault.root_token}
        assert connect(given, url=vault.url, ca_cert=str(certificate[0])).read_secret("x") is None
        assert connect(given, url=vault.url, verify=str(certificate[0])).read_secret("x") is None
        begun = time.monotonic()
        text = told(lambda: connect(given, url=vault.url).read_secret("x"))
        assert time.monotonic() - begun < 1.0  # trying again would not help
        assert text.startswith(f"Vault at {vault.url} cannot be trusted: ")
        assert text.endswith("give the authority's certificate as ca_cert")
        assert ("READ", "secret/data/x") in vault.seen


# --- Arguments


def test_what_cannot_be_is_refused_at_once() -> None:
    given = Credentials(token="t")
    for arguments, sentence in (
        ({"kv_engine_version": 3}, "kv_engine_version of Vault must be 1 or 2, not 3"),
        ({"url": "vault.example:8200"}, "the url of Vault must begin with http:// or https://"),
        ({"ca_cert": "/nowhere.pem"}, "ca_cert '/nowhere.pem' of Vault does not exist"),
        ({"ca_cert": "/nowhere.pem", "verify": False}, "leave one of them out"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            VaultClient(given, **arguments)


def test_the_address_is_the_environments_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "https://vault.example/")
    assert VaultClient(Credentials(token="t")).url == "https://vault.example"
    monkeypatch.delenv("VAULT_ADDR")
    assert VaultClient(Credentials(token="t")).url == "http://localhost:8200"
