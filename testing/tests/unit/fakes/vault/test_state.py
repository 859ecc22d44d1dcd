"""What only the fake can do to order: time that passes, states, faults, and a cluster's service accounts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import hvac
import pytest
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, RateLimitExceeded, VaultDown

from windlass.app.clocks import VirtualClock
from windlass_testing.fakes.vault import FakeVault, VaultFailure

Login = Callable[..., hvac.Client]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def timed(clock: VirtualClock) -> Iterator[FakeVault]:
    with FakeVault(clock=clock.now) as vault:
        yield vault


def test_a_token_ends_when_its_time_has_come_unless_it_is_renewed(timed: FakeVault, clock: VirtualClock) -> None:
    client = hvac.Client(timed.url, timed.token(ttl="1h", policies=["default"], explicit_max_ttl="90m"))
    clock.advance(3500)
    client.auth.token.renew_self()
    clock.advance(1000)
    assert client.is_authenticated()
    assert client.auth.token.renew_self()["auth"]["lease_duration"] == 900  # 90 minutes are its longest life
    clock.advance(901)
    with pytest.raises(Forbidden, match="invalid token"):
        client.auth.token.lookup_self()
    client.adapter.close()


def test_a_periodic_token_lives_as_long_as_it_is_renewed(timed: FakeVault, clock: VirtualClock) -> None:
    client = hvac.Client(timed.url, timed.token(period="1h", policies=["default"]))
    for _ in range(2000):  # well beyond the 32 days of other tokens
        clock.advance(3000)
        timed.state.tokens.renew(timed.state.tokens.find(client.token or "") or pytest.fail("it has ended"), 0)
    assert client.is_authenticated()
    clock.advance(3601)
    assert not client.is_authenticated()
    client.adapter.close()


def test_instants_are_written_as_vault_writes_them(timed: FakeVault) -> None:
    written = timed.write("secret/data/db", data={"n": 1})
    assert written["created_time"] == "2026-03-01T00:00:00.000000000Z"


def test_a_secret_id_ends(timed: FakeVault, clock: VirtualClock) -> None:
    timed.write("sys/auth/approle", type="approle")
    timed.write("auth/approle/role/etl", secret_id_ttl="10m")
    role_id = timed.read("auth/approle/role/etl/role-id")["role_id"]
    secret_id = timed.write("auth/approle/role/etl/secret-id")["secret_id"]
    client = hvac.Client(timed.url, "")
    client.auth.approle.login(role_id, secret_id)
    clock.advance(601)
    with pytest.raises(InvalidRequest, match="invalid role or secret ID"):
        client.auth.approle.login(role_id, secret_id)
    client.adapter.close()


# --- Kubernetes


@pytest.fixture
def cluster(vault: FakeVault) -> FakeVault:
    vault.write("sys/auth/kubernetes", type="kubernetes")
    vault.write(
        "auth/kubernetes/role/etl",
        bound_service_account_names="worker",
        bound_service_account_namespaces=["jobs"],
        token_policies=["default"],
        audience="vault",
    )
    return vault


def test_a_service_account_logs_in_with_its_token(cluster: FakeVault, login: Login) -> None:
    jwt = cluster.state.service_accounts.issue("worker", "jobs")
    auth = login("").auth.kubernetes.login("etl", jwt)["auth"]
    assert auth["metadata"]["service_account_name"] == "worker"
    assert auth["policies"] == ["default"]


def test_other_accounts_and_forged_tokens_do_not(cluster: FakeVault, login: Login) -> None:
    issue = cluster.state.service_accounts.issue
    forged = issue("worker", "jobs")[:-4] + "AAAA"
    for jwt, why in (
        (issue("other", "jobs"), "service account name not authorized"),
        (issue("worker", "default"), "namespace not authorized"),
        (issue("worker", "jobs", ttl=-1), "permission denied"),
        (issue("worker", "jobs", audience="other"), "invalid audience"),
        (forged, "permission denied"),
        ("no.jwt", "permission denied"),
    ):
        with pytest.raises(Forbidden, match=why):
            login("").auth.kubernetes.login("etl", jwt)
    with pytest.raises(InvalidRequest, match='invalid role name "other"'):
        login("").auth.kubernetes.login("other", forged)


# --- Namespaces


def test_a_namespace_has_its_own_secrets_and_tokens(vault: FakeVault, login: Login) -> None:
    vault.write("sys/namespaces/team")
    vault.write("sys/mounts/secret", namespace="team", type="kv", options={"version": "2"})
    vault.write("secret/data/db", namespace="team", data={"n": 2})
    vault.write("secret/data/db", data={"n": 1})
    vault.write("sys/policies/acl/reader", namespace="team", policy='path "secret/data/*" { capabilities = ["read"] }')
    token = vault.token(namespace="team", policies=["reader"])
    of_team = login(token, namespace="team")
    found = of_team.secrets.kv.v2.read_secret_version("db", raise_on_deleted_version=True)
    assert found["data"]["data"] == {"n": 2}
    with pytest.raises(Forbidden):
        login(token).secrets.kv.v2.read_secret_version("db", raise_on_deleted_version=True)
    by_path = login().secrets.kv.v2.read_secret_version("db", mount_point="team/secret", raise_on_deleted_version=True)
    assert by_path["data"]["data"] == {"n": 2}
    with pytest.raises(InvalidPath, match="namespace not found"):
        login(namespace="nobody").auth.token.lookup_self()


# --- States and faults


def test_a_sealed_vault_answers_nothing_but_its_health(vault: FakeVault, root: hvac.Client) -> None:
    vault.state.sealed = True
    with pytest.raises(VaultDown, match="Vault is sealed"):
        root.auth.token.lookup_self()
    health = root.sys.read_health_status(method="GET")
    assert isinstance(health, requests.Response)
    assert health.status_code == 503
    assert requests.get(f"{vault.url}/v1/sys/seal-status", timeout=5).json()["sealed"] is True


@pytest.mark.parametrize(("mode", "status"), [("standby", 429), ("performance_standby", 473), ("dr_secondary", 472)])
def test_its_health_tells_what_kind_of_node_it_is(vault: FakeVault, mode: str, status: int) -> None:
    vault.state.mode = mode  # type: ignore[assignment]
    assert requests.get(f"{vault.url}/v1/sys/health", timeout=5).status_code == status


def test_a_standby_node_leads_to_the_active_one(vault: FakeVault, root: hvac.Client) -> None:
    with FakeVault(root_token=vault.root_token) as active:
        active.write("secret/data/db", data={"n": 1})
        vault.state.mode, vault.state.leader = "standby", active.url
        found = root.secrets.kv.v2.read_secret_version("db", version=1, raise_on_deleted_version=True)
        assert found["data"]["data"] == {"n": 1}
    vault.state.leader = ""
    with pytest.raises(VaultDown, match="no active Vault instance found"):
        root.auth.token.lookup_self()


def test_faults_happen_as_often_as_ordered_and_where(vault: FakeVault, root: hvac.Client) -> None:
    vault.faults.order(2, status=429, errors=["request path rate limit exceeded"], path="auth/")
    vault.faults.order(drop=True, path="auth/")
    root.secrets.kv.v2.create_or_update_secret("db", {"n": 1})
    for _ in range(2):
        with pytest.raises(RateLimitExceeded, match="rate limit exceeded"):
            root.auth.token.lookup_self()
    with pytest.raises(requests.ConnectionError):
        root.auth.token.lookup_self()
    assert root.is_authenticated()


def test_an_answer_can_take_long(vault: FakeVault) -> None:
    vault.faults.order(delay=5.0)
    client = hvac.Client(vault.url, vault.root_token, timeout=1)
    client.adapter._kwargs["timeout"] = 0.1  # type: ignore[attr-defined]
    with pytest.raises(requests.Timeout):
        client.auth.token.lookup_self()
    client.adapter.close()


def test_it_goes_down_and_comes_back_with_what_it_held() -> None:
    with FakeVault() as vault:
        client = hvac.Client(vault.url, vault.root_token)
        client.secrets.kv.v2.create_or_update_secret("db", {"n": 1})
        vault.stop()
        with pytest.raises(requests.ConnectionError):
            client.auth.token.lookup_self()
        vault.start()
        assert client.secrets.kv.v2.read_secret_metadata("db")["data"]["current_version"] == 1
        client.adapter.close()


def test_it_serves_many_threads(vault: FakeVault, login: Login) -> None:
    def work(number: int) -> None:
        client = login()
        for turn in range(10):
            client.secrets.kv.v2.create_or_update_secret(f"db-{number}", {"turn": turn})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {vault.read(f"secret/metadata/db-{number}")["current_version"] for number in range(8)} == {10}


def test_a_reset_forgets_everything_but_the_address(vault: FakeVault, root: hvac.Client) -> None:
    vault.write("secret/data/db", data={"n": 1})
    vault.faults.order(status=500)
    url = vault.url
    vault.reset()
    assert vault.url == url
    with pytest.raises(VaultFailure, match="404"):
        vault.read("secret/data/db")
    with pytest.raises(Forbidden):
        root.auth.token.lookup_self()
    assert vault.seen == [("READ", "auth/token/lookup-self")]


# --- As a process


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_as_a_process_that_tells_where_it_is_and_stops_on_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "windlass_testing", "vault"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        facts = json.loads(process.stdout.readline())
        client = hvac.Client(facts["url"], facts["token"])
        assert client.is_authenticated()
        client.adapter.close()
        os.kill(process.pid, number)
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_told_in_a_sentence(vault: FakeVault) -> None:
    port = vault.url.rpartition(":")[2]
    command = [sys.executable, "-m", "windlass_testing", "vault", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr == "the fake cannot listen there: Address already in use; choose another port\n"


def test_a_fake_that_there_is_not_is_refused_by_name() -> None:
    command = [sys.executable, "-m", "windlass_testing", "consul"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert "invalid choice: 'consul' (choose from" in done.stderr


def test_time_goes_by_the_machine_unless_told_otherwise(vault: FakeVault) -> None:
    assert abs(vault.state.now() - time.time()) < 5
