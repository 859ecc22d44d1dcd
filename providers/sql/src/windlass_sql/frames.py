"""Rows as data frames, of libraries that are imported only here and need not be installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from windlass.errors import ConfigError, UsageError

Maker = Callable[[Sequence[Any], list[str]], Any]


def maker(df_type: str, **kwargs: object) -> Maker:
    """Return what makes a frame of rows and the names of their columns; ``kwargs`` go to the frame's constructor.

    :raises UsageError: if there is no such type of frame.
    :raises ConfigError: if its library is not installed.
    """
    makers = {"pandas": _pandas, "polars": _polars}
    if df_type not in makers:
        raise UsageError(f"df_type must be one of {', '.join(makers)}, not {df_type!r}")
    try:
        return makers[df_type](kwargs)
    except ImportError as error:
        if error.name != df_type:
            raise
        raise ConfigError(
            f"a data frame of {df_type} was asked for, which is not installed where the task runs; install it with "
            f"`pip install {df_type}`, or use get_records or stream"
        ) from None


def _pandas(kwargs: dict[str, Any]) -> Maker:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore] # need not be installed

    def make(rows: Sequence[Any], names: list[str]) -> Any:  # noqa: ANN401 - a library that need not be installed
        return pd.DataFrame.from_records(rows, columns=names, **kwargs)

    return make


def _polars(kwargs: dict[str, Any]) -> Maker:
    import polars as pl  # type: ignore[import-not-found, unused-ignore] # need not be installed

    def make(rows: Sequence[Any], names: list[str]) -> Any:  # noqa: ANN401 - a library that need not be installed
        given = {"orient": "row", "infer_schema_length": None, **kwargs}
        return pl.DataFrame(rows, schema=names, **given)

    return make
