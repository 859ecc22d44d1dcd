"""Connections and variables in files: ``connections.toml``, ``.yaml``, ``.json`` or ``.env``, and ``variables.*``.

A file maps ids to connections, each a URI or a table of fields, and keys to variables, whose values are texts or any
data, which then is JSON to the task. An ``.env`` file has one ``name=value`` per line. Files are read when something
is looked up and again when they have changed. A mistake in one is an error of every lookup that gets there, with the
file and line: a half-understood file must not let a lookup fall through to an older value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from windlass.config.files import read
from windlass.errors import ConfigError, ExtraMissing
from windlass.interfaces.connection import Connection
from windlass.interfaces.secrets_backend import SecretsBackend

T = TypeVar("T")

_STEMS: Final = ("connections", "variables")
SUFFIXES: Final = (".toml", ".yaml", ".yml", ".json", ".env")


class FileSource(SecretsBackend):
    """Reads ``connections.*`` and ``variables.*`` of one folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._connections: _Loaded[Connection] = _Loaded(self.folder, "connections", _connection)
        self._variables: _Loaded[str] = _Loaded(self.folder, "variables", _variable)

    def get_connection(self, conn_id: str) -> Connection | None:
        """Return the connection that a file of the folder defines.

        :raises ConfigError: if a file cannot be understood.
        """
        return self._connections.get(conn_id)

    def get_variable(self, key: str) -> str | None:
        """Return the text of the variable that a file of the folder defines.

        :raises ConfigError: if a file cannot be understood.
        """
        return self._variables.get(key)


def secret_files(folder: Path) -> list[Path]:
    """Return the files of a folder that define connections or variables, as far as there are any."""
    return [path for stem in _STEMS for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()]


class _Loaded(Generic[T]):
    """The entries of all files of one stem, kept until one of them changes."""

    def __init__(self, folder: Path, stem: str, make: Callable[[str, Any], T]) -> None:
        self._paths = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
        self._make = make
        self._seen: list[tuple[str, int, int, int]] | None = None
        self._entries: dict[str, T] = {}

    def get(self, name: str) -> T | None:
        seen = list(self._stamps())
        if seen != self._seen:
            self._entries = self._read([Path(path) for path, *_ in seen])
            self._seen = seen
        return self._entries.get(name)

    def _stamps(self) -> Iterator[tuple[str, int, int, int]]:
        for path in self._paths:
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            yield str(path), status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self, paths: list[Path]) -> dict[str, T]:
        entries: dict[str, T] = {}
        places: dict[str, str] = {}
        for path in paths:
            text = read(path)
            for name, data in _parse(path, text).items():
                where = f"{path}:{_line_of(text, name)}"
                if name in places:
                    msg = f"{where}: {name!r} is already defined at {places[name]}; remove one of them"
                    raise ConfigError(msg)
                places[name] = where
                try:
                    entries[name] = self._make(name, data)
                except ConfigError as error:
                    wrong = re.search(r"no field '([^']+)'", str(error))
                    line = _line_of(text, name, wrong[1] if wrong else None)
                    msg = f"{path}:{line}: {error}"
                    raise ConfigError(msg) from None
        return entries


def _connection(conn_id: str, data: object) -> Connection:
    if isinstance(data, str):
        return Connection.parse(conn_id, data)
    if isinstance(data, dict):
        return Connection.from_fields(conn_id, data)
    msg = f"connection `{conn_id}` must be a URI or a table of fields"
    raise ConfigError(msg)


def _variable(key: str, data: object) -> str:
    if isinstance(data, str):
        return data
    try:
        return json.dumps(data)
    except TypeError:
        msg = f"variable `{key}` must be a text or JSON data; put dates and the like into quotes"
        raise ConfigError(msg) from None


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the names and values of one file in the format that its suffix names; YAML (so also JSON) by default.

    :raises ConfigError: with the file and line, if it cannot be understood.
    """
    return _parse(path, read(path))


def _parse(path: Path, text: str) -> dict[str, Any]:
    parsers = {".toml": _parse_toml, ".json": _parse_json, ".env": _parse_env}
    data = parsers.get(path.suffix, _parse_yaml)(path, text)
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        msg = f"{path}:1: the file must map names to values"
        raise ConfigError(msg)
    return data


def _parse_toml(path: Path, text: str) -> object:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The message says what is wrong and where, and quotes at most a key.
        line = re.search(r"at line (\d+)", str(error))
        msg = f"{path}:{line[1] if line else text.count(chr(10)) + 1}: this is not TOML: {error}"
        raise ConfigError(msg) from None


def _parse_json(path: Path, text: str) -> object:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                msg = f"{path}:{_line_of(text, name, last=True)}: {name!r} is defined twice; remove one of them"
                raise ConfigError(msg)
            found[name] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        msg = f"{path}:{error.lineno}: this is not JSON: {error.msg} (column {error.colno})"
        raise ConfigError(msg) from None


def _parse_yaml(path: Path, text: str) -> object:
    try:
        import yaml
    except ModuleNotFoundError:
        raise ExtraMissing(f"{path} needs PyYAML to be read (TOML and JSON need nothing)") from None

    def check(node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, value in node.value:
                if key.value in names:
                    line = key.start_mark.line + 1
                    msg = f"{path}:{line}: {key.value!r} is defined twice; remove one of them"
                    raise ConfigError(msg)
                names.add(key.value)
                check(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                check(value)

    try:
        check(yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        msg = f"{path}:{line}: this is not YAML: {getattr(error, 'problem', None) or 'it cannot be read'}"
        raise ConfigError(msg) from None


def _parse_env(path: Path, text: str) -> object:
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name:
            msg = f"{path}:{number}: a line must be name=value, empty, or start with #"
            raise ConfigError(msg)
        if name in found:
            msg = f"{path}:{number}: {name!r} is defined twice; remove one of them"
            raise ConfigError(msg)
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in {"'", '"'}
        found[name] = value[1:-1] if quoted else value
    return found


def _line_of(text: str, name: str, key: str | None = None, *, last: bool = False) -> int:
    """Return the line where ``name``, or ``key`` inside it, is defined, in whichever format; 1 if it is not found."""

    def lines(word: str, start: int) -> list[int]:
        pattern = re.compile(rf"""(?:^|[{{,\[\s.])(?P<q>["']?){re.escape(word)}(?P=q)\s*[\]:=.]""")
        return [
            number for number, line in enumerate(text.splitlines(), start=1) if number >= start and pattern.search(line)
        ]

    found = lines(name, 1)
    if not found:
        return 1
    line = found[-1] if last else found[0]
    return next(iter(lines(key, line)), line) if key is not None else line
