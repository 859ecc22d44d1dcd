"""Data frames, where their libraries are installed; and what is said where they are not."""

from __future__ import annotations

import sys

import pytest

from windlass.errors import ConfigError, UsageError
from windlass_sql.sqlite import SqliteHook


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_a_library_that_is_not_installed_is_named(
    items: SqliteHook, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"{name} was asked for, .*pip install {name}`"):
        items.get_df("select * from items", df_type=name)


def test_another_library_is_none_of_these(items: SqliteHook) -> None:
    with pytest.raises(UsageError, match="df_type must be one of pandas, polars, not 'arrow'"):
        items.get_df("select 1", df_type="arrow")


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_rows_become_frames(items: SqliteHook, name: str) -> None:
    pytest.importorskip(name, reason=f"pip install {name}")
    sql = "select id, name from items order by id"
    frame = items.get_df(sql, df_type=name)
    assert list(frame.columns) == ["id", "name"]
    assert frame.shape == (3, 2)
    assert list(frame["id"]) == [1, 2, 3]
    assert items.get_df("select id from items where id > ?", (9,), df_type=name).shape == (0, 1)
    assert [len(chunk) for chunk in items.get_df_by_chunks(sql, chunksize=2, df_type=name)] == [2, 1]
