"""The token: renewed before it ends, replaced when it cannot be, by one of many threads, even if nothing is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windlass.app.clocks import VirtualClock
from windlass.errors import SecretsError
from windlass_testing.fakes.vault import FakeVault
from windlass_vault.client import VaultClient
from windlass_vault.credentials import Credentials
from windlass_vault.keeper import Lease

Role = Callable[..., dict[str, str]]
Connect = Callable[..., VaultClient]

LOGIN = ("UPDATE", "auth/approle/login")
RENEWAL = ("UPDATE", "auth/token/renew-self")
READ = ("READ", "secret/data/x")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def fake_vault(clock: VirtualClock) -> Iterator[FakeVault]:
    """A Vault that lives by the clock of the test, as the client does."""
    with FakeVault(clock=clock.now) as made:
        yield made


def test_a_lease_is_due_when_a_third_is_left() -> None:
    lease = Lease(ttl=90.0, renewable=True, since=100.0)
    assert not lease.is_due(159.0)
    assert lease.is_due(160.0)
    assert not Lease(ttl=0.0, renewable=False, since=100.0).is_due(1e9)


def test_it_logs_in_once_for_many_questions(vault: FakeVault, connect: Connect, role: Role) -> None:
    client = connect(role())
    for _ in range(3):
        client.read_secret("x")
    assert vault.seen.count(LOGIN) == 1


def test_the_token_is_renewed_before_it_ends(
    vault: FakeVault, connect: Connect, role: Role, clock: VirtualClock
) -> None:
    client = connect(role(token_ttl="1h", token_max_ttl="10h"), now=clock.monotonic)
    client.read_secret("x")
    clock.advance(2300)  # less than two thirds of an hour
    client.read_secret("x")
    assert RENEWAL not in vault.seen
    clock.advance(200)
    client.read_secret("x")
    assert vault.seen.count(RENEWAL) == 1
    clock.advance(2300)  # by now the first hour is over
    client.read_secret("x")
    assert vault.seen.count(LOGIN) == 1


def test_it_logs_in_again_when_a_renewal_gains_nothing_any_more(
    vault: FakeVault, connect: Connect, role: Role, clock: VirtualClock
) -> None:
    client = connect(role(token_ttl="1h", token_max_ttl="65m"), now=clock.monotonic)
    client.read_secret("x")
    clock.advance(55 * 60)
    client.read_secret("x")
    assert vault.seen.count(RENEWAL) == 1  # ten minutes are all that is left of the longest life
    assert vault.seen.count(LOGIN) == 2
    vault.seen.clear()
    client.read_secret("x")
    assert vault.seen[0] == READ


def test_it_logs_in_again_before_a_token_ends_that_cannot_be_renewed(
    vault: FakeVault, connect: Connect, role: Role, clock: VirtualClock
) -> None:
    client = connect(role(token_ttl="1h", token_type="batch"), now=clock.monotonic)
    client.read_secret("x")
    clock.advance(3000)
    client.read_secret("x")
    assert RENEWAL not in vault.seen
    assert vault.seen.count(LOGIN) == 2


def test_it_logs_in_again_when_the_token_has_ended(
    vault: FakeVault, connect: Connect, role: Role, clock: VirtualClock
) -> None:
    client = connect(role(token_ttl="1h"), now=clock.monotonic)
    client.read_secret("x")
    clock.advance(100_000)
    assert client.read_secret("x") is None
    assert vault.seen.count(LOGIN) == 2


def test_it_logs_in_again_when_somebody_has_revoked_the_token(vault: FakeVault, connect: Connect, role: Role) -> None:
    client = connect(role())
    client.read_secret("x")
    vault.state.tokens.revoke(client.raw().token or "")
    assert client.read_secret("x") is None
    assert vault.seen.count(LOGIN) == 2


def test_a_token_that_another_thread_has_replaced_meanwhile_is_reason_to_ask_again(
    vault: FakeVault, connect: Connect, role: Role
) -> None:
    client = connect(role())
    client.raw()
    assert client.keeper.replace("the token before")
    assert vault.seen.count(LOGIN) == 1


def test_a_user_of_the_raw_client_is_kept_logged_in_as_well(
    vault: FakeVault, connect: Connect, role: Role, clock: VirtualClock
) -> None:
    raw = connect(role(token_ttl="1h"), now=clock.monotonic).raw()
    vault.write("secret/data/x", data={"n": 1})
    clock.advance(100_000)
    answer = raw.secrets.kv.v2.read_secret_version("x", raise_on_deleted_version=True)
    assert answer["data"]["data"] == {"n": 1}


def test_an_outage_while_renewing_does_not_matter_as_long_as_the_token_is_good(
    vault: FakeVault,
    connect: Connect,
    role: Role,
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("windlass_vault.keeper._RENEWAL", 0.05)
    client = connect(role(token_ttl="1h"), now=clock.monotonic)
    client.read_secret("x")
    clock.advance(2500)
    vault.faults.order(100, status=500, errors=["disk full"], path="auth/token/renew-self")
    assert client.read_secret("x") is None
    assert vault.seen.count(LOGIN) == 1
    assert "did not renew the token: it failed (500: disk full)" in caplog.text


def test_many_threads_log_in_once(vault: FakeVault, connect: Connect, role: Role) -> None:
    client = connect(role(), patience=20.0)
    vault.faults.order(delay=0.2, path="auth/approle/login")
    outcomes: list[object] = []
    threads = [threading.Thread(target=lambda: outcomes.append(client.read_secret("x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [None] * 8
    assert vault.seen.count(LOGIN) == 1


def test_many_threads_survive_that_their_token_is_revoked(vault: FakeVault, connect: Connect, role: Role) -> None:
    client = connect(role(), patience=20.0)
    vault.write("secret/data/x", data={"n": 1})
    errors: list[Exception] = []
    under_way = threading.Semaphore(0)

    def work() -> None:
        for _ in range(20):
            try:
                assert client.read_secret("x") is not None
            except Exception as error:  # noqa: BLE001 - the test tells which
                errors.append(error)
            under_way.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        for _ in range(30):
            assert under_way.acquire(timeout=30)
        vault.state.tokens.revoke(client.raw().token or "")
    for thread in threads:
        thread.join()
    assert errors == []
    assert vault.seen.count(LOGIN) == 4


def test_a_login_that_hangs_holds_up_no_thread_beyond_its_time(vault: FakeVault, connect: Connect, role: Role) -> None:
    client = connect(role(), patience=0.4, timeout=5.0)
    vault.faults.order(8, delay=5.0, path="auth/approle/login")
    errors: list[str] = []

    def ask() -> None:
        try:
            client.read_secret("x")
        except SecretsError as error:
            errors.append(str(error))

    begun = time.monotonic()
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun < 2.0
    assert len(errors) == 8
    assert all("did not answer in time" in error for error in errors)


# --- A token that was given


def test_a_token_from_a_file_is_read_again_when_it_is_refused(
    vault: FakeVault, connect: Connect, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(vault.token(policies=["reader"]))
    client = connect({"token_path": str(file)})
    client.read_secret("x")
    vault.state.tokens.revoke(file.read_text())
    file.write_text(vault.token(policies=["reader"]))
    assert client.read_secret("x") is None


def test_a_given_token_that_has_ended_is_told(vault: FakeVault, connect: Connect, clock: VirtualClock) -> None:
    token = vault.token(policies=["reader"], ttl="1h", renewable=False)
    client = connect({"token": token}, now=clock.monotonic)
    client.read_secret("x")
    clock.advance(3700)
    with pytest.raises(SecretsError) as caught:
        client.read_secret("x")
    assert str(caught.value) == (
        f"Vault at {vault.url} refuses the token to read `x` in mount `secret`: it has ended, was revoked or is wrong, "
        "or it lacks even the policy default; make another token and give that one"
    )
    assert token not in str(caught.value)


def test_a_token_that_may_not_look_itself_up_is_used_all_the_same(vault: FakeVault, connect: Connect) -> None:
    token = vault.token(policies=["reader"], no_default_policy=True)
    assert connect({"token": token}).read_secret("x") is None


def test_a_given_token_is_renewed_while_nothing_is_asked(connect: Connect) -> None:
    with FakeVault() as vault:  # by the machine's clock
        client = connect({"token": vault.token(period="3s", policies=["default"])}, url=vault.url)
        client.raw()
        limit = time.monotonic() + 30
        while vault.seen.count(RENEWAL) < 2 and time.monotonic() < limit:
            time.sleep(0.05)
        assert vault.seen.count(RENEWAL) >= 2
        assert client.keeper.is_good()
        client.close()
        assert client.keeper._timer is None


def test_nothing_is_watched_for_ever(vault: FakeVault) -> None:
    client = VaultClient(Credentials(token=vault.token(period="1h")), url=vault.url)
    client.raw()
    timer = client.keeper._timer
    assert timer is not None
    assert timer.daemon
    client.close()
    timer.join(5)
    assert not timer.is_alive()
