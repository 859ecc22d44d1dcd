"""How Python values become bytes and come back the same: never pickle, never an import by a name found in data.

Plain JSON values travel as JSON that anybody can read. Anything richer is JSON too, in which what JSON lacks is an
object with one marker key. A class (dataclass, enum, model) is named in the data, but only looked up among the modules
that the DAG's own code has imported, and only used if it is of the kind that the marker says. Arrays and frames are
binary. Libraries are recognised by the name of a value's module, so none is imported to find out that it is not used.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import base64
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from windlass.errors import XComError

JSON = "json"
TAGGED = "tagged/1"
BYTES = "bytes"
_TAG = "__windlass__"
_MAX_INT = 1 << 63
_json_encode = msgspec.json.Encoder().encode
_json_decode = msgspec.json.Decoder().decode


class _Unknown(Exception):
    """A value of a type that no rule knows."""

    def __init__(self, value: object) -> None:
        self.kind = f"{type(value).__module__}.{type(value).__qualname__}"


class _Writer:
    """Turns a value into JSON data, noting whether anything needed a tag."""

    def __init__(self) -> None:
        self.tagged = False

    def tag(self, name: str, value: Any) -> dict[str, Any]:
        self.tagged = True
        return {_TAG: name, "value": value}

    def plain(self, value: Any) -> Any:
        kind = type(value)
        if kind is str or kind is bool or value is None:
            return value
        if kind is int:
            return value if -_MAX_INT <= value < _MAX_INT else self.tag("int", str(value))
        if kind is float:
            return value if math.isfinite(value) else self.tag("float", repr(value))
        if kind is list:
            return [self.plain(item) for item in value]
        if kind is dict:
            return self._dict(value)
        rule = _EXACT.get(kind)
        if rule is not None:
            name, write = rule
            return self.tag(name, write(self, value))
        return self._other(value)

    def _dict(self, value: Mapping[Any, Any]) -> Any:
        if _TAG not in value and all(type(key) is str for key in value):
            return {key: self.plain(item) for key, item in value.items()}
        return self.tag("dict", [[self.plain(key), self.plain(item)] for key, item in value.items()])

    def _other(self, value: Any) -> Any:
        """Encode an instance of a class that the rules know by one of its traits."""
        kind = type(value)
        if isinstance(value, Enum):
            return self.tag("enum", [_name_of(kind), self.plain(value.value)])
        if hasattr(kind, "__dataclass_fields__"):
            return self._object("dataclass", kind, {name: getattr(value, name) for name in kind.__dataclass_fields__})
        if isinstance(value, msgspec.Struct):
            return self._object("struct", kind, {name: getattr(value, name) for name in kind.__struct_fields__})
        if hasattr(kind, "__attrs_attrs__"):
            return self._object("attrs", kind, {a.name: getattr(value, a.name) for a in kind.__attrs_attrs__})
        if hasattr(kind, "__pydantic_fields__") or (hasattr(kind, "model_fields") and hasattr(kind, "model_dump")):
            return self._object("pydantic", kind, {name: getattr(value, name) for name in kind.model_fields})
        if isinstance(value, tuple):
            if hasattr(kind, "_fields"):
                return self.tag("namedtuple", [_name_of(kind), [self.plain(item) for item in value]])
            return self.tag("tuple", [self.plain(item) for item in value])
        binary = _binary(value)
        if binary is None:
            for base, rule in _BY_BASE:
                if isinstance(value, base):
                    return rule(self, value)
            binary = _provided(value)
        if binary is None:
            raise _Unknown(value)
        codec_id, data = binary
        return self.tag("binary", [codec_id, _b64(data)])

    def _object(self, name: str, kind: type, fields: Mapping[str, Any]) -> Any:
        return self.tag(name, [_name_of(kind), {key: self.plain(item) for key, item in fields.items()}])


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _sorted_items(writer: _Writer, value: Any) -> list[Any]:
    """Give a set an order, so that equal sets have equal bytes."""
    return sorted((writer.plain(item) for item in value), key=_json_encode)


def _write_datetime(_writer: _Writer, value: datetime) -> Any:
    zone = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "name", None)
    if isinstance(zone, str) and value.tzinfo is not None:
        naive = datetime.combine(value.date(), value.time().replace(tzinfo=None))
        return [naive.isoformat(), zone, value.fold]
    return [value.isoformat(), None, value.fold]


def _read_datetime(value: list[Any]) -> datetime:
    text, zone, fold = value
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=ZoneInfo(zone) if zone else found.tzinfo, fold=fold)


def _name_of(kind: type) -> str:
    if "<locals>" in kind.__qualname__:
        raise XComError(
            f"{kind.__qualname__} is defined inside a function, so another task cannot find it; "
            "define the class at the top level of the DAG file or of a module"
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(name: str, check: Callable[[Any], bool]) -> Any:
    """Return a class that the DAG's code has already imported; data never causes an import."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not check(found):
        raise XComError(
            f"the value is of class {name}, which this task's DAG file has not imported; import it there, "
            "or return plain data (a dict) instead"
        )
    return found


