"""SQLHookSuite: what every hook of an SQL database does the same, by the method names of Airflow's DbApiHook.

Written against the hook's behaviour alone, so that it needs no library of a database: statements are plain SQL, and the
few words that differ between databases are attributes. The table under test is made anew for each test.
"""

# ruff: noqa: ANN401, S608 - the hook under test is of a library that is not imported here; the table name is ours
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import pytest

from windlass.hooks import Connection
from windlass_testing.conformance.corpus import SECRETS
from windlass_testing.conformance.hook import CONN_ID, HookSuite, given
from windlass_testing.fixtures import ConnectionLike, made

_TABLE = "windlass_conformance"
Rows = list[tuple[Any, ...]]


class SQLHookSuite(HookSuite):
    """Checks a hook of an SQL database against a server; all of HookSuite holds as well.

    A subclass::

        class TestPostgresHook(SQLHookSuite):
            hook_class = PostgresHook
            binary_type = "BYTEA"

            @pytest.fixture
            def working_connection(self, postgres): return postgres.uri
    """

    #: Column types of this database.
    integer_type: str = "INTEGER"
    text_type: str = "TEXT"
    binary_type: str = "BLOB"
    #: Behind ``CREATE TABLE …(…)``, for example to choose an engine that has transactions.
    table_options: str = ""
    #: How many rows the tests of many rows insert.
    many: int = 5_000

    @final
    @pytest.fixture
    def sql_hook(self, working_connection: ConnectionLike) -> Iterator[Any]:
        """Return a hook whose database has an empty table with the columns id, name and data."""
        connection: Connection = made(CONN_ID, working_connection)
        columns = f"id {self.integer_type}, name {self.text_type}, data {self.binary_type}"
        with given(connection):
            hook: Any = self.make()
            with contextlib.suppress(Exception):  # it is there only if a run before was interrupted
                hook.run(f"DROP TABLE {_TABLE}", autocommit=True)
            hook.run(f"CREATE TABLE {_TABLE} ({columns}) {self.table_options}", autocommit=True)
            yield hook
            hook.run(f"DROP TABLE {_TABLE}", autocommit=True)

    def use(self, hook: Any) -> None:
        """Ask for a row."""
        hook.get_first("SELECT 1")

    # --- Reading

    def test_get_records_returns_all_rows_in_order(self, sql_hook: Any) -> None:
        """A list with a sequence of values per row, an empty one if there is none."""
        assert list(sql_hook.get_records(f"SELECT id, name FROM {_TABLE}")) == []
        sql_hook.insert_rows(_TABLE, [(2, "b"), (1, "a")], target_fields=["id", "name"])
        assert _rows(sql_hook.get_records(f"SELECT id, name FROM {_TABLE} ORDER BY id")) == [(1, "a"), (2, "b")]

    def test_get_first_returns_one_row_or_none(self, sql_hook: Any) -> None:
        """None says that there is no row; a NULL is a value of a row."""
        assert sql_hook.get_first(f"SELECT id FROM {_TABLE}") is None
        sql_hook.insert_rows(_TABLE, [(1, None)], target_fields=["id", "name"])
        assert tuple(sql_hook.get_first(f"SELECT name, id FROM {_TABLE}")) == (None, 1)

    def test_run_hands_the_cursor_to_its_handler(self, sql_hook: Any) -> None:
        """What the handler returns is the result; without one there is none."""
        sql_hook.insert_rows(_TABLE, [(1, "a"), (2, "b")], target_fields=["id", "name"])
        statement = f"SELECT id FROM {_TABLE} ORDER BY id"
        assert sql_hook.run(statement) is None
        fetch: Callable[[Any], Any] = lambda cursor: [row[0] for row in cursor.fetchall()]  # noqa: E731 - a handler
        assert sql_hook.run(statement, handler=fetch) == [1, 2]

    # --- Values

    @pytest.mark.parametrize("kind", SECRETS)
    def test_parameters_are_values_and_never_sql(self, sql_hook: Any, kind: str) -> None:
        """Quotes, percent signs, backslashes and line ends come back as they went in."""
        mark = sql_hook.placeholder
        value = f"'; DROP TABLE {_TABLE}; -- {SECRETS[kind]}"
        sql_hook.run(f"INSERT INTO {_TABLE} (id, name) VALUES ({mark}, {mark})", parameters=(1, value))
        found = sql_hook.get_first(f"SELECT name FROM {_TABLE} WHERE name = {mark}", parameters=(value,))
        assert tuple(found) == (value,)

    def test_without_parameters_a_percent_sign_is_a_percent_sign(self, sql_hook: Any) -> None:
        """Only a statement with parameters has placeholders."""
        assert tuple(sql_hook.get_first("SELECT '100%', '%s', '%(a)s'")) == ("100%", "%s", "%(a)s")

    def test_values_come_back_as_they_went_in(self, sql_hook: Any) -> None:
        """NULL, the empty text, every plane of Unicode, and all bytes."""
        binary = bytes(range(256)) * 3
        rows: Rows = [
            (1, None, None),
            (2, "", b""),
            (3, "Ünïcödé 密码 🔑 \u200d", binary),
            (-(2**31), "x" * 20_000, b"\0"),
        ]
        sql_hook.insert_rows(_TABLE, rows, target_fields=["id", "name", "data"])
        found = _rows(sql_hook.get_records(f"SELECT id, name, data FROM {_TABLE}"))
        plain = [(number, text, None if data is None else bytes(data)) for number, text, data in found]
        assert sorted(plain, key=lambda row: row[0]) == sorted(rows, key=lambda row: row[0])

    # --- Many rows

    def test_insert_rows_takes_any_iterable_in_batches(self, sql_hook: Any) -> None:
        """Also a generator, and more rows than one batch has; none at all changes nothing."""
        sql_hook.insert_rows(_TABLE, iter(()), target_fields=["id", "name"])
        rows = ((number, f"row {number}") for number in range(self.many))
        sql_hook.insert_rows(_TABLE, rows, target_fields=["id", "name"], commit_every=self.many // 3 + 1)
        found = sql_hook.get_first(f"SELECT COUNT(*), MIN(id), MAX(id) FROM {_TABLE}")
        assert tuple(map(int, found)) == (self.many, 0, self.many - 1)

    def test_insert_rows_without_target_fields_fills_all_columns(self, sql_hook: Any) -> None:
        """In the order of the table."""
        sql_hook.insert_rows(_TABLE, [(1, "a", b"b")])
        number, text, data = sql_hook.get_first(f"SELECT id, name, data FROM {_TABLE}")
        assert (number, text, bytes(data)) == (1, "a", b"b")

    def test_all_of_many_rows_are_returned(self, sql_hook: Any) -> None:
        """Nothing is cut at the size of some buffer."""
        sql_hook.insert_rows(_TABLE, [(number, "x" * 100) for number in range(self.many)], ["id", "name"])
        found = _rows(sql_hook.get_records(f"SELECT id FROM {_TABLE} ORDER BY id"))
        assert found == [(number,) for number in range(self.many)]

    # --- Transactions

    def test_statements_run_in_order_and_the_last_result_counts(self, sql_hook: Any) -> None:
        """`run` takes a list; `return_last=False` returns the result of each."""
        mark = sql_hook.placeholder
        statements = [
            f"INSERT INTO {_TABLE} (id) VALUES (1)",
            f"UPDATE {_TABLE} SET id = id + 1",
            f"SELECT id FROM {_TABLE}",
        ]
        assert _rows(sql_hook.run(statements, handler=_fetched)) == [(2,)]
        statements = [f"SELECT id FROM {_TABLE}", f"SELECT id + 1 FROM {_TABLE}"]
        every = sql_hook.run(statements, handler=_fetched, return_last=False)
        assert [_rows(result) for result in every] == [[(2,)], [(3,)]]
        sql_hook.run([f"UPDATE {_TABLE} SET id = {mark}"], parameters=(7,))
        assert tuple(sql_hook.get_first(f"SELECT id FROM {_TABLE}")) == (7,)

    def test_a_script_can_be_split_into_statements(self, sql_hook: Any) -> None:
        """A semicolon inside a text ends no statement."""
        script = f"INSERT INTO {_TABLE} (id, name) VALUES (1, 'a;b'); SELECT name FROM {_TABLE};"
        assert _rows(sql_hook.run(script, handler=_fetched, split_statements=True)) == [("a;b",)]

    def test_all_statements_take_effect_or_none(self, sql_hook: Any) -> None:
        """The failure of one undoes those before it."""
        statements = [f"INSERT INTO {_TABLE} (id) VALUES (1)", f"INSERT INTO {_TABLE} (nonsense) VALUES (1)"]
        with pytest.raises(Exception):  # noqa: B017, PT011 - the driver's own
            sql_hook.run(statements)
        assert _count(sql_hook) == 0

    def test_with_autocommit_each_statement_stands_for_itself(self, sql_hook: Any) -> None:
        """What ran before the failure stays."""
        statements = [f"INSERT INTO {_TABLE} (id) VALUES (1)", f"INSERT INTO {_TABLE} (nonsense) VALUES (1)"]
        with pytest.raises(Exception):  # noqa: B017, PT011 - the driver's own
            sql_hook.run(statements, autocommit=True)
        assert _count(sql_hook) == 1

    def test_what_run_has_done_is_there_for_others(self, sql_hook: Any) -> None:
        """It is committed when `run` returns."""
        sql_hook.run(f"INSERT INTO {_TABLE} (id) VALUES (1)")
        assert _count(self.make()) == 1

    def test_a_failed_batch_leaves_those_before_it(self, sql_hook: Any) -> None:
        """`commit_every` rows are a transaction of `insert_rows`; 0 makes all of them one."""

        def rows() -> Iterator[tuple[int]]:
            yield from ((number,) for number in range(5))
            raise LookupError("no more rows")

        with pytest.raises(LookupError):
            sql_hook.insert_rows(_TABLE, rows(), target_fields=["id"], commit_every=0)
        assert _count(sql_hook) == 0
        with pytest.raises(LookupError):
            sql_hook.insert_rows(_TABLE, rows(), target_fields=["id"], commit_every=2)
        assert _count(sql_hook) == 4


def _rows(found: Sequence[Sequence[Any]]) -> Rows:
    return [tuple(row) for row in found]


def _fetched(cursor: Any) -> Any:
    return cursor.fetchall() if cursor.description else None


def _count(hook: Any) -> int:
    return int(hook.get_first(f"SELECT COUNT(*) FROM {_TABLE}")[0])
