"""COPY: between a table and a file, in pieces, whatever its size."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from windlass.errors import UsageError
from windlass_sql.statements import beginning

if TYPE_CHECKING:
    from windlass_sql.statements import Syntax

_PIECE = 1 << 18
_FROM = re.compile(r"\bfrom\s+stdin\b", re.IGNORECASE)
_TO = re.compile(r"\bto\s+stdout\b", re.IGNORECASE)

#: A path, or a file that is open for bytes.
FileLike = str | os.PathLike[str] | IO[bytes]


def reads_file(sql: str, syntax: Syntax) -> bool:
    """Return whether a COPY reads from the client, rather than write to it.

    :raises UsageError: if it does neither.
    """
    code = beginning(sql, syntax, length=10_000)
    if _FROM.search(code):
        return True
    if _TO.search(code):
        return False
    raise UsageError(f"copy_expert needs a COPY … FROM STDIN or a COPY … TO STDOUT, not: {code[:80]}")


def copy_in(cursor: Any, sql: str, file: FileLike) -> None:  # noqa: ANN401 - a cursor of psycopg's
    """Send a file to a COPY FROM STDIN."""
    with _open(file, "rb") as stream, cursor.copy(sql) as copy:
        while piece := stream.read(_PIECE):
            copy.write(piece)


def copy_out(cursor: Any, sql: str, file: FileLike) -> None:  # noqa: ANN401 - a cursor of psycopg's
    """Write to a file what a COPY TO STDOUT sends. A file named by its path appears when it is whole."""
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with draft.open("wb") as stream:
                _receive(cursor, sql, stream.write)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    else:
        _receive(cursor, sql, file.write)


def _receive(cursor: Any, sql: str, write: Callable[[bytes], object]) -> None:  # noqa: ANN401 - as above
    with cursor.copy(sql) as copy:
        for piece in copy:
            write(piece)


@contextmanager
def _open(file: FileLike, mode: str) -> Iterator[IO[bytes]]:
    if isinstance(file, str | os.PathLike):
        with Path(file).open(mode) as stream:
            yield stream
    else:
        yield file
