"""PyMySQL's connection, with the ``with`` block that Windlass promises. Imported where a connection is made."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Literal, Self

import pymysql

from windlass_mysql.reaching import reach


class MySqlConnection(pymysql.connections.Connection):  # type: ignore[misc] # PyMySQL has no types
    """A connection whose ``with`` block commits, or rolls back if it raises, and closes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        try:
            if kind is None:
                self.commit()
            elif self.open:
                self.rollback()
        finally:
            if self.open:
                self.close()
        return False


class _Abandoning:
    """A cursor that reads rows off the wire, and closes the connection if it is closed before the last one."""

    def close(self) -> None:
        """Close the cursor; PyMySQL's own would first read all the rows that nobody wants."""
        result = self._result  # type: ignore[attr-defined] # PyMySQL has no types
        if result is not None and result.unbuffered_active:
            result.unbuffered_active = False
            self.connection._force_close()  # type: ignore[attr-defined] # noqa: SLF001 - nothing else does not read
        super().close()  # type: ignore[misc]


class StreamCursor(_Abandoning, pymysql.cursors.SSCursor):  # type: ignore[misc] # PyMySQL has no types
    """Rows as tuples."""


class StreamDictCursor(_Abandoning, pymysql.cursors.SSDictCursor):  # type: ignore[misc] # PyMySQL has no types
    """Rows as dicts."""


def connect(arguments: dict[str, Any], cursor: str) -> MySqlConnection:
    """Return a new connection whose cursors are of PyMySQL's class ``cursor``."""
    made = MySqlConnection(
        **arguments, cursorclass=getattr(pymysql.cursors, cursor), autocommit=False, defer_connect=True
    )
    reach(made)
    return made
