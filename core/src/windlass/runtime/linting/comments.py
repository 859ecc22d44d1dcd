"""``# windlass: ignore[WL105]``: a comment that excuses the statement it stands at."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from windlass.protocol.findings import Ignore

_COMMENT = re.compile(r"#\s*windlass:\s*ignore\[([A-Z0-9,\s]+)\]")


def ignores_in(root: str, file: str) -> Iterator[Ignore]:
    """Yield what the comments of a file excuse; nothing if it cannot be read as Python."""
    try:
        source = Path(root, file).read_bytes()
        comments = list(_comments(source))
        spans = list(_spans(ast.parse(source))) if comments else []
    except (OSError, SyntaxError, ValueError, RecursionError, tokenize.TokenError):
        return
    for line, codes in comments:
        around = [span for span in spans if span[0] <= line <= span[1]]
        first, last = min(around, key=lambda span: span[1] - span[0], default=(line, line))
        yield Ignore(file=file, first=first, last=last, codes=codes)


def _comments(source: bytes) -> Iterator[tuple[int, tuple[str, ...]]]:
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
        if match is not None:
            yield token.start[0], tuple(code.strip() for code in match[1].split(",") if code.strip())


def _spans(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Yield the lines of every statement; of one that holds others, those of its head."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
            yield first, max(first, body[0].lineno - 1)
        else:
            yield first, node.end_lineno or first
