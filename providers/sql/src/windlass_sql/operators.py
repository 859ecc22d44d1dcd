"""Operators that run SQL on the database of any connection whose provider brings a SQL hook.

The hook is found by the connection's type when the task runs, so a DAG file imports no driver and one operator serves
all databases. A cancelled task cancels its statement in the database.
"""

# ruff: noqa: ANN401 - rows and results are the author's own
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from windlass.errors import AuthoringError, TaskFailed, UsageError
from windlass.hooks import BaseHook
from windlass.operators import BaseBranchOperator, BaseOperator, Context
from windlass_sql.errors import CheckFailed
from windlass_sql.handlers import fetch_all_handler as fetch_all_handler
from windlass_sql.handlers import fetch_one_handler as fetch_one_handler

if TYPE_CHECKING:
    from windlass_sql.hook import DbApiHook


def sql_hook(
    who: str, conn_id: str | None, database: str | None = None, hook_params: Mapping[str, Any] | None = None
) -> DbApiHook:
    """Return the SQL hook of a connection, made with ``hook_params``; ``who`` asks for it.

    :raises UsageError: if the connection's hook is none of a SQL database.
    """
    from windlass_sql.hook import DbApiHook

    if not conn_id:
        raise UsageError(f"{who} has no conn_id, so it does not know its database; name a connection")
    params = dict(hook_params or {})
    hook = BaseHook.get_hook(conn_id, params | ({"database": database} if database else {}))
    if not isinstance(hook, DbApiHook):
        raise UsageError(
            f"{who}: connection {conn_id!r} is of type {hook.conn_type!r}, which is no SQL database: its hook "
            f"{type(hook).__name__} is no DbApiHook"
        )
    return hook


class BaseSQLOperator(BaseOperator):
    """What operators of SQL share: the connection and its hook."""

    template_fields: Sequence[str] = ("conn_id", "database", "hook_params")
    ui_color = "#cdaaed"

    def __init__(
        self,
        *,
        conn_id: str | None = None,
        database: str | None = None,
        hook_params: Mapping[str, Any] | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        """Declare the task.

        Args:
            conn_id: the connection.
            database: overrides the connection's.
            hook_params: more arguments of the hook.
            retry_on_failure: a check that fails may be retried; else it fails the task for good.
            **kwargs: see BaseOperator.
        """
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.database = database
        self.hook_params = hook_params
        self.retry_on_failure = retry_on_failure
        self._hook: DbApiHook | None = None

    def get_db_hook(self) -> DbApiHook:
        """Return the hook of the connection, the same one each time.

        :raises UsageError: if the connection is none of a SQL database.
        """
        if self._hook is None:
            self._hook = sql_hook(f"task {self.task_id!r}", self.conn_id, self.database, self.hook_params)
        return self._hook

    def fail(self, text: str) -> None:
        """Fail the check, for good if ``retry_on_failure`` is off.

        :raises CheckFailed, TaskFailed: always.
        """
        raise (CheckFailed if self.retry_on_failure else TaskFailed)(text)

    def on_kill(self) -> None:
        """Cancel the statement that is running in the database."""
        if self._hook is not None:
            self._hook.cancel()


class SQLExecuteQueryOperator(BaseSQLOperator):
    """Run SQL, and return the rows of a query.

    ``sql`` is a statement, a script, several of them, or the name of a ``.sql`` file; all of it runs on one connection
    and, unless ``autocommit`` is set, in one transaction. Give values as ``parameters``, never in the text of ``sql``.
    """

    template_fields: Sequence[str] = ("sql", "parameters", *BaseSQLOperator.template_fields)
    template_ext: Sequence[str] = (".sql", ".json")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "parameters": "json"}

    def __init__(
        self,
        *,
        sql: str | Sequence[str],
        autocommit: bool = False,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        handler: Callable[[Any], Any] | None = fetch_all_handler,
        output_processor: Callable[[list[Any], list[Any]], Any] | None = None,
        split_statements: bool | None = None,
        return_last: bool = True,
        show_return_value_in_logs: bool = False,
        requires_result_fetch: bool = False,
        **kwargs: Any,
    ) -> None:
        """Declare the task.

        Args:
            sql: what to run.
            autocommit: commit every statement by itself.
            parameters: of every statement.
            handler: makes the result of a statement from its cursor; None for no result. By default all rows.
            output_processor: makes the task's result from the list of results and the list of cursor descriptions.
            split_statements: split a script into its statements; by default it is.
            return_last: of several statements return the last one's result only, rather than a list.
            show_return_value_in_logs: write the result to the log, up to 1000 rows.
            requires_result_fetch: call ``handler`` even if ``do_xcom_push`` is off.
            **kwargs: see BaseSQLOperator.
        """
        super().__init__(**kwargs)
        self.sql = sql
        self.autocommit = autocommit
        self.parameters = parameters
        self.handler = handler
        self.output_processor = output_processor
        self.split_statements = split_statements
        self.return_last = return_last
        self.show_return_value_in_logs = show_return_value_in_logs
        self.requires_result_fetch = requires_result_fetch

    def execute(self, context: Context) -> Any:
        """Run the statements and return what the handler made of them."""
        wants = self.do_xcom_push or self.requires_result_fetch or self.show_return_value_in_logs
        hook = self.get_db_hook()
        result = hook.run(
            self.sql,
            autocommit=self.autocommit,
            parameters=self.parameters,
            handler=self.handler if wants else None,
            split_statements=self.split_statements is not False,
            return_last=self.return_last,
        )
        if self.output_processor is not None:
            results = [result] if self.return_last else list(result or [])
            result = self.output_processor(results, hook.descriptions)
        if self.show_return_value_in_logs:
            self._show(result)
        return result if self.do_xcom_push else None

    def _show(self, result: Any) -> None:
        rows = result if isinstance(result, list | tuple) else [result]
        for row in rows[:1000]:
            self.log.info("%s", row)
        if len(rows) > 1000:
            self.log.info("… and %d more", len(rows) - 1000)


