"""Inserting any number of rows in batches: what :meth:`DbApiHook.insert_rows` does.

A batch is a list of rows, held in memory while it is written, and with ``commit_every`` it is a transaction. Rows are
looked at before they are sent, so that a row of another width is named by its number rather than by the driver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from windlass.errors import UsageError
from windlass_sql.errors import InsertFailed

if TYPE_CHECKING:
    from windlass_sql.hook import DbApiHook


@dataclass(frozen=True)
class Batch:
    """Some rows for one table, and the statement that inserts one of them."""

    table: str | Sequence[str]
    rows: list[Sequence[Any]]
    fields: Sequence[str]
    statement: str
    #: The rows must go through ``statement``: they replace others, or the caller insists.
    is_plain: bool


def insert_rows(
    hook: DbApiHook,
    table: str | Sequence[str],
    rows: Iterable[Sequence[Any]],
    target_fields: Sequence[str] | None,
    commit_every: int,
    *,
    replace: bool,
    replace_index: str | Sequence[str] | None,
    is_plain: bool,
) -> int:
    """Insert the rows and return their number; see the hook's method."""
    if commit_every < 0:
        raise UsageError(f"commit_every must be 0 or more, not {commit_every}")
    fields = list(target_fields or ())
    count = committed = 0
    iterator = iter(rows)
    with hook.connected() as conn, closing(conn.cursor()) as cursor:
        statement, width = "", 0
        for chunk in _batches(iterator, commit_every or hook.rows_per_batch):
            if not statement:
                width = len(fields) or len(chunk[0])
                statement = hook.insert_statement(table, width, fields, replace=replace, replace_index=replace_index)
            _check(table, chunk, width, count, committed)
            numbers = (count + 1, count + len(chunk))
            try:
                hook.write_batch(cursor, Batch(table, chunk, fields, statement, is_plain or replace))
                if commit_every:
                    conn.commit()
            except hook.driver_error as error:
                raise _failure(hook, conn, error, table, numbers, committed) from hook.cause(error)
            count += len(chunk)
            committed = count if commit_every else 0
    hook.log.info("inserted %d rows into %s", count, hook.quote_table(table))
    return count


def _batches(rows: Iterator[Sequence[Any]], size: int) -> Iterator[list[Sequence[Any]]]:
    while batch := list(islice(rows, size)):
        yield batch


def _check(table: object, rows: list[Sequence[Any]], width: int, count: int, committed: int) -> None:
    if set(map(len, rows)) == {width}:  # in C, since this is done for every row
        return
    number, row = next((number, row) for number, row in enumerate(rows, count + 1) if len(row) != width)
    raise InsertFailed(
        f"row {number} for table {table!r} has {len(row)} values, and {width} are needed; {_staying(committed)}",
        committed=committed,
    )


def _failure(
    hook: DbApiHook,
    conn: Any,  # noqa: ANN401 - the driver's own
    error: Exception,
    table: object,
    numbers: tuple[int, int],
    committed: int,
) -> InsertFailed:
    who = f"connection {hook.connection_name!r}"
    rows = f"rows {numbers[0]} to {numbers[1]} for table {table!r}"
    state = hook.sqlstate(error)
    reason = f"{hook.reason(error)}{f' [{state}]' if state else ''}"
    if hook.is_lost(conn, error):
        text = f"{who} to {hook.address} was lost while {rows} were written, which are not known to be committed"
        return InsertFailed(f"{text}: {reason}; {_staying(committed)}", committed=committed)
    return InsertFailed(f"{rows} were refused on {who}: {reason}; {_staying(committed)}", committed=committed)


def _staying(committed: int) -> str:
    return f"the {committed} rows before are committed" if committed else "no row is committed"