def _read_enum(value: list[Any]) -> Any:
    name, member = value
    return _class(name, lambda kind: issubclass(kind, Enum))(_read(member))


def _fields(value: list[Any], check: Callable[[Any], bool]) -> tuple[Any, dict[str, Any]]:
    name, fields = value
    return _class(name, check), {key: _read(item) for key, item in fields.items()}


def _read_dataclass(value: list[Any]) -> Any:
    kind, fields = _fields(value, lambda found: hasattr(found, "__dataclass_fields__"))
    made = object.__new__(kind)  # as it was: __post_init__ has had its say when it was first made
    for name, item in fields.items():
        object.__setattr__(made, name, item)
    return made


def _read_attrs(value: list[Any]) -> Any:
    kind, fields = _fields(value, lambda found: hasattr(found, "__attrs_attrs__"))
    made = object.__new__(kind)
    for name, item in fields.items():
        object.__setattr__(made, name, item)
    return made


def _read_struct(value: list[Any]) -> Any:
    kind, fields = _fields(value, lambda found: issubclass(found, msgspec.Struct))
    return kind(**fields)


def _read_pydantic(value: list[Any]) -> Any:
    kind, fields = _fields(value, lambda found: hasattr(found, "model_construct"))
    return kind.model_construct(**fields)


def _read_namedtuple(value: list[Any]) -> Any:
    name, items = value
    return _class(name, lambda kind: issubclass(kind, tuple))(*map(_read, items))


def _list(writer: _Writer, value: Any) -> list[Any]:
    return [writer.plain(item) for item in value]


#: Exact type -> (tag, writer).
_EXACT: dict[type, tuple[str, Callable[[_Writer, Any], Any]]] = {
    tuple: ("tuple", _list),
    set: ("set", _sorted_items),
    frozenset: ("frozenset", _sorted_items),
    bytes: ("bytes", lambda _, value: _b64(value)),
    bytearray: ("bytearray", lambda _, value: _b64(bytes(value))),
    datetime: ("datetime", _write_datetime),
    date: ("date", lambda _, value: value.isoformat()),
    time: ("time", lambda _, value: [value.isoformat(), value.fold]),
    timedelta: ("timedelta", lambda _, value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("decimal", lambda _, value: str(value)),
    UUID: ("uuid", lambda _, value: value.hex),
}

#: Base class -> how its subclasses travel: as the base.
_BY_BASE: tuple[tuple[type, Callable[[_Writer, Any], Any]], ...] = (
    (Path, lambda writer, value: writer.tag("path", str(value))),
    (PurePath, lambda writer, value: writer.tag("purepath", str(value))),
    (datetime, lambda writer, value: writer.tag("datetime", _write_datetime(writer, value))),
    (date, lambda writer, value: writer.tag("date", value.isoformat())),
    (bool, lambda _, value: bool(value)),
    (int, lambda writer, value: writer.plain(int(value))),
    (float, lambda writer, value: writer.plain(float(value))),
    (str, lambda _, value: str(value)),
    (dict, lambda writer, value: writer.plain(dict(value))),
    (list, lambda writer, value: writer.plain(list(value))),
    (Sequence, lambda writer, value: writer.plain(list(value))),
)

_READERS: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "text": lambda value: base64.b64decode(value).decode("utf-8", "surrogatepass"),
    "dict": lambda value: {_read(key): _read(item) for key, item in value},
    "tuple": lambda value: tuple(map(_read, value)),
    "set": lambda value: set(map(_read, value)),
    "frozenset": lambda value: frozenset(map(_read, value)),
    "bytes": base64.b64decode,
    "bytearray": lambda value: bytearray(base64.b64decode(value)),
    "datetime": _read_datetime,
    "date": date.fromisoformat,
    "time": lambda value: time.fromisoformat(value[0]).replace(fold=value[1]),
    "timedelta": lambda value: timedelta(*value),
    "decimal": Decimal,
    "uuid": lambda value: UUID(hex=value),
    "path": Path,
    "purepath": PurePath,
    "enum": _read_enum,
    "dataclass": _read_dataclass,
    "attrs": _read_attrs,
    "struct": _read_struct,
    "pydantic": _read_pydantic,
    "namedtuple": _read_namedtuple,
    "binary": lambda value: decode(value[0], base64.b64decode(value[1])),
}


