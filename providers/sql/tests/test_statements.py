"""Splitting scripts: a semicolon ends a statement only where the database would say so."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass_sql.statements import Syntax, beginning, first_word, kept, split

POSTGRES = Syntax(escape_strings=True, dollar_quotes=True, nested_comments=True)
MYSQL = Syntax(backslash_escapes=True, hash_comments=True, backticks=True, delimiter_command=True)
SQLITE = Syntax(backticks=True, brackets=True)


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("", []),
        (" \n ; ;; ", []),
        ("select 1", ["select 1"]),
        ("select 1;\nselect 2 ;", ["select 1", "select 2"]),
        ("select ';'; select 'it''s;'", ["select ';'", "select 'it''s;'"]),
        ('select ";" from "a;b"; select 2', ['select ";" from "a;b"', "select 2"]),
        ("-- a; b\nselect 1; -- done;", ["-- a; b\nselect 1"]),
        ("/* a; b */ select 1; /* only this; */", ["/* a; b */ select 1"]),
        ("select 1 - -1; select 2", ["select 1 - -1", "select 2"]),
        ("select 'never closed; select 2", ["select 'never closed; select 2"]),
        ("select 1 /* never closed; select 2", ["select 1 /* never closed; select 2"]),
        ("select 'été;', '漢;'; select 2", ["select 'été;', '漢;'", "select 2"]),
        ("select ''; select 2", ["select ''", "select 2"]),
        ("begin; insert into t values (1); end; select 1", ["begin", "insert into t values (1)", "end", "select 1"]),
    ],
)
@pytest.mark.parametrize("syntax", [POSTGRES, MYSQL, SQLITE], ids=["postgres", "mysql", "sqlite"])
def test_what_every_database_agrees_on(script: str, statements: list[str], syntax: Syntax) -> None:
    assert list(split(script, syntax)) == statements


@pytest.mark.parametrize(
    ("syntax", "script", "statements"),
    [
        (POSTGRES, r"select '\'; select 2", [r"select '\'", "select 2"]),
        (MYSQL, r"select '\'; select 2'", [r"select '\'; select 2'"]),
        (POSTGRES, r"select e'a\';b'; select 2", [r"select e'a\';b'", "select 2"]),
        (POSTGRES, r"select type'\'; select 2", [r"select type'\'", "select 2"]),
        (POSTGRES, "select $$a;b$$; select $x$;$$;$x$; 3", ["select $$a;b$$", "select $x$;$$;$x$", "3"]),
        (POSTGRES, "select $1; select a$b$; select 3", ["select $1", "select a$b$", "select 3"]),
        (POSTGRES, "/* a /* b; */ c; */ select 1; select 2", ["/* a /* b; */ c; */ select 1", "select 2"]),
        (MYSQL, "/* a /* b; */ select 1; select 2", ["/* a /* b; */ select 1", "select 2"]),
        (MYSQL, "# a; b\nselect 1; select `a;b`", ["# a; b\nselect 1", "select `a;b`"]),
        (POSTGRES, "select a #> b; select 2", ["select a #> b", "select 2"]),
        (MYSQL, "select 1--1; select 2", ["select 1--1", "select 2"]),
        (MYSQL, "/*!40101 set names utf8 */; select 1", ["/*!40101 set names utf8 */", "select 1"]),
        (SQLITE, "select [a;b]; select 2", ["select [a;b]", "select 2"]),
        (POSTGRES, "select a[1]; select 2", ["select a[1]", "select 2"]),
    ],
)
def test_what_databases_write_in_their_own_way(syntax: Syntax, script: str, statements: list[str]) -> None:
    assert list(split(script, syntax)) == statements


TRIGGER = "create temp trigger t after insert on a begin update b set n = case when 1 then 2 end; delete from c; end"
PROCEDURE = "create procedure p() begin if 1 then select 1; end if; while 0 do select 2; end while; end"
ATOMIC = "create or replace function f() returns int begin atomic select 1; select 2; end"
DEFINER = "create definer = `a;b`@`%` procedure p() begin select 1; end"


@pytest.mark.parametrize(
    ("syntax", "body"),
    [(SQLITE, TRIGGER), (MYSQL, PROCEDURE), (POSTGRES, ATOMIC), (MYSQL, DEFINER)],
    ids=["trigger", "procedure", "atomic", "definer"],
)
def test_the_body_of_a_procedure_stays_whole(syntax: Syntax, body: str) -> None:
    assert list(split(f"select 0; {body}; select 3;", syntax)) == ["select 0", body, "select 3"]


def test_a_column_called_like_a_block_is_no_block() -> None:
    script = "create table event (begin date, n int); select 2"
    assert list(split(script, POSTGRES)) == ["create table event (begin date, n int)", "select 2"]


def test_delimiter_changes_what_ends_a_statement() -> None:
    script = "select 1;\n-- as the client does\nDELIMITER //\nselect 2; select 3//\nselect 4 //\ndelimiter ;\nselect 5;"
    assert list(split(script, MYSQL)) == ["select 1", "select 2; select 3", "select 4", "select 5"]
    assert list(split("delimiter //", SQLITE)) == ["delimiter //"]


@given(st.lists(st.text(alphabet="ab;'\"-/*$\\#`[]\n ", min_size=0, max_size=12), max_size=6))
def test_no_text_is_lost_or_made_up(parts: list[str]) -> None:
    script = ";".join(parts)
    rest = script
    for statement in split(script, POSTGRES):
        before, found, rest = rest.partition(statement)
        assert found
        assert "".join(before.split()).strip(";") == "" or before.lstrip(" ;\n").startswith(("-", "/"))


def test_time_is_linear_in_the_size_of_the_script() -> None:
    started = time.process_time()
    assert sum(1 for _ in split("insert into t values ('a;b'); -- c\n" * 50_000, MYSQL)) == 50_000
    assert sum(1 for _ in split("/* " * 200_000, POSTGRES)) in {0, 1}
    assert sum(1 for _ in split("'" * 200_001, POSTGRES)) == 1
    assert time.process_time() - started < 8


@pytest.mark.parametrize(
    ("statement", "word"),
    [("select 1", "SELECT"), (" -- c\n/* d */ Commit", "COMMIT"), ("", ""), ("-- only", ""), ("'x'", "X")],
)
def test_the_first_word_says_what_a_statement_does(statement: str, word: str) -> None:
    assert first_word(statement) == word


def test_the_beginning_is_one_short_line_without_texts_and_comments() -> None:
    assert beginning("-- who\nalter  role a\n  password 's3cret' /* x */") == "alter role a password '***'"
    assert beginning("select $$s3cret$$, e's3cret', 1", POSTGRES) == "select '***', '***', 1"
    assert beginning("select " + "1, " * 1000 + "2", length=20) == "select 1, 1, 1, 1, …"
    assert beginning('select "a;b"') == 'select "a;b"'


@pytest.mark.parametrize(
    ("statements", "autocommit", "numbers"),
    [
        (["insert", "insert"], False, ()),
        (["insert", "insert"], True, (1, 2)),
        (["insert", "commit", "insert"], False, (1, 2)),
        (["insert", "rollback", "insert"], False, ()),
        (["insert", "savepoint a", "rollback to a", "commit"], False, (1, 2, 3, 4)),
        (["begin", "insert"], True, ()),
        (["begin", "insert", "commit", "insert"], True, (1, 2, 3, 4)),
        (["insert", "create table t (a int)", "insert"], False, (1, 2)),
    ],
)
def test_what_stays_of_the_statements_before_a_failure(
    statements: list[str], autocommit: bool, numbers: tuple[int, ...]
) -> None:
    assert kept(statements, MYSQL, autocommit=autocommit, commits=frozenset({"CREATE"})) == numbers
