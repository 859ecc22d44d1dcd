"""Hooks that HookSuite must reject, each the example's hook with one thing wrong; the first is sound."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from variants import provider, server

from windlass.hooks import BaseHook
from windlass.registry.lookup import Registry
from windlass_testing.conformance import HookSuite

provider("kit")
SERVER = server("kit")

from windlass_kit.hook import KitError, KitHook  # noqa: E402 - it was installed just now


class Kit(HookSuite):
    """Its server answers."""

    @pytest.fixture
    def working_connection(self) -> str:
        return str(SERVER.uri)


class TestSound(Kit):
    breaks: set[str] = set()
    hook_class = KitHook


class TestHasNoUsualConnection(Kit):
    breaks = {"test_it_says_what_it_is_for"}

    class hook_class(KitHook):
        default_conn_name = ""


class TestUsesAConnectionTypeThatNobodyDeclares(Kit):
    breaks = {"test_it_says_what_it_is_for"}

    class hook_class(KitHook):
        conn_type = "undeclared"

    @pytest.fixture
    def failing_connection(self) -> dict[str, Any]:
        return {"conn_type": "kit", "host": "127.0.0.1", "port": 1}


class TestTakesItsConnectionByPositionOnly(Kit):
    breaks = {"test_the_connection_is_given_by_position_by_name_or_not_at_all"}

    class hook_class(KitHook):
        def __init__(self, conn_id: str | None = None) -> None:
            super().__init__(conn_id)


class TestCannotBeMadeFromItsConnectionAlone(Kit):
    breaks = {"test_it_is_made_for_a_connection_by_its_type"}
    arguments = {"language": "de"}

    class hook_class(KitHook):
        def __init__(self, conn_id: str | None = None, *, language: str, **arguments: Any) -> None:
            super().__init__(conn_id, **arguments)
            self.language = language

    @pytest.fixture(autouse=True)
    def named_by_the_manifest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Registry, "hook_class", lambda _registry, _conn_type: self.hook_class)


class TestSwallowsUnknownArguments(Kit):
    breaks = {"test_an_unknown_argument_is_refused_by_name"}

    class hook_class(KitHook):
        def __init__(self, conn_id: str | None = None, **arguments: Any) -> None:
            super().__init__(conn_id or arguments.get("kit_conn_id"))


class TestAsksForItsConnectionWhenItIsMade(Kit):
    breaks = {
        "test_making_one_asks_for_nothing",
        "test_the_connection_is_given_by_position_by_name_or_not_at_all",
    }

    class hook_class(KitHook):
        def __init__(self, *args: Any, **arguments: Any) -> None:
            super().__init__(*args, **arguments)
            self.host = self.connection.host


class TestMakesNoClient(Kit):
    breaks = {"test_it_makes_a_client"}

    class hook_class(KitHook):
        def get_conn(self) -> Any:
            super().get_conn().close()

        def _ask(self, path: str) -> dict[str, Any]:
            self.get_conn()
            return {"version": "1"}


class TestCannotTellThatAConnectionWorks(Kit):
    breaks = {"test_a_connection_that_works_tests_well"}

    class hook_class(KitHook):
        def test_connection(self) -> tuple[bool, str]:
            return False, "it is not known how to test this"


class TestSaysThatEveryConnectionWorks(Kit):
    breaks = {"test_a_failure_tells_no_secret"}

    class hook_class(KitHook):
        def test_connection(self) -> tuple[bool, str]:
            return True, "sure"


class TestShowsThePasswordOfAConnectionThatWorks(Kit):
    breaks = {"test_a_connection_that_works_tests_well"}

    class hook_class(KitHook):
        def test_connection(self) -> tuple[bool, str]:
            works, message = super().test_connection()
            return works, f"{message}, {self.connection.password}" if works else message


class TestFailsWithoutNamingTheConnection(Kit):
    breaks = {"test_a_failure_names_the_connection"}

    class hook_class(KitHook):
        def _failed(self, why: str) -> KitError:
            return KitError(why)


class TestFailsWithATraceback(Kit):
    breaks = {"test_a_failure_names_the_connection", "test_a_failure_tells_no_secret"}

    class hook_class(KitHook):
        def _failed(self, why: str) -> KitError:
            return KitError(f"{super()._failed(why)}\nTraceback (most recent call last):\n  …")


class TestQuotesThePassword(Kit):
    breaks = {"test_a_failure_tells_no_secret"}

    class hook_class(KitHook):
        def _failed(self, why: str) -> KitError:
            return KitError(f"{super()._failed(why)} with {self.connection.password!r}")


class TestQuotesThePasswordInACause(Kit):
    breaks = {"test_a_failure_tells_no_secret"}

    class hook_class(KitHook):
        def get_conn(self) -> Any:
            try:
                return super().get_conn()
            except KitError as error:
                raise self._failed("no answer") from ValueError(f"{error}: {self.connection.to_uri()}")


class TestLogsThePassword(Kit):
    breaks = {"test_a_failure_tells_no_secret"}

    class hook_class(KitHook):
        def get_conn(self) -> Any:
            login = f"ada:{self.connection.password}".encode()
            self.log.debug("Authorization: Basic %s", base64.b64encode(login).decode())
            return super().get_conn()


class TestShowsThePassword(Kit):
    breaks = {"test_it_shows_no_secret"}

    class hook_class(KitHook):
        def __repr__(self) -> str:
            return f"<KitHook {self.connection.to_fields()}>"


class TestIsNoHook(Kit):
    breaks = {
        "test_it_says_what_it_is_for",
        "test_it_is_made_for_a_connection_by_its_type",
        "test_an_unknown_argument_is_refused_by_name",
        "test_a_connection_that_works_tests_well",
        "test_a_failure_names_the_connection",
        "test_it_makes_a_client",
    }

    class hook_class(BaseHook):
        conn_type = "kit"

        def __init__(self, conn_id: str | None = None, **arguments: Any) -> None:
            self.conn_id = conn_id or arguments.get("conn_id", "")
