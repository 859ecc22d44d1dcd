"""What databases understand differently is in no statement of the store, whichever database runs the tests.

MySQL refuses an UPDATE or DELETE that reads its own table, and gives a SET the new values of what stands to its left.
Its list of reserved words is long.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest
from sqlalchemy.dialects.mysql.reserved_words import RESERVED_WORDS_MARIADB, RESERVED_WORDS_MYSQL

from windlass import store
from windlass.store.invariants import INVARIANTS

_CHANGES = re.compile(r"(?:UPDATE|DELETE FROM) \"?(\w+)\"?")
_STATEMENT = re.compile(r"(?:SELECT|INSERT|UPDATE|DELETE) ")
_NOT_A_NAME = re.compile(r"'[^']*'|\"[^\"]*\"|:\w+")
_SET = re.compile(r"\bSET (.*?)(?: WHERE |$)")


def constants(value: object) -> Iterator[str]:
    """Yield the texts in a constant."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list | frozenset):
        for part in value:
            yield from constants(part)
    elif isinstance(value, dict):
        yield from constants(list(value.values()))


EVERYTHING = {
    sql
    for module in pkgutil.iter_modules(store.__path__, "windlass.store.")
    if not module.ispkg
    for value in vars(importlib.import_module(module.name)).values()
    for sql in constants(value)
    if _STATEMENT.match(sql)
} | {invariant.sql for invariant in INVARIANTS.values()}
STATEMENTS = sorted(filter(_CHANGES.match, EVERYTHING))


def assignments(sql: str) -> Iterator[tuple[str, str]]:
    """Yield column and value of each assignment of an UPDATE."""
    found = _SET.search(sql)
    depth, part = 0, ""
    for letter in (found[1] if found else "") + ",":
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0 and part:
            column, _, value = part.strip().partition(" = ")
            yield column, value
            part = ""
        else:
            part += letter


def reads_its_own_table(sql: str) -> bool:
    changed = _CHANGES.match(sql)
    return changed is not None and re.search(rf"\b(?:FROM|JOIN) {changed[1]}\b", sql[changed.end() :]) is not None


def reads_what_it_has_set(sql: str) -> bool:
    done: list[str] = []
    for column, value in assignments(sql):
        if any(re.search(rf"(?<![:\w.']){earlier}\b", value) for earlier in done):
            return True
        done.append(column)
    return False


def reserved_names(sql: str) -> set[str]:
    """Return the names in lower case, as all of ours are, that stand unquoted and are reserved."""
    names = set(re.findall(r"\b[a-z_]+\b", _NOT_A_NAME.sub("", sql)))
    return names & (RESERVED_WORDS_MYSQL | RESERVED_WORDS_MARIADB) - {"position"}  # a function, if "(" follows


def test_these_tests_see_the_statements_and_what_is_wrong_with_them() -> None:
    assert len(STATEMENTS) > 40
    assert len(EVERYTHING) > 150
    assert reserved_names("SELECT a.before FROM a WHERE b = 'before' AND c = :before") == {"before"}
    assert reads_its_own_table("DELETE FROM run WHERE id IN (SELECT r.id FROM run r)")
    assert not reads_its_own_table("DELETE FROM run WHERE id IN (SELECT r.run FROM run_transition r)")
    assert reads_what_it_has_set("UPDATE t SET a = :b, b = CASE WHEN a = 1 THEN MAX(b, 2) END WHERE c = 1")
    assert not reads_what_it_has_set("UPDATE t SET b = COALESCE(:a, a), a = :a WHERE b = a")


@pytest.mark.parametrize("sql", STATEMENTS)
def test_no_statement_reads_the_table_that_it_changes(sql: str) -> None:
    assert not reads_its_own_table(sql)


@pytest.mark.parametrize("sql", STATEMENTS)
def test_no_assignment_reads_a_column_that_was_set_to_its_left(sql: str) -> None:
    assert not reads_what_it_has_set(sql)


@pytest.mark.parametrize("sql", sorted(EVERYTHING))
def test_no_name_is_a_reserved_word(sql: str) -> None:
    assert reserved_names(sql) == set()
