"""Inside the helper: each backend is made once, for itself, and what it raises is told without its credentials."""

# ruff: noqa: ANN401 - a hook that is made at run time
from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import pytest

from windlass.errors import ConfigError, SecretsError
from windlass.interfaces.secrecy import secrets_of_arguments
from windlass.interfaces.secrets_backend import SecretsBackend
from windlass.secrets.chain import Kind
from windlass.secrets.failures import mask_named, sentence
from windlass.secrets.helper import Backends, Request, Setup

ARGUMENTS = {
    "url": "https://vault.example:8200",
    "token": "hvs.1",
    "login": {"role": "6f1c-a-role-id", "password": "pw1"},
    "mount_point": "secret",
}


class Raising(SecretsBackend):
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def get_variable(self, key: str) -> str | None:
        raise self._error


def told(error: BaseException) -> str:
    backends = Backends(Setup({"vault": ARGUMENTS}), find=lambda _kind, _name: lambda **_arguments: Raising(error))
    return str(backends.answer(Request(1, "vault", Kind.VARIABLE, "v")).error)


class InvalidHeader(OSError, ValueError):
    """As requests has it."""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError("403 Forbidden"), "refused variable `v`: PermissionError: 403 Forbidden"),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "could not be asked for variable `v`: ConnectionRefusedError: [Errno 111] Connection refused",
        ),
        (TimeoutError(), "could not be asked for variable `v`: TimeoutError"),
        (ConfigError("it has no ://"), "has no usable variable `v`: it has no ://"),
        (SecretsError("Vault is sealed; unseal it"), "did not give variable `v`: Vault is sealed; unseal it"),
        (KeyError("data"), "failed to give variable `v`: KeyError: 'data'"),
        (SystemExit("usage:\n  sdk FILE"), "failed to give variable `v`: SystemExit: usage: sdk FILE"),
        (RuntimeError("x" * 5000), f"failed to give variable `v`: RuntimeError: {'x' * 1000} …"),
        (InvalidHeader("no good"), "failed to give variable `v`: InvalidHeader: no good"),
    ],
)
def test_an_error_says_what_happened(error: BaseException, says: str) -> None:
    assert told(error) == says


@pytest.mark.parametrize("text", ["hvs.1", "6f1c-a-role-id", "pw1", "https://vault.example:8200"])
def test_an_error_of_an_sdk_quotes_no_argument_of_the_backend(text: str) -> None:
    assert told(RuntimeError(f"cannot send <{text}>")) == "failed to give variable `v`: RuntimeError: cannot send <***>"


def test_a_word_of_the_configuration_is_no_secret() -> None:
    assert told(RuntimeError("no such secret")) == "failed to give variable `v`: RuntimeError: no such secret"


def test_a_providers_own_error_may_name_the_address_and_no_credential() -> None:
    error = told(SecretsError(f"Vault at {ARGUMENTS['url']} refused hvs.1 and pw1"))
    assert error == "did not give variable `v`: Vault at https://vault.example:8200 refused *** and ***"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            r"Invalid return character(s) in header value: 'hvs.x y\n'",
            "Invalid return character(s) in header value: ***",
        ),
        ("X-Vault-Token: hvs.x", "X-Vault-Token: ***"),
        ("Authorization: Bearer abc.def, Accept: */*", "Authorization: Bearer ***, Accept: */*"),
        ("""{"secret_id": "a b", "x": 1}""", """{"secret_id": ***, "x": 1}"""),
        ("GET /v1?access-token=abc&x=1", "GET /v1?access-token=***&x=1"),
        (
            "permission denied, on get https://v/v1/secret/data/x",
            "permission denied, on get https://v/v1/secret/data/x",
        ),
        ("the token has expired", "the token has expired"),
    ],
)
def test_what_stands_under_a_sensitive_name_is_masked_whoever_made_it(text: str, masked: str) -> None:
    assert mask_named(text) == masked


@pytest.mark.timeout(20)
def test_masking_a_long_text_takes_no_longer_than_it_must() -> None:
    text = "token" * 50_000
    assert mask_named(text) == text


def test_the_secrets_of_arguments() -> None:
    assert sorted(secrets_of_arguments(ARGUMENTS)) == ["hvs.1", "pw1"]
    assert "https://vault.example:8200" in secrets_of_arguments(ARGUMENTS, everything=True)
    assert "secret" not in secrets_of_arguments(ARGUMENTS, everything=True)


class Ready(SecretsBackend):
    def get_variable(self, key: str) -> str | None:
        return "value"


def test_a_backend_that_is_being_made_delays_no_other() -> None:
    begun, go_on = Event(), Event()

    def slow() -> SecretsBackend:
        begun.set()
        assert go_on.wait(30)
        return Ready()

    makers: dict[str, Callable[..., SecretsBackend]] = {"slow": slow, "quick": Ready}
    backends = Backends(Setup({"slow": {}, "quick": {}}), find=lambda _kind, name: makers[name])
    with ThreadPoolExecutor(2) as pool:
        try:
            waiting = pool.submit(backends.answer, Request(1, "slow", Kind.VARIABLE, "v"))
            assert begun.wait(30)
            quick = pool.submit(backends.answer, Request(2, "quick", Kind.VARIABLE, "v"))
            assert quick.result(timeout=10).value == "value"
            assert not waiting.done()
        finally:
            go_on.set()
        assert waiting.result().value == "value"


def test_a_backend_is_made_once_and_again_only_after_it_failed() -> None:
    made: list[int] = []
    lock = Lock()

    def make() -> SecretsBackend:
        with lock:
            made.append(1)
        if len(made) == 1:
            raise RuntimeError("cannot log in")
        return Ready()

    backends = Backends(Setup({"fake": {}}), find=lambda _kind, _name: make)
    first = backends.answer(Request(1, "fake", Kind.VARIABLE, "v"))
    assert first.error == "cannot be used, so not asked for variable `v`: RuntimeError: cannot log in"
    with ThreadPoolExecutor(8) as pool:
        requests = [Request(number, "fake", Kind.VARIABLE, "v") for number in range(50)]
        assert {response.value for response in pool.map(backends.answer, requests)} == {"value"}
    assert len(made) == 2


def test_a_backend_whose_library_is_missing_says_how_to_install_it(shop: Any) -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        sys.modules[shop.__module__].anywhere()
    assert sentence(caught.value, {"token": "shop_client"}) == (
        "acme-shop needs shop_client, which cannot be imported (No module named 'shop_client'): `pip install acme-shop`"
    )
