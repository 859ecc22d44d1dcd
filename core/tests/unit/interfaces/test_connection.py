"""A connection: three ways to write it that say exactly the same, and errors without secrets."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import ConfigError
from windlass.interfaces.connection import FIELDS, Connection

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_text = st.none() | st.text() | st.sampled_from(["", "%", "%25", "a b", "a+b", "@", ":", "/", "?x=1", "://", "[::1]"])
_types = st.none() | st.from_regex(r"[A-Za-z][A-Za-z0-9_+.]*", fullmatch=True)
connections = st.builds(
    Connection,
    conn_id=st.text(min_size=1),
    conn_type=_types,
    host=_text,
    login=_text,
    password=_text,
    schema=_text,
    port=st.none() | st.integers(0, 65535),
    extra=st.none()
    | st.dictionaries(st.text(), st.text(), max_size=3)
    | st.dictionaries(st.sampled_from(["__extra__", "__empty__", "", "a"]), st.text(), max_size=2)
    | st.dictionaries(st.text(), _json, max_size=3),
)


@given(connections)
def test_uri_json_and_fields_round_trip_exactly(connection: Connection) -> None:
    assert Connection.from_uri(connection.conn_id, connection.to_uri()) == connection
    assert Connection.from_json(connection.conn_id, connection.to_json()) == connection
    assert Connection.from_fields(connection.conn_id, connection.to_fields()) == connection
    for text in (connection.to_uri(), connection.to_json()):
        assert text.isascii()
        assert Connection.parse(connection.conn_id, text) == connection


def test_every_unicode_character_survives() -> None:
    # All of the first plane, and the borders of the others: the encodings know no other difference.
    planes = [
        *range(0x10000),
        *(plane + code for plane in range(0x10000, 0x110000, 0x10000) for code in (0, 0xFFFF)),
    ]
    characters = "".join(chr(code) for code in planes if not 0xD800 <= code <= 0xDFFF)
    connection = Connection("c", "t", password=characters, extra={characters: characters})
    assert Connection.from_uri("c", connection.to_uri()) == connection
    assert Connection.from_json("c", connection.to_json()) == connection


@pytest.mark.parametrize("field", ["host", "login", "password", "schema"])
def test_an_empty_text_stays_different_from_none(field: str) -> None:
    empty = Connection("c", "t", **{field: ""})  # type: ignore[arg-type] # a text field
    assert getattr(Connection.from_uri("c", empty.to_uri()), field) == ""
    assert getattr(Connection.from_uri("c", Connection("c", "t").to_uri()), field) is None


@pytest.mark.parametrize(
    ("uri", "fields"),
    [
        (
            "postgres://me:pw@db:5432/shop",
            {"login": "me", "password": "pw", "host": "db", "port": 5432, "schema": "shop"},
        ),
        ("postgres://me:p%40%2F%3A@db", {"login": "me", "password": "p@/:", "host": "db"}),
        ("aws://key:secret@/?region_name=eu", {"login": "key", "password": "secret", "extra": '{"region_name": "eu"}'}),
        ("aws://", {}),
        ("redis://:pw@cache:6379/0", {"password": "pw", "host": "cache", "port": 6379, "schema": "0"}),
        ("pg://[::1]:5432/x", {"host": "::1", "port": 5432, "schema": "x"}),
        ("http://https%3A%2F%2Fapi.example.com", {"host": "https://api.example.com"}),
        ("http://https://api.example.com:80/v1", {"host": "https://api.example.com", "port": 80, "schema": "v1"}),
        ("http://https://me:pw@api.com", {"host": "https://api.com", "login": "me", "password": "pw"}),
        ("s3://?__extra__=%7B%22a%22%3A+%7B%22b%22%3A+1%7D%7D", {"extra": '{"a": {"b": 1}}'}),
        ("x://h/a/b", {"host": "h", "schema": "a/b"}),
        ("x://me@h?__empty__=login,password", {"login": "me", "password": "", "host": "h"}),
        ("x://me:p@ss@h", {"login": "me", "password": "p@ss", "host": "h"}),
    ],
)
def test_a_uri_is_read_as_users_of_airflow_write_it(uri: str, fields: dict[str, Any]) -> None:
    read = Connection.from_uri("c", uri).to_fields()
    assert {name: value for name, value in read.items() if value is not None and name != "conn_type"} == fields


def test_a_dash_in_the_type_is_an_underscore() -> None:
    assert Connection.from_uri("c", "google-cloud-platform://").conn_type == "google_cloud_platform"
    assert Connection("c", "google_cloud_platform").to_uri() == "google-cloud-platform://"


def test_a_flat_extra_is_the_query_and_any_other_is_whole() -> None:
    assert Connection("c", "t", extra={"a": "1", "b": "x y"}).to_uri() == "t://?a=1&b=x%20y"
    assert Connection("c", "t", extra={"a": 1}).to_uri() == "t://?__extra__=%7B%22a%22%3A%201%7D"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("s3cret", "has no ://"),
        ("t://u:s3cret@h:port", "the port must be a number from 0 to 65535"),
        ("t://u:s3cret@h:70000", "the port must be a number from 0 to 65535"),
        ("t://u:s3cret%@h", "the password in the URI has a % that begins no percent code; write %25"),
        ("t://u:s3cret%FF@h", "the percent codes of the password in the URI are not UTF-8"),
        ("9t://u:s3cret@h", "the type must be a name such as postgres"),
        ("t://u:s3cret@h?a=1&a=2", "the query of the URI gives 'a' twice"),
        ("t://u:s3cret@h?__extra__=nonsense", "extra must be a JSON object"),
        ("t://u:s3cret@h?__extra__=%7B%7D&b=1", "has __extra__ and other keys"),
        ("t://u:s3cret@h?__empty__=port", "__empty__ in the URI names host, login, password, schema only"),
        ('{"password": "s3cret"', "is not valid JSON: look at line 1, column 22"),
        ('{"passwort": "s3cret"}', "has no field 'passwort'; did you mean password?"),
        ('{"conn_type": "t", "port": true}', "the port must be a number"),
        ('{"conn_type": "t", "host": 3}', "host must be a text"),
        ('{"conn_type": "t", "extra": [1]}', "extra must be a JSON object"),
    ],
)
def test_a_malformed_text_is_an_error_that_names_the_part_and_no_secret(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Connection.parse("my_db", text)
    assert says in str(caught.value)
    assert "`my_db`" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_uri_together_with_fields_is_an_error() -> None:
    with pytest.raises(ConfigError, match="connection `c` is given as a URI and by host, port"):
        Connection("c", host="h", port=1, uri="t://")


def test_repr_hides_password_and_extra() -> None:
    connection = Connection("c", "t", "h", "me", "s3cret", extra={"token": "t0ken"})
    assert repr(connection) == (
        "Connection(conn_id='c', conn_type='t', host='h', login='me', password='***', extra='***')"
    )


def test_a_connection_never_changes_and_compares_by_value() -> None:
    connection = Connection("c", "t", extra='{"a":   1}')
    with pytest.raises(AttributeError, match="never changes"):
        connection.host = "other"
    assert connection == Connection("c", "t", extra={"a": 1})
    assert hash(connection) == hash(Connection("c", "t", extra={"a": 1}))
    assert connection != Connection("d", "t", extra={"a": 1})
    assert copy.deepcopy(connection) == connection


def test_extra_dejson_is_a_fresh_dict() -> None:
    connection = Connection("c", extra={"a": {"b": 1}})
    connection.extra_dejson["a"]["b"] = 2
    assert connection.extra_dejson == {"a": {"b": 1}}
    assert Connection("c").extra_dejson == {}


def test_exported_files_of_others_hold_a_description_and_an_extra_as_text() -> None:
    fields = {"conn_type": "t", "description": "ours", "extra": '{"a": 1}', "port": "80", "login": None}
    assert Connection.from_json("c", json.dumps(fields)) == Connection("c", "t", port=80, extra={"a": 1})
    assert tuple(Connection("c").to_fields()) == FIELDS
