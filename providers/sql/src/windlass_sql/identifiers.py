"""Names of tables and columns, written so that a database takes them as names and as nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from windlass.errors import UsageError


def quote_identifier(name: str, quote: str = '"') -> str:
    """Return a name in quotes; whatever characters it holds, it stays one name.

    :raises UsageError: if it is empty, no text, or holds a NUL, which no database can take in a name.
    """
    if not name or type(name) is not str:
        raise UsageError(f"a table or column needs a name that is a text and not empty, not {name!r}")
    if "\0" in name:
        raise UsageError(f"a name must not hold a NUL character, and {name!r} does")
    return f"{quote}{name.replace(quote, quote * 2)}{quote}"


def split_name(name: str | Iterable[str], quote: str = '"') -> tuple[str, ...]:
    """Return the parts of ``schema.table``; a part may be quoted, and a sequence of parts is taken as it is.

    >>> split_name('sales."order.items"')
    ('sales', 'order.items')

    :raises UsageError: if a quote is not closed.
    """
    if not isinstance(name, str):
        return tuple(name)
    parts: list[str] = []
    rest = name
    while True:
        if rest.startswith(quote):
            part, rest = _quoted(name, rest, quote)
        else:
            part, dot, rest = rest.partition(".")
            rest = f"{dot}{rest}"
        parts.append(part)
        if not rest:
            return tuple(parts)
        rest = rest[1:]


def _quoted(name: str, rest: str, quote: str) -> tuple[str, str]:
    position = 1
    while (end := rest.find(quote, position)) >= 0:
        if rest[end + 1 : end + 2] == quote:
            position = end + 2
            continue
        behind = rest[end + 1 :]
        if behind and not behind.startswith("."):
            break
        return rest[1:end].replace(quote * 2, quote), behind
    raise UsageError(f"the name {name!r} has a quote that does not close a part of it; write {quote * 2} for a {quote}")


def quote_name(name: str | Iterable[str], quote: str = '"') -> str:
    """Return a name of one or more parts, such as ``schema.table``, with each part in quotes.

    :raises UsageError: as :func:`quote_identifier` and :func:`split_name` do.
    """
    return ".".join(quote_identifier(part, quote) for part in split_name(name, quote))
