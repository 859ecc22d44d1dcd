"""Connections and variables from Secrets, by label and by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from windlass.errors import SecretsError
from windlass_kubernetes.hook import KubernetesHook
from windlass_kubernetes.secrets_backend import KubernetesSecretsBackend
from windlass_testing.fakes.kubernetes import FakeKubernetes


@pytest.fixture
def config(fake: FakeKubernetes, tmp_path: Path) -> str:
    file = tmp_path / "config"
    file.write_text(json.dumps(fake.kubeconfig()))
    return str(file)


@pytest.fixture(autouse=True)
def _no_secrets_left(fake_hook: KubernetesHook) -> Iterator[None]:
    yield
    fake_hook.client.ask("clean", "DELETE", "/api/v1/namespaces/default/secrets")


def secret(hook: KubernetesHook, name: str, data: dict[str, str], **labels: str) -> None:
    marks = {f"windlass/{key.replace('_', '-')}": value for key, value in labels.items()}
    hook.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": marks}, "stringData": data},
        "default",
    )


def test_a_connection_is_found_by_its_label(fake_hook: KubernetesHook, config: str) -> None:
    secret(fake_hook, "any-name", {"value": "postgres://ada:pw@db/orders"}, connection_id="orders_db")
    found = KubernetesSecretsBackend(config_file=config).get_connection("orders_db")
    assert found is not None
    assert (found.host, found.password) == ("db", "pw")


def test_a_connection_may_be_kept_as_fields(fake_hook: KubernetesHook, config: str) -> None:
    fields = {
        "conn_type": "postgres",
        "host": "db",
        "login": "ada",
        "password": "p:w/ö",
        "port": "5432",
        "extra": '{"a": 1}',
    }
    secret(fake_hook, "fields", fields, connection_id="orders")
    found = KubernetesSecretsBackend(config_file=config).get_connection("orders")
    assert found is not None
    assert (found.password, found.port, found.extra_dejson) == ("p:w/ö", 5432, {"a": 1})


def test_secrets_are_found_by_name_where_a_prefix_is_given(fake_hook: KubernetesHook, config: str) -> None:
    secret(fake_hook, "conn-db", {"value": "postgres://db"})
    secret(fake_hook, "var-colour", {"text": "blue"})
    backend = KubernetesSecretsBackend(config_file=config, connections_prefix="conn-", variables_prefix="var-")
    found = backend.get_connection("db")
    assert found is not None
    assert found.host == "db"
    with pytest.raises(SecretsError, match="variable `colour` in namespace `default` has no key `value`; add it"):
        backend.get_variable("colour")
    by_text = KubernetesSecretsBackend(config_file=config, variables_prefix="var-", data_key="text")
    assert by_text.get_variable("colour") == "blue"
    assert by_text.get_variable("absent") is None


def test_two_secrets_for_one_connection_are_an_error(fake_hook: KubernetesHook, config: str) -> None:
    for name in ("one", "two"):
        secret(fake_hook, name, {"value": "postgres://x"}, connection_id="db")
    with pytest.raises(
        SecretsError, match=r"connection `db` is in several Secrets of namespace `default` \(`one`, `two`\)"
    ):
        KubernetesSecretsBackend(config_file=config).get_conn_value("db")


def test_what_is_not_looked_up_is_not_there(fake_hook: KubernetesHook, config: str) -> None:
    secret(fake_hook, "one", {"value": "x"}, variable_key="v")
    assert KubernetesSecretsBackend(config_file=config, variables_label=None).get_variable("v") is None
    assert KubernetesSecretsBackend(config_file=config, namespace="kube-system").get_variable("v") is None


def test_a_server_that_hiccups_is_asked_again(fake: FakeKubernetes, fake_hook: KubernetesHook, config: str) -> None:
    secret(fake_hook, "one", {"value": "x"}, variable_key="v")
    fake.inject(verb="list", resource="secrets", status=503, times=2)
    assert KubernetesSecretsBackend(config_file=config).get_variable("v") == "x"
