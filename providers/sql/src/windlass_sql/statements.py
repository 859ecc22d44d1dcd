"""Splitting a script into statements, and finding out what a statement is, without understanding SQL.

A script ends its statements with semicolons, and semicolons also stand in texts, names, comments and the bodies of
procedures. Where those begin and end differs by database, so each hook says what it knows in a :class:`Syntax`. A
splitter of our own, since a backslash ends a text in one database and not in another, comments nest in one and not in
another, and the libraries at hand decide that once for all. The scan is linear and takes a text as it comes: what is
never closed goes to the database, whose error is better than ours would be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Syntax:
    """How a database writes what may hold a semicolon."""

    #: ``\'`` stands for a quote in a text, as in MySQL.
    backslash_escapes: bool = False
    #: ``E'…\'…'`` is a text with such escapes, as in PostgreSQL.
    escape_strings: bool = False
    #: ``$tag$ … $tag$`` is a text.
    dollar_quotes: bool = False
    #: ``/* a /* b */ c */`` is one comment.
    nested_comments: bool = False
    #: ``# …`` is a comment, and ``--`` begins one only before a space.
    hash_comments: bool = False
    #: A name may stand in backticks.
    backticks: bool = False
    #: A name may stand in square brackets.
    brackets: bool = False
    #: ``DELIMITER //`` on a line of its own changes what ends a statement, as in MySQL's client.
    delimiter_command: bool = False


_DELIMITER = re.compile(r"\s*delimiter[ \t]+(\S+)[ \t]*(?:\r?\n|$)", re.IGNORECASE)
#: What has a body with statements of its own.
_COMPOUND = re.compile(
    r"\s*create\s+(?:or\s+(?:replace|alter)\s+)?(?:definer\s*=\s*\S+(?:\s*@\s*\S+)?\s+)?"
    r"(?:(?:temp|temporary|constraint|aggregate)\s+)?(?:trigger|procedure|function|event)\b",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"\bend\b(?:\s+(?:if|loop|while|repeat|for)\b)?|\bbegin\b|\bcase\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d]\w*")
_BEGINNINGS = frozenset({"BEGIN", "START"})
_ENDINGS = frozenset({"COMMIT", "END"})
_UNDOINGS = frozenset({"ABORT", "ROLLBACK"})
_TO_SAVEPOINT = re.compile(r"\bto\b", re.IGNORECASE)


@cache
def _pattern(syntax: Syntax, delimiter: str) -> re.Pattern[str]:
    """Return what finds the next thing of note: something that hides semicolons, or the end of the statement."""
    plain, escaped = r"{0}[^{0}]*(?:{0}|\Z)", r"{0}(?:[^{0}\\]|\\.)*(?:{0}|\Z)"
    text = (escaped if syntax.backslash_escapes else plain).format
    parts = [r"(?P<comment>--[^\n]*)"]
    if syntax.hash_comments:
        parts = [r"(?P<comment>(?:--(?=\s|\Z)|\#)[^\n]*)"]
    parts.append(r"(?P<block>/\*)")
    if syntax.escape_strings:
        parts.append(rf"(?P<escaped>(?<!\w)[eE]{escaped.format(chr(39))})")
    parts.append(f"(?P<text>{text(chr(39))})")
    parts.append(f"(?P<name>{text(chr(34))}" + (r"|`[^`]*(?:`|\Z)" if syntax.backticks else ""))
    parts[-1] += r"|\[[^\]]*(?:\]|\Z))" if syntax.brackets else ")"
    if syntax.dollar_quotes:
        parts.append(r"(?P<dollar>(?<![\w$])\$(?:[^\W\d]\w*)?\$)")
    parts.append(f"(?P<end>{re.escape(delimiter)})")
    return re.compile("|".join(parts), re.DOTALL)


def _pieces(script: str, syntax: Syntax, delimiter: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) of everything of note from ``start`` on."""
    pattern = _pattern(syntax, delimiter)
    position = start
    while match := pattern.search(script, position):
        kind, begin, position = str(match.lastgroup), match.start(), match.end()
        if kind == "block":
            position = _end_of_comment(script, position, nested=syntax.nested_comments)
            # MySQL and MariaDB execute what stands in such a comment.
            kind = "name" if syntax.hash_comments and script[begin + 2 : begin + 3] in {"!", "M"} else "comment"
        elif kind == "dollar":
            close = script.find(match[0], position)
            position = len(script) if close < 0 else close + len(match[0])
            kind = "text"
        elif kind == "escaped":
            kind = "text"
        yield kind, begin, position


