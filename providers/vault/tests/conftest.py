"""A Vault to log in to, and clients that wait less than they would in earnest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from windlass_testing.fakes.vault import FakeVault
from windlass_vault.adapter import PatientAdapter
from windlass_vault.client import VaultClient
from windlass_vault.credentials import Credentials

#: What a login by a role may do in these tests.
POLICY = """
path "secret/data/*" { capabilities = ["read", "create", "update"] }
path "secret/metadata/*" { capabilities = ["read"] }
path "old/*" { capabilities = ["read", "create", "update"] }
"""

Connect = Callable[..., VaultClient]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientAdapter, "pause", 0.01)
    for name in ("VAULT_TOKEN", "VAULT_ADDR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vault(fake_vault: FakeVault) -> FakeVault:
    """A Vault with a KV 2 engine at `secret`, a KV 1 engine at `old`, and the policy `reader`."""
    fake_vault.write("sys/mounts/old", type="kv", options={"version": "1"})
    fake_vault.write("sys/policies/acl/reader", policy=POLICY)
    return fake_vault


@pytest.fixture
def role(vault: FakeVault) -> Callable[..., dict[str, str]]:
    """Make an AppRole and return the arguments that log in with it."""

    def make(**arguments: Any) -> dict[str, str]:
        vault.write("sys/auth/approle", type="approle")
        vault.write("auth/approle/role/etl", **{"token_policies": ["reader"], **arguments})
        return {
            "auth_type": "approle",
            "role_id": vault.read("auth/approle/role/etl/role-id")["role_id"],
            "secret_id": vault.write("auth/approle/role/etl/secret-id")["secret_id"],
        }

    return make


@pytest.fixture
def connect(vault: FakeVault) -> Iterator[Connect]:
    """Make a client of the Vault, by default with the root token."""
    made: list[VaultClient] = []

    def make(credentials: dict[str, Any] | None = None, **arguments: Any) -> VaultClient:
        given = {"url": vault.url, "patience": 2.0, **arguments}
        made.append(VaultClient(Credentials(**(credentials or {"token": vault.root_token})), **given))
        return made[-1]

    yield make
    for client in made:
        client.close()
