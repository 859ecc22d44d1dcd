"""Arrays and frames as bytes: numpy by its own description, everything tabular as an Arrow stream.

Loaded only for values of these libraries. Frames need pyarrow, and the error says so.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from importlib import import_module
from typing import Any

import msgspec

from windlass.errors import XComError


class _Array(msgspec.Struct, frozen=True, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def encode(value: Any, library: str) -> tuple[str, bytes] | None:
    """Return the codec's id and the bytes of ``value``; None if it is no array, scalar or frame of ``library``."""
    kind = type(value).__name__
    if library == "numpy":
        return _encode_numpy(value)
    if library == "pandas" and kind == "DataFrame":
        return "arrow.pandas/1", _stream(_pyarrow("pandas").Table.from_pandas(value))
    if library == "polars" and kind == "DataFrame":
        return "arrow.polars/1", _stream(_as_table(value))
    if library == "pyarrow" and kind == "Table":
        return "arrow/1", _stream(value)
    return None


def decode(codec_id: str, data: bytes) -> Any:
    """Return the array, scalar or frame that ``data`` holds."""
    if codec_id.startswith("numpy"):
        numpy = _library("numpy")
        stored = msgspec.msgpack.decode(data, type=_Array)
        array = numpy.frombuffer(stored.data, dtype=numpy.dtype(stored.dtype)).reshape(stored.shape)
        return array[()] if codec_id == "numpy.scalar/1" else array.copy()
    table = _pyarrow(codec_id).ipc.open_stream(data).read_all()
    if codec_id == "arrow.pandas/1":
        _library("pandas")
        return table.to_pandas()
    if codec_id == "arrow.polars/1":
        return _library("polars").from_arrow(table)
    return table


def _encode_numpy(value: Any) -> tuple[str, bytes] | None:
    numpy = _library("numpy")
    if not isinstance(value, (numpy.ndarray, numpy.generic)):
        return None
    array = numpy.asarray(value)
    if array.dtype.hasobject or array.dtype.fields:
        raise XComError(
            f"a numpy array of dtype {array.dtype} cannot travel between tasks; convert it to plain numbers or text"
        )
    stored = _Array(array.dtype.str, array.shape, numpy.ascontiguousarray(array).tobytes())
    codec_id = "numpy/1" if isinstance(value, numpy.ndarray) else "numpy.scalar/1"
    return codec_id, msgspec.msgpack.encode(stored)


def _as_table(value: Any) -> Any:
    _pyarrow("polars")
    return value.to_arrow()


def _stream(table: Any) -> bytes:
    pyarrow = _pyarrow("frame")
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _pyarrow(what: str) -> Any:
    try:
        import_module("pyarrow.ipc")
        return import_module("pyarrow")
    except ImportError:
        raise XComError(
            f"a {what} table travels between tasks as Arrow, which needs pyarrow: pip install pyarrow"
        ) from None


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise XComError(f"the value was made with {name}, which is not installed here: pip install {name}") from None
