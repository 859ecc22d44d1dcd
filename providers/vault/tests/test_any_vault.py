"""The backend and the hook against a real Vault where there is one: `WINDLASS_TEST_VAULT_URL` with `VAULT_TOKEN`.

Else against the fake; either is set up through Vault's own API.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import hvac
import pytest

from windlass.errors import SecretsError
from windlass.hooks import Connection
from windlass_testing import SetConnection
from windlass_testing.fakes.vault import FakeVault
from windlass_vault.backend import VaultBackend
from windlass_vault.hook import VaultHook

#: Read before other fixtures hide the environment.
URL, TOKEN = os.environ.get("WINDLASS_TEST_VAULT_URL"), os.environ.get("VAULT_TOKEN")


@pytest.fixture
def root(request: pytest.FixtureRequest) -> Iterator[hvac.Client]:
    fake: FakeVault | None = None if URL else request.getfixturevalue("fake_vault")
    client = hvac.Client(URL, TOKEN) if fake is None else hvac.Client(fake.url, fake.root_token)
    yield client
    client.adapter.close()


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_written_into_vault_is_found(root: hvac.Client, connection: SetConnection, version: int) -> None:
    name = f"windlass-{uuid.uuid4().hex[:12]}"
    root.sys.enable_secrets_engine("kv", path=name, options={"version": str(version)})
    part = "data/" if version == 2 else ""
    policy = f'path "{name}/{part}*" {{ capabilities = ["create", "read", "update"] }}'
    root.sys.create_or_update_policy(name, f'{policy}\npath "{name}/{part}variables/no" {{ capabilities = ["deny"] }}')
    root.sys.enable_auth_method("approle", path=name)
    root.auth.approle.create_or_update_approle("etl", token_policies=[name], token_ttl="5m", mount_point=name)
    role_id = root.auth.approle.read_role_id("etl", name)["data"]["role_id"]
    secret_id = root.auth.approle.generate_secret_id("etl", mount_point=name)["data"]["secret_id"]

    place = urlsplit(root.url)
    extra = {"auth_type": "approle", "auth_mount_point": name, "kv_engine_version": version}
    extra["use_tls"] = place.scheme == "https"
    connection(
        "any", conn_type="vault", host=place.hostname, port=place.port, login=role_id, password=secret_id, schema=name,
        extra=extra,
    )  # fmt: skip
    hook = VaultHook("any")
    assert hook.test_connection()[0]
    hook.create_or_update_secret("connections/team/db", {"conn_uri": "postgres://ada:p%2Fw@host/shop"})
    hook.create_or_update_secret("variables/naïve", {"value": "ключ"})
    assert hook.get_secret("variables/naïve") == {"value": "ключ"}
    hook.vault_client.close()

    backend = VaultBackend(
        url=root.url, auth_type="approle", auth_mount_point=name, role_id=role_id, secret_id=secret_id,
        mount_point=name, kv_engine_version=version,
    )  # fmt: skip
    assert backend.get_connection("team/db") == Connection("team/db", "postgres", "host", "ada", "p/w", "shop")
    assert backend.get_variable("naïve") == "ключ"
    assert backend.get_variable("other") is None
    with pytest.raises(SecretsError, match="does not let the approle login read `variables/no`"):
        backend.get_variable("no")
    backend.close()
    with pytest.raises(SecretsError, match=f"set kv_engine_version to {version}"):
        VaultBackend(url=root.url, token=root.token, mount_point=name, kv_engine_version=3 - version).get_variable("x")
