"""The suites of windlass-testing, over Vault's own protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from windlass.backends import SecretsBackend
from windlass_testing.conformance import HookSuite, SecretsBackendSuite
from windlass_testing.fakes.vault import FakeVault
from windlass_testing.fixtures import ConnectionLike
from windlass_vault import backend as module
from windlass_vault.backend import VaultBackend
from windlass_vault.hook import VaultHook


class TestVaultHook(HookSuite):
    hook_class = VaultHook

    @pytest.fixture
    def working_connection(self, vault: FakeVault) -> ConnectionLike:
        return vault.url.replace("http://", f"vault://:{vault.root_token}@")

    @pytest.fixture
    def failing_connection(self) -> ConnectionLike:
        return {"conn_type": "vault", "host": "127.0.0.1", "port": 1, "extra": {"timeout": 0.1}}


class TestVaultHookByPassword(TestVaultHook):
    """The password travels in the body here, and the name in the address."""

    @pytest.fixture
    def working_connection(self, vault: FakeVault) -> ConnectionLike:
        vault.write("sys/auth/userpass", type="userpass")
        vault.write("auth/userpass/users/ada", password="p@ss/w", policies="reader")
        return vault.url.replace("http://", "vault://ada:p%40ss%2Fw@") + "?auth_type=userpass"

    @pytest.fixture
    def failing_connection(self, vault: FakeVault) -> ConnectionLike:
        vault.write("sys/auth/userpass", type="userpass")
        host, _, port = vault.url.removeprefix("http://").partition(":")
        extra = {"auth_type": "userpass"}
        return {"conn_type": "vault", "host": host, "port": int(port), "login": "ada", "extra": extra}


class TestVaultBackend(SecretsBackendSuite):
    has_config = True
    credentials = ("hvs.wrong-token", "wrong-secret-id")

    @pytest.fixture(autouse=True)
    def over(self, vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(module, "PATIENCE", 0.3)
        self.vault = vault
        self.made: list[VaultBackend] = []
        yield
        for backend in self.made:
            backend.close()

    def make(self) -> SecretsBackend:
        return self._made(token=self.vault.root_token)

    def _made(self, **arguments: str) -> VaultBackend:
        self.made.append(VaultBackend(**{"url": self.vault.url, **arguments}))  # type: ignore[arg-type]
        return self.made[-1]

    def put_connection(self, conn_id: str, text: str) -> None:
        self.vault.write(f"secret/data/connections/{conn_id}", data={"conn_uri": text})

    def put_variable(self, key: str, text: str) -> None:
        self.vault.write(f"secret/data/variables/{key}", data={"value": text})

    def put_config(self, key: str, text: str) -> None:
        self.vault.write(f"secret/data/config/{key}", data={"value": text})

    def unusable(self) -> Mapping[str, SecretsBackend]:
        self.vault.write("sys/auth/approle", type="approle")
        return {
            "a wrong token": self._made(token="hvs.wrong-token"),
            "a wrong secret id": self._made(auth_type="approle", role_id="r", secret_id="wrong-secret-id"),
            "no Vault": self._made(url="http://127.0.0.1:1", token="hvs.wrong-token"),
            "no such mount": self._made(token=self.vault.root_token, mount_point="nowhere"),
            "another version": self._made(token=self.vault.root_token, kv_engine_version=1),  # type: ignore[arg-type]
        }
