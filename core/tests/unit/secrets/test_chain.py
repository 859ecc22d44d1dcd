"""The lookup chain: its order, what a miss and a refusal mean, and what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.config import Settings
from windlass.errors import (
    ConfigError,
    ConnectionNotDefined,
    SecretsError,
    VariableNotDefined,
    WindlassError,
)
from windlass.interfaces.connection import Connection
from windlass.interfaces.secrets_backend import SecretsBackend
from windlass.registry import BrokenPlugin, Catalog, Provider, Registry
from windlass.secrets.chain import Chain, Kind, Lookup, Place, Question, build_chain

VAULT = Registry(
    lambda: Catalog(
        (
            Provider(name="vault", secrets_backends={"vault": "windlass_vault.backend:Vault"}),
            Provider(name="aws", secrets_backends={"ssm": "windlass_aws.ssm:Ssm"}),
        )
    )
)


class Database(SecretsBackend):
    """Stands for the stored connections and variables."""

    def get_connection(self, conn_id: str) -> Connection | None:
        return Connection(conn_id, "stored") if conn_id in {"all", "stored"} else None

    def get_variable(self, key: str) -> str | None:
        return "stored" if key in {"all", "stored"} else None


def settings(tmp_path: Path, **given: str) -> Settings:
    environ = {"WINDLASS_HOME": str(tmp_path)} | {f"WINDLASS__SECRETS__{key}": value for key, value in given.items()}
    return Settings.load(environ=environ, cwd=tmp_path)


def drive(steps: Lookup, *answers: str | WindlassError | None) -> tuple[Connection | str | None, list[Question]]:
    """Run a lookup, answering its questions in order; return what it found and what it asked."""
    asked: list[Question] = []
    remaining = list(answers)
    try:
        question = next(steps)
        while True:
            asked.append(question)
            answer = remaining.pop(0)
            question = steps.throw(answer) if isinstance(answer, WindlassError) else steps.send(answer)
    except StopIteration as end:
        assert not remaining
        return end.value, asked


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    (tmp_path / "connections.toml").write_text('all = "files://"\nfiles = "files://"\nstored = "files://"\n')
    (tmp_path / "variables.toml").write_text('all = "files"\nfiles = "files"\n')
    environ = {"WINDLASS_CONN_ALL": "env://", "WINDLASS_CONN_ENV": "env://", "WINDLASS_VAR_ALL": "env"}
    return build_chain(settings(tmp_path, BACKEND="vault"), Database(), environ=environ, plugins=VAULT)


def test_backends_then_environment_then_files_then_database(chain: Chain) -> None:
    ask = Question("vault", Kind.CONNECTION, "all")
    assert drive(chain.lookup(Kind.CONNECTION, "all"), "vault://") == (Connection("all", "vault"), [ask])
    assert drive(chain.lookup(Kind.CONNECTION, "env"), None)[0] == Connection("env", "env")
    assert drive(chain.lookup(Kind.CONNECTION, "stored"), None)[0] == Connection("stored", "files")
    assert drive(chain.lookup(Kind.VARIABLE, "all"), None)[0] == "env"
    assert drive(chain.lookup(Kind.VARIABLE, "files"), None)[0] == "files"
    assert drive(chain.lookup(Kind.VARIABLE, "stored"), None)[0] == "stored"
    assert drive(chain.lookup(Kind.VARIABLE, "empty"), "") == ("", [Question("vault", Kind.VARIABLE, "empty")])


def test_the_first_hit_wins_as_a_whole(chain: Chain) -> None:
    found, _ = drive(chain.lookup(Kind.CONNECTION, "all"), '{"conn_type": "vault", "login": "me"}')
    assert found == Connection("all", "vault", login="me")


def test_the_order_is_settable(tmp_path: Path) -> None:
    given = settings(tmp_path, BACKEND="vault,ssm", BACKENDS_ORDER="metastore,environment_variable,custom")
    chain = build_chain(given, Database(), environ={"WINDLASS_CONN_ALL": "env://"}, plugins=VAULT)
    assert drive(chain.lookup(Kind.CONNECTION, "all")) == (Connection("all", "stored"), [])
    found, asked = drive(chain.lookup(Kind.CONNECTION, "x"), None, "x://")
    assert found == Connection("x", "x")
    assert [question.backend for question in asked] == ["vault", "ssm"]


def test_a_missing_connection_says_where_it_was_looked_for_and_what_to_do(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(ConnectionNotDefined) as caught:
        drive(chain.lookup(Kind.CONNECTION, "shop"), None)
    assert str(caught.value) == (
        "connection `shop` is not defined; looked in: backend vault, environment (WINDLASS_CONN_SHOP), "
        f"files ({tmp_path}), database. Add it with `windlass connections add shop …`, or set WINDLASS_CONN_SHOP"
    )
    with pytest.raises(VariableNotDefined, match="variable `v` is not defined; looked in: backend vault, environment"):
        drive(chain.lookup(Kind.VARIABLE, "v"), None)


def test_a_refusal_never_falls_through(chain: Chain) -> None:
    with pytest.raises(SecretsError, match="403"):
        drive(chain.lookup(Kind.CONNECTION, "all"), SecretsError("403"))


def test_something_malformed_never_falls_through(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"backend vault: connection `all`: .* has no ://") as caught:
        drive(chain.lookup(Kind.CONNECTION, "all"), "s3cret")
    assert "s3cret" not in str(caught.value)
    broken = build_chain(settings(tmp_path), Database(), environ={"WINDLASS_CONN_ALL": "s3cret"})
    with pytest.raises(ConfigError, match="WINDLASS_CONN_ALL: connection `all`: "):
        drive(broken.lookup(Kind.CONNECTION, "all"))


def test_answers_and_misses_of_backends_are_kept_for_a_while_and_errors_are_not() -> None:
    now = 0.0
    chain = Chain([Place("backend vault", None, "vault")], ttl=60, now=lambda: now)
    assert len(drive(chain.lookup(Kind.VARIABLE, "a"), "1")[1]) == 1
    assert drive(chain.lookup(Kind.VARIABLE, "a")) == ("1", [])
    with pytest.raises(VariableNotDefined):
        drive(chain.lookup(Kind.VARIABLE, "b"), None)
    with pytest.raises(VariableNotDefined):
        drive(chain.lookup(Kind.VARIABLE, "b"))
    with pytest.raises(SecretsError):
        drive(chain.lookup(Kind.VARIABLE, "c"), SecretsError("down"))
    assert drive(chain.lookup(Kind.VARIABLE, "c"), "3")[0] == "3"
    now = 60.0
    assert drive(chain.lookup(Kind.VARIABLE, "a"), "2")[0] == "2"


def test_a_miss_is_kept_for_less_long_than_a_value() -> None:
    now = 0.0
    chain = Chain([Place("backend vault", None, "vault")], ttl=900, miss_ttl=60, now=lambda: now)
    assert drive(chain.lookup(Kind.VARIABLE, "a"), "1")[0] == "1"
    with pytest.raises(VariableNotDefined):
        drive(chain.lookup(Kind.VARIABLE, "b"), None)
    now = 59.0
    with pytest.raises(VariableNotDefined):
        drive(chain.lookup(Kind.VARIABLE, "b"))
    now = 60.0
    assert drive(chain.lookup(Kind.VARIABLE, "b"), "added")[0] == "added"
    assert drive(chain.lookup(Kind.VARIABLE, "a")) == ("1", [])


def test_how_long_values_and_misses_are_kept_is_settable(tmp_path: Path) -> None:
    def asks_again(answer: str | None, **given: str) -> bool:
        chain = build_chain(
            settings(tmp_path, BACKEND="vault", **given), environ={"WINDLASS_VAR_A": "1"}, plugins=VAULT
        )
        drive(chain.lookup(Kind.VARIABLE, "a"), answer)
        return isinstance(next(chain.lookup(Kind.VARIABLE, "a"), None), Question)

    assert not asks_again(None)
    assert not asks_again("1", NEGATIVE_CACHE_TTL_SECONDS="0")
    assert asks_again(None, NEGATIVE_CACHE_TTL_SECONDS="0")
    assert asks_again("1", CACHE_TTL_SECONDS="0")
    assert asks_again(None, CACHE_TTL_SECONDS="0")


def test_whatever_a_place_raises_is_one_sentence_without_what_it_read(tmp_path: Path) -> None:
    class Broken(SecretsBackend):
        def get_connection(self, conn_id: str) -> Connection | None:
            raise RuntimeError("s3cret")

        def get_variable(self, key: str) -> str | None:
            raise PermissionError(13, "Permission denied", "/etc/variables")

    chain = Chain([Place("database of {variable}", Broken())])
    with pytest.raises(SecretsError) as caught:
        drive(chain.lookup(Kind.CONNECTION, "db"))
    assert str(caught.value) == "connection `db` cannot be looked up in database of WINDLASS_CONN_DB: RuntimeError"
    with pytest.raises(SecretsError, match=r"variable `v` cannot be looked up in .*: Permission denied"):
        drive(chain.lookup(Kind.VARIABLE, "v"))


def test_an_order_that_leaves_configured_backends_out_is_a_mistake(tmp_path: Path) -> None:
    given = settings(tmp_path, BACKEND="vault", BACKENDS_ORDER="environment_variable,files")
    with pytest.raises(
        ConfigError, match=r"secrets\.backend names vault, but secrets\.backends_order leaves .* add `custom`"
    ):
        build_chain(given, plugins=VAULT)
    assert not build_chain(settings(tmp_path, BACKENDS_ORDER="environment_variable")).needs_helper


@pytest.mark.parametrize("name", ["custom", "environment_variable", "files", "metastore"])
def test_a_place_of_its_own_is_no_backend_of_a_provider(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"names '{name}', which is a place .* into secrets\.backends_order$"):
        build_chain(settings(tmp_path, BACKEND=f"vault,{name}"), plugins=VAULT)


def test_the_cores_own_places_come_through_the_registry(tmp_path: Path) -> None:
    chosen = build_chain(settings(tmp_path), plugins=VAULT).places
    assert [type(place.source) for place in chosen] == [
        VAULT.lookup("secrets_backends", "environment_variable"),
        VAULT.lookup("secrets_backends", "files"),
    ]


def test_a_configuration_entry_is_looked_for_in_backends_only(chain: Chain) -> None:
    assert drive(chain.lookup(Kind.CONFIG, "all"), None)[0] is None
    assert drive(chain.lookup(Kind.CONFIG, "fernet"), "key")[0] == "key"


def test_what_the_configuration_names_must_exist(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"secrets\.backends_order names 'vualt'; there is custom, environment_variable"
    ):
        build_chain(settings(tmp_path, BACKENDS_ORDER="vualt"))
    with pytest.raises(ConfigError, match=r"backend names 'vualt', which no installed .* did you mean vault\?$"):
        build_chain(settings(tmp_path, BACKEND="vualt"), plugins=VAULT)
    with pytest.raises(ConfigError, match=r"backend names 'keeper', which no .* brings; choose one of ssm, vault$"):
        build_chain(settings(tmp_path, BACKEND="keeper"), plugins=VAULT)
    alone = Registry(lambda: Catalog(broken=(BrokenPlugin("vault", "it has no manifest", "reinstall it"),)))
    with pytest.raises(
        ConfigError,
        match=r"'file', which .* brings; install the provider that does \(not usable: vault, it has no manifest\)$",
    ):
        build_chain(settings(tmp_path, BACKEND="file"), plugins=alone)  # and no place of the order is suggested
    assert not build_chain(settings(tmp_path)).needs_helper
