"""Connections and variables in files: four formats, and mistakes with their line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from windlass.errors import ConfigError
from windlass.interfaces.connection import Connection
from windlass.secrets.files import FileSource

DB = Connection("db", "postgres", "h", "me", "pw", port=1)
CONNECTIONS = {
    "toml": 'db = "postgres://me:pw@h:1"\n[api]\nconn_type = "http"\n[api.extra]\na = 1\n',
    "yaml": "db: postgres://me:pw@h:1\napi:\n  conn_type: http\n  extra: {a: 1}\n",
    "json": '{"db": "postgres://me:pw@h:1",\n "api": {"conn_type": "http", "extra": {"a": 1}}}',
    "env": "# ours\ndb=postgres://me:pw@h:1\n\nexport api='http://?__extra__=%7B\"a\":1%7D'\n",
}


@pytest.mark.parametrize("suffix", CONNECTIONS)
def test_connections_in_each_format(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"connections.{suffix}").write_text(CONNECTIONS[suffix])
    source = FileSource(tmp_path)
    assert source.get_connection("db") == DB
    assert source.get_connection("api") == Connection("api", "http", extra={"a": 1})
    assert source.get_connection("other") is None
    assert source.get_variable("db") is None


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("toml", 'a = "x"\nb = [1, 2]\n'),
        ("yaml", "a: x\nb: [1, 2]\n"),
        ("json", '{"a": "x", "b": [1, 2]}'),
        ("env", "a=x\nb=[1, 2]\n"),
    ],
)
def test_variables_in_each_format(tmp_path: Path, suffix: str, text: str) -> None:
    (tmp_path / f"variables.{suffix}").write_text(text)
    source = FileSource(tmp_path)
    assert source.get_variable("a") == "x"
    assert source.get_variable("b") == "[1, 2]"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("connections.toml", '[a]\nhost = "h"\n[db]\nhots = "s3cret"\n', ":4: connection `db` has no field 'hots'"),
        ("connections.yaml", "a: x://\ndb:\n  hots: s3cret\n", ":3: connection `db` has no field 'hots'"),
        ("connections.json", '{\n"db": {\n"hots": "s3cret"}}', ":3: connection `db` has no field 'hots'"),
        ("connections.env", "\ndb=s3cret\n", ":2: connection `db`: a URI looks like"),
        ("connections.yaml", "db: x://\nother: x://\ndb: y://\n", ":3: 'db' is defined twice"),
        ("connections.yaml", "db:\n  host: a\n  host: b\n", ":3: 'host' is defined twice"),
        ("connections.json", '{"db": "x://",\n"db": "y://"}', ":2: 'db' is defined twice"),
        ("connections.env", "db=x://\ndb=y://\n", ":2: 'db' is defined twice"),
        ("connections.toml", 'db = "x://"\ndb = "y://"\n', ":2: this is not TOML: "),
        ("connections.toml", 'db = "x://\n', ":1: this is not TOML: "),
        ("connections.yaml", "db: [\n", ":2: this is not YAML: "),
        ("connections.json", '{"db": \n', ":2: this is not JSON: "),
        ("connections.env", "db\n", ":1: a line must be name=value"),
        ("connections.json", "[]", ":1: the file must map names to values"),
        ("connections.yaml", "db: 3\n", ":1: connection `db` must be a URI or a table of fields"),
        ("variables.toml", "\nday = 2026-01-01\n", ":2: variable `day` must be a text or JSON data"),
    ],
)
def test_a_mistake_is_an_error_with_file_and_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    source = FileSource(tmp_path)
    for _ in range(2):  # also the second time: a broken file never turns into an empty one
        with pytest.raises(ConfigError) as caught:
            source.get_variable("a") if name.startswith("variables") else source.get_connection("a")
        assert str(caught.value).startswith(f"{path}{says}")
        assert "s3cret" not in str(caught.value)


def test_two_files_may_not_define_the_same(tmp_path: Path) -> None:
    (tmp_path / "connections.toml").write_text('x = "x://"\ndb = "x://"\n')
    (tmp_path / "connections.env").write_text("db=y://\n")
    with pytest.raises(ConfigError, match=r"connections.env:1: 'db' is already defined at .*connections.toml:2"):
        FileSource(tmp_path).get_connection("x")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    source = FileSource(tmp_path)
    assert source.get_variable("a") is None
    path = tmp_path / "variables.env"
    path.write_text("a=1\n")
    assert source.get_variable("a") == "1"
    path.write_text("a=2\n")
    os.utime(path, ns=(1, 1))
    assert source.get_variable("a") == "2"
    path.write_text("oops\n")
    with pytest.raises(ConfigError):
        source.get_variable("a")
    path.unlink()
    assert source.get_variable("a") is None


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "variables.env").write_bytes(b"a=\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        FileSource(tmp_path).get_variable("a")
