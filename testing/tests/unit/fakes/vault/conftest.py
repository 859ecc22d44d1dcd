"""hvac, the client that everybody uses, logged in as root."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import hvac
import pytest

from windlass_testing.fakes.vault import FakeVault

Login = Callable[..., hvac.Client]


@pytest.fixture
def vault(fake_vault: FakeVault) -> FakeVault:
    return fake_vault


@pytest.fixture
def login(vault: FakeVault) -> Iterator[Login]:
    """Return a client of the fake with a token, by default the root token."""
    made: list[hvac.Client] = []

    def make(token: str | None = None, namespace: str | None = None) -> hvac.Client:
        made.append(hvac.Client(vault.url, vault.root_token if token is None else token, namespace=namespace))
        return made[-1]

    yield make
    for client in made:
        client.adapter.close()


@pytest.fixture
def root(login: Login) -> hvac.Client:
    return login()


@pytest.fixture
def real_or_fake(request: pytest.FixtureRequest) -> Iterator[hvac.Client]:
    """A client with the root token of the Vault at `WINDLASS_TEST_VAULT_URL` (and `VAULT_TOKEN`), else of the fake."""
    url = os.environ.get("WINDLASS_TEST_VAULT_URL")
    fake: FakeVault | None = None if url else request.getfixturevalue("fake_vault")
    client = hvac.Client(url, os.environ["VAULT_TOKEN"]) if fake is None else hvac.Client(fake.url, fake.root_token)
    yield client
    client.adapter.close()


@pytest.fixture
def mount() -> str:
    """A name that no other test uses, since a real Vault keeps what tests leave."""
    return f"windlass-{uuid.uuid4().hex[:12]}"
