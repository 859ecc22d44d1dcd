"""What the secrets backends find in Secrets Manager and in the Parameter Store."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from windlass.errors import ConfigError
from windlass_aws.failures import AwsConfigError, AwsError
from windlass_aws.secrets import SecretsManagerBackend, SystemsManagerParameterStoreBackend

KEYS = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}


class Store:
    """One of the two stores, with a prefix of this test's own."""

    def __init__(self, kind: type, url: str) -> None:
        self.kind = kind
        self.prefix = f"/test-{uuid4().hex}"
        self.arguments = {
            **KEYS,
            "endpoint_url": url,
            "connections_prefix": f"{self.prefix}/connections",
            "variables_prefix": f"{self.prefix}/variables",
            "config_prefix": f"{self.prefix}/config",
        }
        self._client = boto3.client(kind.service, endpoint_url=url, **KEYS)  # type: ignore[attr-defined]

    def put(self, name: str, text: str) -> None:
        if self.kind is SecretsManagerBackend:
            self._client.create_secret(Name=f"{self.prefix}/{name}", SecretString=text)
        else:
            self._client.put_parameter(Name=f"{self.prefix}/{name}", Value=text, Type="SecureString")

    def backend(self, **arguments: Any) -> Any:
        return self.kind(**{**self.arguments, **arguments})


@pytest.fixture(params=[SecretsManagerBackend, SystemsManagerParameterStoreBackend], ids=["manager", "parameters"])
def store(request: pytest.FixtureRequest, moto_url: str) -> Iterator[Store]:
    made = Store(request.param, moto_url)
    yield made
    made._client.close()


def test_connections_variables_and_configuration_are_found(store: Store) -> None:
    store.put("connections/db", "postgres://ada:pässword@host/db")
    store.put("variables/colour", "blau 🎨")
    store.put("config/fernet", "key")
    backend = store.backend()
    found = backend.get_connection("db")
    assert (found.conn_type, found.login, found.password) == ("postgres", "ada", "pässword")
    assert backend.get_variable("colour") == "blau 🎨"
    assert backend.get_config("fernet") == "key"


def test_a_connection_may_be_json(store: Store) -> None:
    store.put("connections/db", json.dumps({"conn_type": "mysql", "host": "h", "extra": {"a": 1}}))
    found = store.backend().get_connection("db")
    assert (found.conn_type, found.host, found.extra_dejson) == ("mysql", "h", {"a": 1})


def test_what_is_not_there_is_a_miss(store: Store) -> None:
    backend = store.backend()
    assert backend.get_connection("none") is None
    assert backend.get_variable("none") is None
    assert backend.get_config("none") is None


def test_a_pattern_and_a_prefix_of_none_save_requests(store: Store) -> None:
    store.put("variables/app_x", "1")
    down = {"endpoint_url": "http://127.0.0.1:1"}
    asked_not = store.backend(**down, variables_lookup_pattern="^app_", connections_prefix=None)
    assert asked_not.get_variable("other") is None
    assert asked_not.get_connection("db") is None
    assert store.backend(variables_lookup_pattern="app_").get_variable("app_x") == "1"


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException"])
def test_a_refusal_is_no_miss(store: Store, proxy: Any, code: str) -> None:
    body = json.dumps({"__type": code, "message": "secret-in-message"}).encode()
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {len(body)}"
    proxy.answers.append(head.encode() + b"\r\nConnection: close\r\n\r\n" + body)
    with pytest.raises(AwsError, match=f"the identity of the secrets backend: .*{code}") as caught:
        store.backend(endpoint_url=proxy.url).get_variable("x")
    assert "secret-in-message" not in str(caught.value)


def test_a_store_that_is_down_is_no_miss(store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = {"retries": {"total_max_attempts": 1}}
    with pytest.raises(AwsError, match=f"the endpoint http://127.0.0.1:{port} cannot be reached"):
        store.backend(endpoint_url=f"http://127.0.0.1:{port}", config_kwargs=config).get_variable("x")


def test_without_credentials_the_lookup_says_so(store: Store) -> None:
    with pytest.raises(AwsConfigError, match="no credentials come from the identity of the secrets backend"):
        store.backend(aws_access_key_id=None, aws_secret_access_key=None).get_variable("x")


def test_several_threads_may_ask(store: Store) -> None:
    store.put("variables/x", "1")
    backend = store.backend()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(backend.get_variable("x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1"] * 8


def test_an_argument_that_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"takes no argument 'profil_name'; it takes .*profile_name"):
        store.backend(profil_name="x")
    with pytest.raises(ConfigError, match="no regular expression"):
        store.backend(variables_lookup_pattern="(")


# --- Secrets Manager alone


@pytest.fixture
def manager(moto_url: str) -> Store:
    return Store(SecretsManagerBackend, moto_url)


def test_the_secret_of_a_database_is_a_connection(manager: Store) -> None:
    said = {"engine": "postgres", "username": "ada", "password": "x", "host": "h", "port": 5432, "dbname": "d"}
    manager.put("connections/rds", json.dumps({**said, "dbInstanceIdentifier": "db-1"}))
    found = manager.backend().get_connection("rds")
    assert found.to_fields() | {"extra": None} == {
        "conn_type": "postgres",
        "host": "h",
        "login": "ada",
        "password": "x",
        "schema": "d",
        "port": 5432,
        "extra": None,
    }
    assert found.extra_dejson == {"dbInstanceIdentifier": "db-1"}


def test_fields_may_have_names_of_ones_own(manager: Store) -> None:
    manager.put("connections/api", json.dumps({"conn_type": "http", "account": "ada", "host": "h"}))
    assert manager.backend(extra_conn_words={"login": ["account"]}).get_connection("api").login == "ada"
    with pytest.raises(ConfigError, match="names no field 'user'"):
        manager.backend(extra_conn_words={"user": ["account"]})


def test_a_binary_secret_is_text_in_utf_8(manager: Store) -> None:
    manager._client.create_secret(Name=f"{manager.prefix}/variables/bin", SecretBinary="grün".encode())
    assert manager.backend().get_variable("bin") == "grün"


def test_a_secret_marked_for_deletion_is_no_miss(manager: Store) -> None:
    manager.put("variables/old", "1")
    manager._client.delete_secret(SecretId=f"{manager.prefix}/variables/old")
    with pytest.raises(AwsError, match="InvalidRequestException"):
        manager.backend().get_variable("old")


def test_the_separator_can_be_chosen(manager: Store) -> None:
    manager.put("variables-colour", "blue")
    assert manager.backend(sep="-").get_variable("colour") == "blue"
    assert manager.backend(variables_prefix="").get_variable(f"{manager.prefix}/variables-colour") == "blue"
