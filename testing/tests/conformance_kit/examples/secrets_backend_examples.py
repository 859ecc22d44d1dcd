"""Backends that SecretsBackendSuite must reject, each with one thing wrong; the first is sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import pytest

from windlass.backends import Connection, SecretsBackend
from windlass.errors import ConfigError, SecretsError
from windlass_testing.conformance import SecretsBackendSuite

STORE: dict[str, str] = {}


class Backend(SecretsBackend):
    """Keeps everything in memory, behind a token."""

    def __init__(self, *, token: str = "good-token-1", up: bool = True) -> None:
        self.token = token
        self.up = up

    def lookup(self, kind: str, name: str) -> str | None:
        if not self.up:
            raise SecretsError("the store does not answer; start it")
        if self.token != "good-token-1":
            raise SecretsError("the store refuses the token; give another")
        return STORE.get(f"{kind}/{name}")

    def get_conn_value(self, conn_id: str) -> str | None:
        return self.lookup("connections", conn_id)

    def get_variable(self, key: str) -> str | None:
        return self.lookup("variables", key)

    def get_config(self, key: str) -> str | None:
        return self.lookup("config", key)


class Kit(SecretsBackendSuite):
    """Fills the store."""

    credentials = ("good-token-1", "wrong-token-1")
    has_config = True
    backend: type[Backend] = Backend

    @pytest.fixture(autouse=True)
    def empty(self) -> None:
        STORE.clear()

    def make(self) -> SecretsBackend:
        return self.backend()

    def put_connection(self, conn_id: str, text: str) -> None:
        STORE[f"connections/{conn_id}"] = text

    def put_variable(self, key: str, text: str) -> None:
        STORE[f"variables/{key}"] = text

    def put_config(self, key: str, text: str) -> None:
        STORE[f"config/{key}"] = text

    def unusable(self) -> Mapping[str, SecretsBackend]:
        return {"down": self.backend(up=False), "refused": self.backend(token="wrong-token-1")}


class TestSound(Kit):
    breaks: set[str] = set()


class TestDecodesWhatItFinds(Kit):
    breaks = {
        "test_a_connection_is_found_as_uri_and_as_json",
        "test_a_variable_is_found_unchanged",
        "test_a_setting_is_found_unchanged",
    }

    class backend(Backend):
        def lookup(self, kind: str, name: str) -> str | None:
            text = super().lookup(kind, name)
            return None if text is None else unquote(text)


class TestTakesAnEmptyTextForAMiss(Kit):
    breaks = {"test_a_variable_is_found_unchanged"}

    class backend(Backend):
        def get_variable(self, key: str) -> str | None:
            return super().get_variable(key) or None


class TestRemembersAnswers(Kit):
    breaks = {"test_a_change_is_seen"}

    class backend(Backend):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.known: dict[str, str | None] = {}

        def get_conn_value(self, conn_id: str) -> str | None:
            if conn_id not in self.known:
                self.known[conn_id] = super().get_conn_value(conn_id)
            return self.known[conn_id]


class TestRaisesForAMiss(Kit):
    breaks = {"test_what_is_not_there_is_none", "test_kinds_are_apart"}

    class backend(Backend):
        def get_variable(self, key: str) -> str | None:
            found = super().get_variable(key)
            if found is None:
                raise SecretsError(f"there is no variable {key!r}; add it")
            return found


class TestCannotBeAskedForStrangeNames(Kit):
    breaks = {"test_what_is_not_there_is_none"}

    class backend(Backend):
        def lookup(self, kind: str, name: str) -> str | None:
            name.encode("ascii")
            return super().lookup(kind, name)


class TestMixesKinds(Kit):
    breaks = {"test_kinds_are_apart"}

    class backend(Backend):
        def get_variable(self, key: str) -> str | None:
            found = super().get_variable(key)
            return self.lookup("connections", key) if found is None else found


class TestTakesNonsenseForAMiss(Kit):
    breaks = {"test_an_entry_that_is_no_connection_is_an_error_that_does_not_quote_it"}

    class backend(Backend):
        def get_connection(self, conn_id: str) -> Connection | None:
            try:
                return super().get_connection(conn_id)
            except ConfigError:
                return None


class TestQuotesNonsense(Kit):
    breaks = {"test_an_entry_that_is_no_connection_is_an_error_that_does_not_quote_it"}

    class backend(Backend):
        def get_connection(self, conn_id: str) -> Connection | None:
            try:
                return super().get_connection(conn_id)
            except ConfigError as error:
                raise ConfigError(f"{error}: {self.get_conn_value(conn_id)}") from None


class TestTakesAFailureForAMiss(Kit):
    breaks = {"test_a_store_that_cannot_answer_is_an_error_and_no_miss"}

    class backend(Backend):
        def lookup(self, kind: str, name: str) -> str | None:
            return super().lookup(kind, name) if self.up else None


class TestQuotesItsToken(Kit):
    breaks = {"test_a_store_that_cannot_answer_is_an_error_and_no_miss"}

    class backend(Backend):
        def lookup(self, kind: str, name: str) -> str | None:
            try:
                return super().lookup(kind, name)
            except SecretsError as error:
                raise SecretsError(str(error)) from PermissionError(f"403 for X-Token: {self.token}")


class TestShowsItsToken(Kit):
    breaks = {"test_it_shows_no_credential"}

    class backend(Backend):
        def __repr__(self) -> str:
            return f"Backend(token={self.token!r})"


class TestSwallowsUnknownSettings(Kit):
    breaks = {"test_it_takes_settings_by_name_and_refuses_unknown_ones"}

    class backend(Backend):
        def __init__(self, *, token: str = "good-token-1", up: bool = True, **_: Any) -> None:
            super().__init__(token=token, up=up)


class TestConfusesItsThreads(Kit):
    breaks = {"test_it_is_asked_from_several_threads_at_once"}

    class backend(Backend):
        def get_conn_value(self, conn_id: str) -> str | None:
            import time

            self.asked = conn_id
            time.sleep(0.002)
            return super().get_conn_value(self.asked)
