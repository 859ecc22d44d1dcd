"""SEMANTICS, section 6: connections and variables: where they come from, how they are written, what is masked."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass import DAG, Connection, Variable, task
from windlass.errors import ConfigError
from windlass.hooks import BaseHook
from windlass_testing.virtual import VirtualInstallation


def ask(windlass: VirtualInstallation, question: Callable[[], Any]) -> Any:
    """Return what a task answers that asks this."""
    with DAG("d", schedule=None) as dag:
        task(task_id="t")(lambda: question())()  # noqa: PLW0108 - a task is a function
    run = windlass.run(dag)
    assert windlass.states(run) == {"t": "success"}, windlass.log(run, "t")
    return windlass.xcom(run, "t")


def host(windlass: VirtualInstallation) -> str | None:
    found: str | None = ask(windlass, lambda: BaseHook.get_connection("db").host)
    return found


def in_environment(windlass: VirtualInstallation) -> None:
    windlass.environ["WINDLASS_CONN_DB"] = "postgres://environment"
    windlass.environ["WINDLASS_VAR_V"] = "environment"


def in_files(windlass: VirtualInstallation) -> None:
    windlass.folder.mkdir(exist_ok=True)
    (windlass.folder / "connections.toml").write_text('db = "postgres://files"\n')
    (windlass.folder / "variables.toml").write_text('v = "files"\n')


def in_database(windlass: VirtualInstallation) -> None:
    windlass.control.connections.add(Connection("db", "postgres", host="database"), actor="somebody")
    windlass.control.variables.set("v", "database", actor="somebody")


PLACES = [in_environment, in_files, in_database]


@pytest.mark.parametrize(("first", "place"), list(enumerate(("environment", "files", "database"))))
def test_the_environment_comes_before_files_before_the_database(
    windlass: VirtualInstallation, first: int, place: str
) -> None:
    for put in PLACES[first:]:
        put(windlass)
    assert host(windlass) == place
    assert ask(windlass, lambda: Variable.get("v")) == place


def test_the_first_hit_wins_as_a_whole_without_merging(windlass: VirtualInstallation) -> None:
    windlass.environ["WINDLASS_CONN_DB"] = "postgres://environment"
    windlass.control.connections.add(Connection("db", "postgres", host="h", login="u", port=1), actor="somebody")

    def question() -> list[Any]:
        found = BaseHook.get_connection("db")
        return [found.host, found.login, found.port]

    assert ask(windlass, question) == ["environment", None, None]


def test_a_missing_connection_says_where_it_was_looked_for(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        task(task_id="t")(lambda: BaseHook.get_connection("nobody"))()
    run = windlass.run(dag)
    reason = windlass.reason(run, "t")
    assert "connection `nobody` is not defined; looked in: environment (WINDLASS_CONN_NOBODY), files (" in reason
    assert "database" in reason


def test_a_missing_variable_is_an_error_or_the_default(windlass: VirtualInstallation) -> None:
    assert ask(windlass, lambda: Variable.get("nothing", default="d")) == "d"
    with DAG("d", schedule=None) as dag:
        task(task_id="t")(lambda: Variable.get("nothing"))()
    run = windlass.run(dag)
    assert "variable `nothing` is not defined" in windlass.reason(run, "t")


def test_a_variable_is_set_read_and_deleted_by_tasks(windlass: VirtualInstallation) -> None:
    def question() -> list[Any]:
        Variable.set("v", {"a": [1]}, serialize_json=True)
        found = Variable.get("v", deserialize_json=True)
        Variable.delete("v")
        return [found, Variable.get("v", default=None)]

    assert ask(windlass, question) == [{"a": [1]}, None]


# --- How they are written

FIELDS = {
    "conn_type": "my_type", "host": "h.example", "login": "me@home", "password": "p/w:%", "schema": "s",
    "port": 5432, "extra": {"a": "b"},
}  # fmt: skip
URI = "my-type://me%40home:p%2Fw%3A%25@h.example:5432/s?a=b"


@pytest.mark.parametrize("text", [URI, json.dumps(FIELDS)], ids=["URI", "JSON"])
def test_a_connection_is_a_uri_or_json_when_it_starts_with_a_brace(windlass: VirtualInstallation, text: str) -> None:
    windlass.environ["WINDLASS_CONN_DB"] = text

    def question() -> dict[str, Any]:
        found = BaseHook.get_connection("db")
        names = ("conn_type", "host", "login", "password", "schema", "port")
        return {name: getattr(found, name) for name in names} | {"extra": found.extra_dejson}

    assert ask(windlass, question) == FIELDS


def test_any_extra_travels_in_the_uri(windlass: VirtualInstallation) -> None:
    windlass.environ["WINDLASS_CONN_DB"] = "http://h?__extra__=%7B%22a%22%3A%20%5B1%2C%20null%5D%7D"
    assert ask(windlass, lambda: BaseHook.get_connection("db").extra_dejson) == {"a": [1, None]}


def test_a_uri_together_with_fields_is_an_error() -> None:
    with pytest.raises(ConfigError, match="as a URI and by host"):
        Connection("db", host="h", uri="postgres://h")


texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]))
extras = st.none() | st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3), max_size=3)


@settings(deadline=None, max_examples=50)
@given(login=texts, password=texts, host=texts, schema=texts, port=st.none() | st.integers(0, 65535), extra=extras)
def test_both_forms_round_trip_for_every_value(**fields: Any) -> None:
    made = Connection("db", "postgres", **fields)
    assert Connection.parse("db", made.to_uri()) == made
    assert Connection.parse("db", made.to_json()) == made


FILES = {
    "connections.toml": '[db]\nconn_type = "postgres"\nhost = "h"\n',
    "connections.yaml": "db:\n  conn_type: postgres\n  host: h\n",
    "connections.json": '{"db": "postgres://h"}',
    "connections.env": "db=postgres://h\n",
}


@pytest.mark.parametrize("name", FILES)
def test_connections_are_read_from_files_of_each_format(windlass: VirtualInstallation, name: str) -> None:
    windlass.folder.mkdir(exist_ok=True)
    (windlass.folder / name).write_text(FILES[name])
    assert host(windlass) == "h"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[db]\nconn_type = "postgres"\nhots = "h"\n', ["connections.toml:3", "'hots'"]),
        ('db = "postgres://h"\ndb = "postgres://g"\n', ["connections.toml", "line 2"]),
    ],
    ids=["an unknown key", "a duplicate"],
)
def test_a_mistake_in_a_file_is_an_error_with_its_line(
    windlass: VirtualInstallation, text: str, words: list[str]
) -> None:
    windlass.folder.mkdir(exist_ok=True)
    (windlass.folder / "connections.toml").write_text(text)
    with DAG("d", schedule=None) as dag:
        task(task_id="t")(lambda: BaseHook.get_connection("db"))()
    reason = windlass.reason(windlass.run(dag), "t")
    assert all(word in reason for word in words), reason


# --- Hooks


class DbHook(BaseHook):
    """A hook as a provider writes it."""

    conn_name_attr = "db_conn_id"
    default_conn_name = "db"

    def get_conn(self) -> str:
        return f"connected to {self.connection.host}"


def test_a_hook_takes_its_connection_and_gives_a_client(windlass: VirtualInstallation) -> None:
    in_environment(windlass)
    assert ask(windlass, lambda: DbHook(db_conn_id="db").get_conn()) == "connected to environment"
    assert ask(windlass, lambda: DbHook().get_conn()) == "connected to environment"


# --- Masking


def test_passwords_sensitive_extras_and_variables_are_masked_in_the_log(windlass: VirtualInstallation) -> None:
    extra = {"api_key": "violet-key", "region": "north"}
    connection = Connection("db", "generic", host="h", password="tulip-word", extra=extra)
    windlass.control.connections.add(connection, actor="somebody")
    windlass.control.variables.set("access_token", "rose-token", actor="somebody")

    with DAG("d", schedule=None) as dag:

        @task
        def talk() -> str:
            found = BaseHook.get_connection("db")
            print(found.password, found.extra, Variable.get("access_token"))  # noqa: T201 - as users do
            raise ValueError(f"cannot log in with {found.password}")

        talk()
    run = windlass.run(dag)
    log = windlass.log(run, "talk")
    assert "***" in log
    assert "north" in log
    for secret in ("tulip-word", "violet-key", "rose-token"):
        assert secret not in log
        assert secret not in windlass.reason(run, "talk")


def test_a_secret_is_masked_in_the_preview_of_an_xcom_which_itself_stays_whole(windlass: VirtualInstallation) -> None:
    windlass.environ["WINDLASS_CONN_DB"] = "postgres://u:tulip-word@h"
    with DAG("d", schedule=None) as dag:
        task(task_id="t")(lambda: {"url": f"u:{BaseHook.get_connection('db').password}@h"})()
    run = windlass.run(dag)
    [row] = windlass.store.queries.xcoms(windlass.control.tasks.find("d", run.run_id, "t").id)
    assert row.preview == '{"url":"u:***@h"}'
    assert windlass.xcom(run, "t") == {"url": "u:tulip-word@h"}


def test_stored_secrets_are_encrypted_and_lists_do_not_show_them(windlass: VirtualInstallation, tmp_path: Path) -> None:
    windlass.control.connections.add(Connection("db", "postgres", password="tulip-word"), actor="somebody")
    windlass.control.variables.set("v", "rose-word", actor="somebody")
    tables = windlass.store.db.rows("SELECT * FROM connection"), windlass.store.db.rows("SELECT * FROM variable")
    shown = windlass.control.connections.list(), windlass.control.variables.list()
    assert "tulip-word" not in repr((tables, shown))
    assert "rose-word" not in repr((tables, shown))
    assert windlass.control.connections.get("db").has_password
