"""Hooks of a database that SQLHookSuite must reject, each with one thing wrong; the first is sound.

The database is SQLite, in a file: small, and strict enough.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from variants import provider

from windlass.hooks import BaseHook
from windlass.registry.lookup import Registry
from windlass_testing.conformance import SQLHookSuite

provider("kit")


class FileError(Exception):
    """The database cannot be opened."""


class Hook(BaseHook):
    """The least of a hook of an SQL database."""

    conn_name_attr = "kit_conn_id"
    default_conn_name = "kit_default"
    conn_type = "kit"
    hook_name = "A file"
    placeholder = "?"
    kit_conn_id: str

    def get_conn(self) -> sqlite3.Connection:
        file = Path(self.connection.schema or "")
        if not file.is_file():
            raise FileError(f"connection `{self.kit_conn_id}`: there is no database {self.connection.schema!r}")
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def test_connection(self) -> tuple[bool, str]:
        try:
            self.get_conn().close()
        except FileError as error:
            return False, str(error)
        return True, "the file can be opened"

    def get_records(self, sql: str, parameters: Sequence[Any] | None = None) -> Any:
        return self.run(sql, parameters=parameters, handler=lambda cursor: cursor.fetchall())

    def get_first(self, sql: str, parameters: Sequence[Any] | None = None) -> Any:
        return self.run(sql, parameters=parameters, handler=lambda cursor: cursor.fetchone())

    def run(
        self,
        sql: str | Iterable[str],
        autocommit: bool = False,
        parameters: Sequence[Any] | None = None,
        handler: Callable[[Any], Any] | None = None,
        split_statements: bool = False,
        return_last: bool = True,
    ) -> Any:
        statements = self.split(sql) if isinstance(sql, str) and split_statements else sql
        statements = [statements] if isinstance(statements, str) else list(statements)
        with self.transaction(autocommit) as connection:
            found = [self.run_one(connection, statement, parameters, handler) for statement in statements]
        if handler is None:
            return None
        return found[-1] if return_last else found

    def run_one(self, connection: Any, sql: str, parameters: Any, handler: Any) -> Any:
        cursor = connection.execute(sql, parameters or ())
        return None if handler is None else handler(cursor)

    def split(self, sql: str) -> list[str]:
        statements, current = [], ""
        for piece in sql.split(";"):
            current += piece
            if sqlite3.complete_statement(f"{current};") and current.strip():
                statements.append(current)
                current = ""
            elif current.strip():
                current += ";"
        return statements

    @contextlib.contextmanager
    def transaction(self, autocommit: bool) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(self.get_conn()) as connection:
            if autocommit:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def insert_rows(
        self,
        table: str,
        rows: Iterable[Sequence[Any]],
        target_fields: Sequence[str] | None = None,
        commit_every: int = 1000,
    ) -> None:
        fields = f"({', '.join(target_fields)})" if target_fields else ""
        remaining = iter(rows)
        for _ in itertools.count():
            with self.transaction(autocommit=False) as connection:
                count = 0
                for row in itertools.islice(remaining, commit_every or None):
                    connection.execute(f"INSERT INTO {table} {fields} VALUES ({', '.join('?' * len(row))})", row)
                    count += 1
            if not count or not commit_every:
                return


class Kit(SQLHookSuite):
    """A file of its own for each test."""

    hook_class: type[BaseHook] = Hook
    many = 300

    @pytest.fixture
    def working_connection(self) -> Iterator[dict[str, Any]]:
        with tempfile.NamedTemporaryFile(suffix=".db") as file:
            yield {"conn_type": "kit", "schema": file.name}

    @pytest.fixture
    def failing_connection(self) -> dict[str, Any]:
        return {"conn_type": "kit", "schema": "/no/such.db"}

    @pytest.fixture(autouse=True)
    def named_by_the_manifest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Registry, "hook_class", lambda _registry, _conn_type: self.hook_class)


class TestSound(Kit):
    breaks: set[str] = set()


class TestReturnsOneRowOnly(Kit):
    breaks = {
        "test_get_records_returns_all_rows_in_order",
        "test_values_come_back_as_they_went_in",
        "test_all_of_many_rows_are_returned",
    }

    class hook_class(Hook):
        def get_records(self, sql: str, parameters: Sequence[Any] | None = None) -> Any:
            return super().get_records(sql, parameters)[:1]


class TestTakesNullForNoRow(Kit):
    breaks = {"test_get_first_returns_one_row_or_none"}

    class hook_class(Hook):
        def get_first(self, sql: str, parameters: Sequence[Any] | None = None) -> Any:
            row = super().get_first(sql, parameters)
            return row if row and row[0] is not None else None


class TestReturnsTheCursorWithoutAHandler(Kit):
    breaks = {"test_run_hands_the_cursor_to_its_handler"}

    class hook_class(Hook):
        def run(self, *args: Any, **kwargs: Any) -> Any:
            found = super().run(*args, **kwargs)
            return "done" if kwargs.get("handler") is None else found


class TestWritesParametersIntoTheStatement(Kit):
    breaks = {"test_parameters_are_values_and_never_sql"}

    class hook_class(Hook):
        placeholder = "%s"

        def run_one(self, connection: Any, sql: str, parameters: Any, handler: Any) -> Any:
            if parameters:
                sql = sql % tuple(f"'{value}'" if isinstance(value, str) else value for value in parameters)
            return super().run_one(connection, sql, None, handler)


class TestTakesPercentSignsForPlaceholders(Kit):
    breaks = {"test_without_parameters_a_percent_sign_is_a_percent_sign"}

    class hook_class(Hook):
        def run_one(self, connection: Any, sql: str, parameters: Any, handler: Any) -> Any:
            return super().run_one(connection, sql if parameters else sql.replace("%", "%%"), parameters, handler)


class TestCutsAtAZeroByte(Kit):
    breaks = {"test_values_come_back_as_they_went_in"}

    class hook_class(Hook):
        def get_records(self, sql: str, parameters: Sequence[Any] | None = None) -> Any:
            rows = super().get_records(sql, parameters)
            return [tuple(v.partition(b"\0")[0] if isinstance(v, bytes) else v for v in row) for row in rows]


class TestInsertsOneBatchOnly(Kit):
    breaks = {
        "test_insert_rows_takes_any_iterable_in_batches",
        "test_a_failed_batch_leaves_those_before_it",
    }

    class hook_class(Hook):
        def insert_rows(self, table: str, rows: Any, target_fields: Any = None, commit_every: int = 1000) -> None:
            super().insert_rows(table, list(itertools.islice(rows, commit_every or None)), target_fields)


class TestNeedsTargetFields(Kit):
    breaks = {"test_insert_rows_without_target_fields_fills_all_columns"}

    class hook_class(Hook):
        def insert_rows(self, table: str, rows: Any, target_fields: Any = None, commit_every: int = 1000) -> None:
            super().insert_rows(table, rows, list(target_fields), commit_every)


class TestReturnsTheFirstResult(Kit):
    breaks = {"test_statements_run_in_order_and_the_last_result_counts", "test_a_script_can_be_split_into_statements"}

    class hook_class(Hook):
        def run(self, *args: Any, return_last: bool = True, **kwargs: Any) -> Any:
            found = super().run(*args, return_last=False, **kwargs)
            return found if found is None or not return_last else found[0]


class TestSplitsInsideATextToo(Kit):
    breaks = {"test_a_script_can_be_split_into_statements"}

    class hook_class(Hook):
        def split(self, sql: str) -> list[str]:
            return [statement for statement in sql.split(";") if statement.strip()]


class TestCommitsEachStatement(Kit):
    breaks = {"test_all_statements_take_effect_or_none", "test_a_failed_batch_leaves_those_before_it"}

    class hook_class(Hook):
        def transaction(self, autocommit: bool) -> Any:
            return super().transaction(autocommit=True)


class TestIgnoresAutocommit(Kit):
    breaks = {"test_with_autocommit_each_statement_stands_for_itself"}

    class hook_class(Hook):
        def transaction(self, autocommit: bool) -> Any:
            return super().transaction(autocommit=False)


class TestDoesNotCommit(Kit):
    breaks = {
        "test_get_records_returns_all_rows_in_order",
        "test_get_first_returns_one_row_or_none",
        "test_run_hands_the_cursor_to_its_handler",
        "test_parameters_are_values_and_never_sql",
        "test_values_come_back_as_they_went_in",
        "test_insert_rows_takes_any_iterable_in_batches",
        "test_insert_rows_without_target_fields_fills_all_columns",
        "test_all_of_many_rows_are_returned",
        "test_statements_run_in_order_and_the_last_result_counts",
        "test_what_run_has_done_is_there_for_others",
        "test_a_failed_batch_leaves_those_before_it",
    }

    class hook_class(Hook):
        @contextlib.contextmanager
        def transaction(self, autocommit: bool) -> Iterator[Any]:
            with super().transaction(autocommit) as connection:
                yield connection
                if not autocommit:
                    connection.execute("ROLLBACK")
                    connection.execute("BEGIN")
