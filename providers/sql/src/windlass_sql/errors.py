"""What the hooks and operators of SQL databases raise.

::

    SQLError                        never raised itself
    ├── ConnectFailed               no connection could be made
    ├── StatementFailed             the database refused a statement
    │   └── ConnectionLost          the connection broke while it ran, or was committed
    ├── InsertFailed                rows could not be inserted
    └── CheckFailed                 the data is not what a check operator expects

A sentence names the connection by its id, the statement by its number and beginning, what stays of the statements
before it, and then repeats the database's own words. Passwords are hidden in all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from windlass.errors import WindlassError

_MASK = "***"


class SQLError(WindlassError):
    """The root of this tree."""

    exit_code = 1
    code = "sql"


class ConnectFailed(SQLError):
    """No connection could be made: nothing answers, it refuses the login, or the database is not there."""


class StatementFailed(SQLError):
    """The database refused a statement.

    ``number`` of ``total`` counts from 1, ``committed`` has the numbers of the statements before it whose effects stay,
    and ``sqlstate`` the database's own code.
    """

    def __init__(
        self,
        text: str,
        *,
        number: int = 1,
        total: int = 1,
        committed: Sequence[int] = (),
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(text)
        self.number = number
        self.total = total
        self.committed = tuple(committed)
        self.sqlstate = sqlstate


class ConnectionLost(StatementFailed):
    """The connection broke while a statement ran: whether the database finished it is not known."""


class InsertFailed(SQLError):
    """Rows could not be inserted; ``committed`` says how many of them, counted from the first, stay."""

    def __init__(self, text: str, *, committed: int = 0) -> None:
        super().__init__(text)
        self.committed = committed


class CheckFailed(SQLError):
    """The data is not what a check expects."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with every secret hidden, also where it stands percent-encoded as in a URI.

    As everywhere in Windlass, a secret of one or two characters is not: hiding it would leave no text to read.
    """
    forms = {form for secret in secrets if len(secret) >= 3 for form in (secret, quote(secret, safe=""))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _MASK)
    return text


def numbers(values: Sequence[int]) -> str:
    """Return numbers of statements as people say them: ``statement 1``, ``statements 1 to 4``, ``1, 2 and 5``."""
    if not values:
        return "none"
    if len(values) == 1:
        return f"statement {values[0]}"
    if list(values) == list(range(values[0], values[-1] + 1)):
        return f"statements {values[0]} to {values[-1]}"
    return f"statements {', '.join(map(str, values[:-1]))} and {values[-1]}"
