"""Names: whatever they hold, they stay names."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import UsageError
from windlass_sql.identifiers import quote_identifier, quote_name, split_name


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("orders", '"orders"'),
        ("Order Items", '"Order Items"'),
        ('a"; drop table b; --', '"a""; drop table b; --"'),
        ("été", '"été"'),
        ("select", '"select"'),
    ],
)
def test_a_name_is_quoted_whole(name: str, quoted: str) -> None:
    assert quote_identifier(name) == quoted


def test_other_databases_have_other_quotes() -> None:
    assert quote_identifier("a`b", "`") == "`a``b`"
    assert quote_name("shop.`a.b`", "`") == "`shop`.`a.b`"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_no_database_takes_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"needs a name|NUL"):
        quote_identifier(name)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("orders", ("orders",)),
        ("sales.orders", ("sales", "orders")),
        ('sales."order.items"', ("sales", "order.items")),
        ('"a""b".c', ('a"b', "c")),
        (["sales", "a.b"], ("sales", "a.b")),
        ('it"s', ('it"s',)),
    ],
)
def test_a_name_has_parts(name: str, parts: tuple[str, ...]) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize("name", ['"open', '"a"b', '"a""'])
def test_a_quote_that_does_not_close_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="quote that does not close"):
        split_name(name)


@pytest.mark.parametrize("name", ["a.", ".a", "a..b"])
def test_an_empty_part_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="needs a name"):
        quote_name(name)


@given(st.text(min_size=1, max_size=20).filter(lambda name: "\0" not in name and name.isprintable()))
def test_a_database_reads_back_the_same_name(name: str) -> None:
    with closing(sqlite3.connect(":memory:")) as conn:
        cursor = conn.execute(f"SELECT 1 AS {quote_identifier(name)}")
        assert cursor.description[0][0] == name
