"""SecretsBackendSuite: three outcomes of a lookup, the value, a miss and an error, never confused with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from windlass.backends import Connection, SecretsBackend
from windlass_testing.conformance.corpus import SECRETS, TEXTS, chain_of, leaks, sentence_complaints
from windlass_testing.conformance.suite import Suite, must_give
from windlass_testing.deviations import PROPERTY

#: Ids of what is not there; some would leave the store's folder or path if they were not escaped.
_STRANGE: Final = ("absent", "with space", "a/b", "../../etc/passwd", "a.b", "ünïcode-密", "a%2Fb", "x" * 300, "a\nb")


class SecretsBackendSuite(Suite):
    """Checks a secrets backend against a store that the subclass fills.

    A subclass::

        class TestVault(SecretsBackendSuite):
            def make(self): return VaultBackend(url=…, token="…")
            def put_connection(self, conn_id, text): …
            def put_variable(self, key, text): …
            def unusable(self): return {"refused": VaultBackend(url=…, token="wrong-token"), "down": …}
            credentials = ("wrong-token",)
    """

    #: What it logs in with: must not stand in its ``repr`` or in errors.
    credentials: Iterable[str] = ()
    #: Whether the store keeps variables.
    has_variables: bool = True
    #: Whether the store keeps configuration, asked for by ``get_config``.
    has_config: bool = False
    #: Texts of the corpus that the store itself cannot hold -> why. They are not tried, and the reasons are listed.
    impossible_texts: Mapping[str, str] = {}

    def make(self) -> SecretsBackend:
        """Return a backend over the store of this test. Override it."""
        must_give(self, "make(): a backend over the store of this test")

    def put_connection(self, conn_id: str, text: str) -> None:
        """Store a connection, given as a URI or as JSON, as people do. Override it."""
        must_give(self, "put_connection(conn_id, text), which stores a URI or JSON")

    def put_variable(self, key: str, text: str) -> None:
        """Store a variable. Override it unless ``has_variables`` is False."""
        must_give(self, "put_variable(key, text), or has_variables = False")

    def put_config(self, key: str, text: str) -> None:
        """Store what a setting refers to. Override it if ``has_config``."""
        must_give(self, "put_config(key, text), or has_config = False")

    def unusable(self) -> Mapping[str, SecretsBackend]:
        """Return backends that cannot answer, by what is wrong: the store is down, the login is refused. Override it.

        Keep them quick to fail. An empty dict says that this backend cannot fail, as that of the environment.
        """
        must_give(self, "unusable(): backends whose store is down or refuses")

    # --- The value

    @pytest.mark.parametrize("kind", SECRETS)
    def test_a_connection_is_found_as_uri_and_as_json(self, kind: str) -> None:
        """Whatever its password looks like."""
        stored = Connection(
            "found", "postgres", "db.example", "ada", SECRETS[kind], "orders", 5432, {"key": SECRETS[kind], "n": [1]}
        )
        for conn_id, text in {"as_uri": stored.to_uri(), "as_json": stored.to_json()}.items():
            self.put_connection(conn_id, text)
            found = self.make().get_connection(conn_id)
            assert found is not None
            assert found.conn_id == conn_id
            assert found.to_fields() == stored.to_fields()

    def test_a_variable_is_found_unchanged(self, request: pytest.FixtureRequest) -> None:
        """Every text comes back as it was stored, the empty one too: it is no miss."""
        if not self.has_variables:
            pytest.skip("it keeps no variables: has_variables is False")
        for number, text in enumerate(self._possible_texts(request.node)):
            self.put_variable(f"text_{number}", text)
            assert self.make().get_variable(f"text_{number}") == text

    def test_a_setting_is_found_unchanged(self, request: pytest.FixtureRequest) -> None:
        """What a `…_SECRET` setting refers to."""
        if not self.has_config:
            pytest.skip("it keeps no configuration: has_config is False")
        for number, text in enumerate(self._possible_texts(request.node)):
            self.put_config(f"setting_{number}", text)
            assert self.make().get_config(f"setting_{number}") == text

    def test_a_change_is_seen(self) -> None:
        """A backend remembers nothing: keeping answers is the caller's business, for as long as it is configured."""
        backend = self.make()
        self.put_connection("changed", "postgres://before")
        assert _host(backend.get_connection("changed")) == "before"
        self.put_connection("changed", "postgres://after")
        assert _host(backend.get_connection("changed")) == "after"

    # --- A miss

    @pytest.mark.parametrize("name", _STRANGE, ids=ascii)
    def test_what_is_not_there_is_none(self, name: str) -> None:
        """No entry means None, also under names that a path or a URL would take for something else."""
        backend = self.make()
        assert backend.get_connection(name) is None
        assert backend.get_variable(name) is None
        assert backend.get_config(name) is None

    def test_kinds_are_apart(self) -> None:
        """A connection is no variable of the same name, and the other way round."""
        self.put_connection("only_connection", "postgres://host")
        assert self.make().get_variable("only_connection") is None
        if self.has_variables:
            self.put_variable("only_variable", "text")
            assert self.make().get_connection("only_variable") is None

    # --- An error

    def test_an_entry_that_is_no_connection_is_an_error_that_does_not_quote_it(self) -> None:
        """A half-understood entry must not let the lookup go on to an older value."""
        self.put_connection("nonsense", "this-is-no-connection-but-a-secret")
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it raises
            self.make().get_connection("nonsense")
        assert not sentence_complaints(str(caught.value), "nonsense"), str(caught.value)
        assert not leaks(_told(caught.value), ["this-is-no-connection-but-a-secret"])

    def test_a_store_that_cannot_answer_is_an_error_and_no_miss(self) -> None:
        """Down or refusing, each lookup raises one sentence without a credential."""
        for what, backend in self.unusable().items():
            lookups: list[Callable[[str], Any]] = [backend.get_connection]
            lookups += [backend.get_variable] * self.has_variables + [backend.get_config] * self.has_config
            for lookup in lookups:
                with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it raises
                    assert lookup("anything") is not None, f"{what}: answered None, as if the store had said no"
                assert not isinstance(caught.value, AssertionError), str(caught.value)
                assert not sentence_complaints(str(caught.value)), f"{what}: {caught.value}"
                assert not leaks(_told(caught.value), self.credentials), f"{what}: {caught.value}"

    # --- Its manners

    def test_it_shows_no_credential(self) -> None:
        """`repr` and `str` hide what it logs in with."""
        for backend in (self.make(), *self.unusable().values()):
            assert not leaks(f"{backend!r} {backend}", self.credentials)

    def test_it_takes_settings_by_name_and_refuses_unknown_ones(self) -> None:
        """`secrets.backend_kwargs` are keyword arguments; a mistyped one is an error that names it."""
        with pytest.raises(Exception, match="no_such_setting"):
            type(self.make())(no_such_setting=1)  # type: ignore[call-arg] # the point

    def test_it_is_asked_from_several_threads_at_once(self) -> None:
        """As the secrets helper does."""
        for number in range(8):
            self.put_connection(f"thread_{number}", f"postgres://host-{number}")
        backend = self.make()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: backend.get_connection(f"thread_{n % 8}"), range(64)))
        assert [_host(connection) for connection in found] == [f"host-{n % 8}" for n in range(64)]

    def _possible_texts(self, test: pytest.Item) -> list[str]:
        """Return the texts to try; why others are not is a deviation of ``test``."""
        test.user_properties += [(PROPERTY, reason) for reason in dict.fromkeys(self.impossible_texts.values())]
        return [text for text in TEXTS if text not in self.impossible_texts]


def _host(connection: Connection | None) -> str | None:
    assert connection is not None
    return connection.host


def _told(error: BaseException) -> str:
    return "\n".join(f"{type(cause).__name__}: {cause}" for cause in chain_of(error))
