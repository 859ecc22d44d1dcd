"""GenericTransfer: the rows of a query into a table, between any two SQL databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from windlass.operators import BaseOperator, Context
from windlass_sql.operators import sql_hook

if TYPE_CHECKING:
    from windlass_sql.hook import DbApiHook


class GenericTransfer(BaseOperator):
    """Read a query from one connection and insert its rows into a table of another.

    Rows are inserted while they are read, and a page of them is in memory at a time. A destination that commits every
    ``insert_args["commit_every"]`` rows, as most do, keeps what was committed when it fails: let ``preoperator`` delete
    what an earlier try inserted, or set ``commit_every`` to 0.
    """

    template_fields: Sequence[str] = (
        "source_conn_id", "destination_conn_id", "sql", "destination_table", "preoperator", "insert_args",
    )  # fmt: skip
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "preoperator": "sql"}
    ui_color = "#b0f07c"

    def __init__(
        self,
        *,
        sql: str | Sequence[str],
        destination_table: str,
        source_conn_id: str,
        destination_conn_id: str,
        source_hook_params: Mapping[str, Any] | None = None,
        destination_hook_params: Mapping[str, Any] | None = None,
        preoperator: str | Sequence[str] | None = None,
        insert_args: Mapping[str, Any] | None = None,
        page_size: int = 10_000,
        **kwargs: Any,
    ) -> None:
        """Declare the task.

        Args:
            sql: the query, or several, each of which is transferred in turn.
            destination_table: where the rows go; the columns are those of the query, in order.
            source_conn_id: the connection to read from.
            destination_conn_id: the connection to write to.
            source_hook_params: more arguments of the source's hook.
            destination_hook_params: more arguments of the destination's hook.
            preoperator: SQL to run on the destination before.
            insert_args: more arguments of the destination's ``insert_rows``, such as ``target_fields``.
            page_size: rows that are fetched at a time.
            **kwargs: see BaseOperator.
        """
        super().__init__(**kwargs)
        self.sql = sql
        self.destination_table = destination_table
        self.source_conn_id = source_conn_id
        self.destination_conn_id = destination_conn_id
        self.source_hook_params = source_hook_params
        self.destination_hook_params = destination_hook_params
        self.preoperator = preoperator
        self.insert_args = insert_args
        self.page_size = page_size
        self._hooks: list[DbApiHook] = []

    def execute(self, context: Context) -> int:
        """Transfer the rows and return how many that were."""
        who = f"task {self.task_id!r}"
        source = sql_hook(who, self.source_conn_id, None, self.source_hook_params)
        destination = sql_hook(who, self.destination_conn_id, None, self.destination_hook_params)
        self._hooks = [source, destination]
        if self.preoperator:
            destination.run(self.preoperator, split_statements=True)
        count = 0
        for sql in [self.sql] if isinstance(self.sql, str) else self.sql:
            rows = source.stream(sql, chunk_size=self.page_size)
            try:
                count += destination.insert_rows(self.destination_table, rows, **dict(self.insert_args or {}))
            finally:
                rows.close()
        return count

    def on_kill(self) -> None:
        """Cancel what runs in both databases."""
        for hook in self._hooks:
            hook.cancel()