class SQLInsertRowsOperator(BaseSQLOperator):
    """Insert rows into a table."""

    template_fields: Sequence[str] = (
        "table_name", "rows", "columns", "preoperator", "postoperator", "insert_args", *BaseSQLOperator.template_fields,
    )  # fmt: skip
    template_ext: Sequence[str] = (".sql",)

    def __init__(
        self,
        *,
        table_name: str,
        rows: Any,
        schema: str | None = None,
        columns: Sequence[str] | None = None,
        ignored_columns: Sequence[str] | None = None,
        rows_processor: Callable[[Any, Context], Iterable[Sequence[Any]]] | None = None,
        preoperator: str | Sequence[str] | None = None,
        postoperator: str | Sequence[str] | None = None,
        insert_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Declare the task.

        Args:
            table_name: the table.
            rows: rows, as sequences or as dicts by the names of columns.
            schema: of the table.
            columns: what the rows hold, and of dicts what is inserted; by default the keys of the first dict.
            ignored_columns: keys of dicts to leave out.
            rows_processor: called with ``rows`` and the context, returns the rows to insert.
            preoperator: SQL to run before.
            postoperator: SQL to run after.
            insert_args: more arguments of the hook's ``insert_rows``, such as ``replace`` and ``commit_every``.
            **kwargs: see BaseSQLOperator.
        """
        super().__init__(**kwargs)
        self.table_name = table_name
        self.rows = rows
        self.schema = schema
        self.columns = columns
        self.ignored_columns = frozenset(ignored_columns or ())
        self.rows_processor = rows_processor
        self.preoperator = preoperator
        self.postoperator = postoperator
        self.insert_args = insert_args

    def execute(self, context: Context) -> int:
        """Insert the rows and return how many that were."""
        hook = self.get_db_hook()
        rows = iter(self.rows_processor(self.rows, context) if self.rows_processor is not None else self.rows)
        if self.preoperator:
            hook.run(self.preoperator, split_statements=True)
        first = next(rows, None)
        count = 0
        if first is not None:
            columns = self._columns(first)
            values = (_values(row, columns) for row in _with_first(first, rows))
            table = (self.schema, self.table_name) if self.schema else self.table_name
            count = hook.insert_rows(table, values, columns or None, **dict(self.insert_args or {}))
        if self.postoperator:
            hook.run(self.postoperator, split_statements=True)
        return count

    def _columns(self, row: Any) -> list[str]:
        names = list(self.columns or (row if isinstance(row, Mapping) else ()))
        return [name for name in names if name not in self.ignored_columns]


def _with_first(first: Any, rest: Iterable[Any]) -> Iterable[Any]:
    yield first
    yield from rest


def _values(row: Any, columns: Sequence[str]) -> Sequence[Any]:
    return [row.get(name) for name in columns] if isinstance(row, Mapping) else row


class BranchSQLOperator(BaseSQLOperator, BaseBranchOperator):
    """Follow one branch or another by the first value of a query.

    True, a number that is not 0, and the texts true, t, yes, y, on and 1 follow ``follow_task_ids_if_true``; NULL,
    False, 0 and the texts false, f, no, n, off, 0 and the empty one the other.
    """

    template_fields: Sequence[str] = ("sql", "parameters", *BaseSQLOperator.template_fields)
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    ui_color = "#a22034"
    ui_fgcolor = "#F7F7F7"

    def __init__(
        self,
        *,
        sql: str,
        follow_task_ids_if_true: str | Sequence[str],
        follow_task_ids_if_false: str | Sequence[str],
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.parameters = parameters
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false

    def choose_branch(self, context: Context) -> str | Sequence[str]:
        """Run the query and judge its first value."""
        row = self.get_db_hook().get_first(self.sql, self.parameters)
        if not row:
            raise CheckFailed(f"the query of branch {self.task_id!r} has no row, so there is nothing to branch by")
        value = next(iter(row.values())) if isinstance(row, Mapping) else row[0]
        return self.follow_task_ids_if_true if self._judge(value) else self.follow_task_ids_if_false

    def _judge(self, value: Any) -> bool:
        if value is None or isinstance(value, bool | int | float) or hasattr(value, "as_integer_ratio"):
            return bool(value)
        text = str(value).strip().lower()
        if text in {"true", "t", "yes", "y", "on", "1"}:
            return True
        if text in {"false", "f", "no", "n", "off", "0", ""}:
            return False
        raise AuthoringError(
            f"the query of branch {self.task_id!r} returned {value!r}, which is neither true nor false; let it return "
            "a boolean, a number, or a text such as true or no"
        )
