"""A connection: where another system is and how to log in to it.

It is written as fields, as a URI or as JSON, and all three say exactly the same: every value survives the round trip,
an empty text stays different from none, whatever characters it holds. The parts of a URI are percent-encoded::

    type://login:password@host:port/schema?key=value

A part that is not there is None. What a URI has no syntax for stands in its query: ``__extra__`` is the whole extra as
JSON (needed unless it is a flat object of texts), ``__empty__`` names the parts that are empty texts. An error says
what is wrong and never quotes the URI, which holds a password.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Self, cast
from urllib.parse import quote, unquote

from windlass.errors import ConfigError

#: The fields besides the id, in the order in which they are shown.
FIELDS: Final = ("conn_type", "host", "login", "password", "schema", "port", "extra")

_EXTRA = "__extra__"
_EMPTY = "__empty__"
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_+.]*")
_URI = re.compile(
    r"(?:(?P<type>[^:/?#]*):)?//(?P<authority>(?:[a-z][a-z0-9+.-]*://)?[^/?]*)(?:/(?P<schema>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MASK = "***"


class Connection:
    """A named connection. It never changes once made, and its ``repr`` hides the password and the extra."""

    __slots__ = ("conn_id", "conn_type", "extra", "host", "login", "password", "port", "schema")

    conn_id: str
    conn_type: str | None
    host: str | None
    login: str | None
    password: str | None
    schema: str | None
    port: int | None
    #: A JSON object as text, in one canonical spelling.
    extra: str | None

    def __init__(
        self,
        conn_id: str = "",
        conn_type: str | None = None,
        host: str | None = None,
        login: str | None = None,
        password: str | None = None,
        schema: str | None = None,
        port: int | None = None,
        extra: str | Mapping[str, Any] | None = None,
        *,
        uri: str | None = None,
    ) -> None:
        """Make a connection from its fields, or from ``uri`` alone.

        :raises ConfigError: if a field cannot be what it is, or a URI is given together with fields.
        """
        fields: dict[str, Any] = {
            "conn_type": conn_type, "host": host, "login": login, "password": password,
            "schema": schema, "port": port, "extra": extra,
        }  # fmt: skip
        if uri is not None:
            if given := [name for name, value in fields.items() if value is not None]:
                msg = f"{_named(conn_id)} is given as a URI and by {', '.join(given)}; give one or the other"
                raise ConfigError(msg)
            fields = _parse_uri(conn_id, uri)
        fields["conn_type"] = _check_type(conn_id, fields["conn_type"])
        fields["port"] = _check_port(conn_id, fields["port"])
        fields["extra"] = _check_extra(conn_id, fields["extra"])
        for name in ("host", "login", "password", "schema"):
            if not isinstance(fields[name], str | None):
                raise ConfigError(f"{_named(conn_id)}: {name} must be a text")
        object.__setattr__(self, "conn_id", conn_id)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        msg = f"a Connection never changes; make another instead of setting {name}"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Connection):
            return NotImplemented
        return self.conn_id == other.conn_id and self.to_fields() == other.to_fields()

    def __hash__(self) -> int:
        return hash((self.conn_id, *self.to_fields().values()))

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.to_fields().items() if value is not None}
        shown |= {name: _MASK for name in ("password", "extra") if name in shown}
        parts = ", ".join(f"{name}={value!r}" for name, value in {"conn_id": self.conn_id, **shown}.items())
        return f"Connection({parts})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.conn_id, *(getattr(self, name) for name in _ARGUMENTS))

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extra as a dict, empty if there is none; a new one each time."""
        return {} if self.extra is None else cast(dict[str, Any], json.loads(self.extra))

    @classmethod
    def get(cls, conn_id: str) -> Connection:
        """Return the connection ``conn_id``, from inside a task.

        :raises ConnectionNotDefined: if no place of the lookup chain knows it.
        """
        from windlass.interfaces.hook import BaseHook

        return BaseHook.get_connection(conn_id)

    def get_hook(self, *, hook_params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - any hook
        """Return the hook of this connection, from inside a task; see :meth:`BaseHook.get_hook`."""
        from windlass.interfaces.hook import BaseHook

        return BaseHook.get_hook(self.conn_id, hook_params)

    # --- as fields -----------------------------------------------------------------------------------------------

    @classmethod
    def from_fields(cls, conn_id: str, fields: Mapping[str, Any]) -> Self:
        """Return the connection that a mapping of its fields describes; what is missing is None.

        ``port`` may be a text and ``extra`` a JSON object or its text. ``conn_id`` and ``description`` may stand
        there too, as they do in exported files, and say nothing more.

        :raises ConfigError: for a key that is no field, with the closest one that is.
        """
        for name in fields:
            if name not in FIELDS and name not in {"conn_id", "description"}:
                raise _unknown_field(conn_id, name)
        return cls(conn_id, **{name: fields.get(name) for name in FIELDS})

    def to_fields(self) -> dict[str, str | int | None]:
        """Return all fields but the id, in order, with None for what is not there."""
        return {name: getattr(self, name) for name in FIELDS}

    # --- as text -------------------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, conn_id: str, text: str) -> Self:
        """Return the connection that a text describes: JSON if it starts with ``{``, else a URI.

        :raises ConfigError: if it is neither.
        """
        text = text.strip()
        return cls.from_json(conn_id, text) if text.startswith("{") else cls.from_uri(conn_id, text)

    @classmethod
    def from_json(cls, conn_id: str, text: str) -> Self:
        """Return the connection that a JSON object of its fields describes.

        :raises ConfigError: if it is no such object; the text is not quoted.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "it"
            msg = f"{_named(conn_id)} is not valid JSON: look at {where}"
            raise ConfigError(msg) from None
        if not isinstance(fields, dict):
            msg = f'{_named(conn_id)} must be a JSON object such as {{"conn_type": "postgres", "host": "db"}}'
            raise ConfigError(msg)
        return cls.from_fields(conn_id, fields)

    def to_json(self) -> str:
        """Return the JSON object of the fields that are not None, for :meth:`from_json`."""
        fields: dict[str, Any] = {name: value for name, value in self.to_fields().items() if value is not None}
        if self.extra is not None:
            fields["extra"] = self.extra_dejson
        return json.dumps(fields)

    @classmethod
    def from_uri(cls, conn_id: str, uri: str) -> Self:
        """Return the connection that a URI describes.

        :raises ConfigError: naming the part that is wrong, without quoting it.
        """
        return cls(conn_id, uri=uri)

    def to_uri(self) -> str:
        """Return the URI of this connection, for :meth:`from_uri`."""
        uri = f"{(self.conn_type or '').replace('_', '-')}:" if self.conn_type else ""
        uri += "//"
        if self.login is not None or self.password is not None:
            uri += _encode(self.login or "")
            uri += f":{_encode(self.password)}" if self.password is not None else ""
            uri += "@"
        uri += _encode(self.host or "")
        uri += f":{self.port}" if self.port is not None else ""
        uri += f"/{_encode(self.schema)}" if self.schema else ""
        query = _query_of(self.extra, [name for name in _TEXTS if getattr(self, name) == ""])
        return f"{uri}?{query}" if query else uri

    get_uri = to_uri


_TEXTS: Final = ("host", "login", "password", "schema")
_ARGUMENTS: Final = ("conn_type", "host", "login", "password", "schema", "port", "extra")


def _named(conn_id: str) -> str:
    return f"connection `{conn_id}`" if conn_id else "the connection"


def _encode(text: str) -> str:
    return quote(text, safe="")


def _unknown_field(conn_id: str, name: str) -> ConfigError:
    import difflib

    close = difflib.get_close_matches(name, FIELDS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"its fields are {', '.join(FIELDS)}; put the rest into extra"
    return ConfigError(f"{_named(conn_id)} has no field {name!r}; {hint}")


def _check_type(conn_id: str, value: object) -> str | None:
    if value is None or value == "":
        return None
    text = value.replace("-", "_") if isinstance(value, str) else ""
    if not _TYPE.fullmatch(text):
        msg = f"{_named(conn_id)}: the type must be a name such as postgres or google_cloud_platform"
        raise ConfigError(msg)
    return text


def _check_port(conn_id: str, value: object) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65_535:
        raise ConfigError(f"{_named(conn_id)}: the port must be a number from 0 to 65535")
    return value


def _check_extra(conn_id: str, value: object) -> str | None:
    if value is None or value == "":
        return None
    try:
        data = json.loads(value) if isinstance(value, str) else value
        if isinstance(data, Mapping):
            return json.dumps(dict(data), allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        pass
    msg = f'{_named(conn_id)}: extra must be a JSON object such as {{"region": "eu"}}'
    raise ConfigError(msg)


def _query_of(extra: str | None, empty: list[str]) -> str:
    pairs: list[tuple[str, str]] = []
    if extra is not None:
        data = json.loads(extra)
        flat = bool(data) and all(isinstance(value, str) and _plain(value) for value in data.values())
        flat = flat and not data.keys() & {_EXTRA, _EMPTY} and all(_plain(key) for key in data)
        pairs = list(data.items()) if flat else [(_EXTRA, extra)]
    if empty:
        pairs.append((_EMPTY, ",".join(empty)))
    return "&".join(f"{_encode(key)}={_encode(value)}" for key, value in pairs)


def _plain(text: str) -> bool:
    """Whether a URI can hold the text: lone surrogates, which only JSON can spell, have no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _parse_uri(conn_id: str, uri: str) -> dict[str, Any]:
    match = _URI.fullmatch(uri.strip())
    if match is None:
        msg = (
            f"{_named(conn_id)}: a URI looks like type://login:password@host:port/schema?key=value, and this has no ://"
        )
        raise ConfigError(msg)
    fields = dict.fromkeys(FIELDS)
    parts: dict[str, str | None] = {"type": match["type"], "schema": match["schema"]}
    credentials, at, address = match["authority"].rpartition("@")
    protocol, separator, behind = credentials.partition("://")
    if separator:  # type://https://login:password@host: the protocol belongs to the host
        credentials, address = behind, f"{protocol}://{address}"
    parts["login"], colon, password = credentials.partition(":") if at else (None, "", "")
    parts["password"] = password if colon else None
    parts["host"], port = _split_port(address)
    result: dict[str, Any] = fields | {name: _decode(conn_id, name, value) or None for name, value in parts.items()}
    result["conn_type"] = result.pop("type")
    result["port"] = _check_port(conn_id, port)
    _read_query(conn_id, match["query"] or "", result)
    return result


def _split_port(address: str) -> tuple[str, str | None]:
    if address.startswith("["):  # an IPv6 address
        host, _, rest = address[1:].partition("]")
        return host, rest.removeprefix(":") or None
    protocol, separator, name = address.rpartition("://")
    host, colon, port = name.partition(":")
    return protocol + separator + host, port if colon else None


def _decode(conn_id: str, part: str, text: str | None) -> str | None:
    if text is None or "%" not in text:
        return text
    if _BAD_PERCENT.search(text):
        msg = f"{_named(conn_id)}: the {part} in the URI has a % that begins no percent code; write %25 for a % sign"
        raise ConfigError(msg)
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        msg = f"{_named(conn_id)}: the percent codes of the {part} in the URI are not UTF-8; encode it again"
        raise ConfigError(msg) from None


def _read_query(conn_id: str, query: str, fields: dict[str, Any]) -> None:
    extra: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        raw_key, _, raw_value = pair.partition("=")
        key = _decode(conn_id, "query", raw_key.replace("+", " ")) or ""
        value = _decode(conn_id, "query", raw_value.replace("+", " ")) or ""
        if key in extra:
            msg = f"{_named(conn_id)}: the query of the URI gives {key!r} twice; remove one"
            raise ConfigError(msg)
        extra[key] = value
    for name in filter(None, extra.pop(_EMPTY, "").split(",")):
        if name not in _TEXTS:
            msg = f"{_named(conn_id)}: {_EMPTY} in the URI names {', '.join(_TEXTS)} only"
            raise ConfigError(msg)
        fields[name] = fields[name] or ""
    whole = extra.pop(_EXTRA, None)
    if whole is not None and extra:
        msg = f"{_named(conn_id)}: the URI has {_EXTRA} and other keys in its query; put all of them into {_EXTRA}"
        raise ConfigError(msg)
    fields["extra"] = whole if whole is not None else (extra or None)