def _read(value: Any) -> Any:
    if type(value) is list:
        return [_read(item) for item in value]
    if type(value) is dict:
        name = value.get(_TAG)
        if name is None:
            return {key: _read(item) for key, item in value.items()}
        reader = _READERS.get(name)
        if reader is None:
            raise XComError(
                f"the value needs a reader for {name!r}, which this version does not have; upgrade windlass"
            )
        return reader(value["value"])
    return value


def encode(value: Any, what: str) -> tuple[str, bytes]:
    """Return the codec's id and the bytes of ``value``; ``what`` names it in errors.

    :raises XComError: if its type cannot travel.
    """
    if type(value) is bytes:
        return BYTES, value
    writer = _Writer()
    try:
        data = writer.plain(value)
    except _Unknown as unknown:
        raise XComError(
            f"{what} holds a {unknown.kind}, which cannot travel between tasks; return plain data, a dataclass or a "
            "file (context['artifacts'].put(path)), or install a provider with a codec for it"
        ) from None
    except RecursionError:
        raise XComError(f"{what} is nested too deeply or contains itself; return flat data") from None
    except XComError as error:
        raise XComError(f"{what}: {error}") from None
    if type(data) is dict and data.get(_TAG) == "binary":
        codec_id, text = data["value"]
        return codec_id, base64.b64decode(text)
    try:
        return (TAGGED if writer.tagged else JSON), _json_encode(data)
    except UnicodeEncodeError:
        return TAGGED, _json_encode(_without_surrogates(data))


def _without_surrogates(value: Any) -> Any:
    """Wrap text that UTF-8 cannot hold, such as a file name that was not UTF-8."""
    if isinstance(value, str):
        if value.isascii():
            return value
        return {_TAG: "text", "value": _b64(value.encode("utf-8", "surrogatepass"))}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        if _TAG in value:
            return {_TAG: value[_TAG], "value": _without_surrogates(value["value"])}
        if all(key.isascii() for key in value):
            return {key: _without_surrogates(item) for key, item in value.items()}
        pairs = [[_without_surrogates(key), _without_surrogates(item)] for key, item in value.items()]
        return {_TAG: "dict", "value": pairs}
    return value


def decode(codec_id: str, data: bytes) -> Any:
    """Return the value that ``data`` holds.

    :raises XComError: if it needs a codec or a class that is not here.
    """
    if codec_id == JSON:
        return _json_decode(data)
    if codec_id == TAGGED:
        return _read(_json_decode(data))
    if codec_id == BYTES:
        return data
    if codec_id in ("numpy/1", "numpy.scalar/1", "arrow.pandas/1", "arrow.polars/1", "arrow/1"):
        from windlass.runtime import frames

        return frames.decode(codec_id, data)
    from windlass.registry import lookup

    return lookup("xcom_codecs", codec_id)().decode(data)


def _binary(value: Any) -> tuple[str, bytes] | None:
    """Return the codec's id and the bytes of an array or a frame, recognised by the name of its library."""
    library = type(value).__module__.partition(".")[0]
    if library not in ("numpy", "pandas", "polars", "pyarrow"):
        return None
    from windlass.runtime import frames

    return frames.encode(value, library)


def _provided(value: Any) -> tuple[str, bytes] | None:
    """Return the codec's id and the bytes of a value that a provider's codec knows."""
    from windlass.registry import lookup, registry

    ids = registry().names("xcom_codecs")
    if not ids:
        return None
    names = {f"{base.__module__}.{base.__qualname__}" for base in type(value).__mro__}
    for codec_id in ids:
        codec = lookup("xcom_codecs", codec_id)
        if names.intersection(codec.type_names):
            return codec_id, codec().encode(value)
    return None