def _end_of_comment(script: str, position: int, *, nested: bool) -> int:
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(script, position):
        if match[0] == "*/":
            depth -= 1
        elif nested:
            depth += 1
        if depth == 0:
            return match.end()
    return len(script)


def split(script: str, syntax: Syntax = Syntax()) -> Iterator[str]:
    """Yield the statements of ``script`` in order, without what ends them; what is only comments is left out."""
    delimiter, start = ";", 0
    while start < len(script):
        command = _DELIMITER.match(script, start) if syntax.delimiter_command else None
        if command is not None:
            delimiter, start = command[1], command.end()
            continue
        end, following, is_empty = _statement(script, syntax, delimiter, start)
        if not is_empty:
            yield script[start:end].strip()
        start = following


def _statement(script: str, syntax: Syntax, delimiter: str, start: int) -> tuple[int, int, bool]:
    """Return where the statement that begins at ``start`` ends, where the next begins, and whether it is empty."""
    code_from, code, depth, is_compound = start, "", 0, False
    is_empty = True
    for kind, begin, end in _pieces(script, syntax, delimiter, start):
        segment = script[code_from:begin]
        code_from = end
        if segment.strip() or kind in {"text", "name"}:
            is_empty = False
        if len(code) < 300:  # as much as tells what the statement is
            code = f"{code} {segment}" + (" x " if kind in {"text", "name"} else "")
            is_compound = is_compound or _COMPOUND.match(code) is not None
            if is_compound:
                depth = sum(map(_step, _BLOCK.finditer(code)))
        elif is_compound:
            depth += sum(map(_step, _BLOCK.finditer(segment)))
        if kind == "end" and (depth <= 0 or not is_compound):
            return begin, end, is_empty
        if kind == "end":
            code += ";"
        if kind == "comment" and syntax.delimiter_command and is_empty and _DELIMITER.match(script, end):
            return begin, end, True
    return len(script), len(script), is_empty and not script[code_from:].strip()


def _step(match: re.Match[str]) -> int:
    """Return by how much a word changes the depth of blocks: ``END IF`` and the like close what is not counted."""
    word = match[0].lower()
    return 1 if word in {"begin", "case"} else -1 if word == "end" else 0


def first_word(statement: str, syntax: Syntax = Syntax()) -> str:
    """Return the word that says what a statement does, in upper case; an empty text if it has none."""
    position = 0
    for kind, begin, end in _pieces(statement, syntax, ";", 0):
        if statement[position:begin].strip() or kind != "comment":
            break
        position = end
    match = _WORD.search(statement, position)
    return match[0].upper() if match else ""


def beginning(statement: str, syntax: Syntax = Syntax(), length: int = 80) -> str:
    """Return how a statement begins, on one line, for people: without its comments and with its texts hidden.

    A text in a statement may be a password or somebody's data, and is not needed to know the statement again.
    """
    shown, position = "", 0
    for kind, begin, end in _pieces(statement, syntax, ";", 0):
        shown += statement[position:begin]
        shown += {"text": "'***'", "comment": " "}.get(kind) or statement[begin:end]
        position = end
        if len(shown) > 4 * length:
            break
    else:
        shown += statement[position:]
    shown = " ".join(shown[: 8 * length].split())
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def kept(statements: list[str], syntax: Syntax, *, autocommit: bool, commits: frozenset[str]) -> tuple[int, ...]:
    """Return the numbers, from 1, of the statements whose effects stay when the connection is lost after them.

    ``commits`` are the first words of statements that commit by themselves: data definition, in MySQL.
    """
    staying: list[int] = []
    pending: list[int] = []
    in_transaction = not autocommit
    for number, statement in enumerate(statements, 1):
        word = first_word(statement, syntax)
        if word in _BEGINNINGS:
            if word in commits:
                staying, pending = [*staying, *pending], []
            in_transaction = True
        if word in _ENDINGS or (word in commits and word not in _BEGINNINGS):
            staying, pending = [*staying, *pending, number], []
            in_transaction = not autocommit
        elif word in _UNDOINGS and not _TO_SAVEPOINT.search(statement):
            pending, in_transaction = [], not autocommit
        elif in_transaction:
            pending.append(number)
        else:
            staying.append(number)
    return tuple(staying)
