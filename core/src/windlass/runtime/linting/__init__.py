"""Parsing a DAG file as a linter: the same as always, with somebody who watches.

``watching`` notes what the file does while it is imported, ``clock`` lets it live at another time, ``comments`` reads
what it wants to be excused for. All of it changes this process for good: a parse child, which dies with its file.
"""

from __future__ import annotations

import msgspec

from windlass.protocol.findings import Observed
from windlass.protocol.parsing import ParseRequest, ParseResult
from windlass.runtime import parsing
from windlass.runtime.linting.clock import live_later
from windlass.runtime.linting.comments import ignores_in
from windlass.runtime.linting.watching import Watch


def parse(request: ParseRequest, source: bytes, session: parsing.AskingSession) -> ParseResult:
    """Parse a file as :func:`windlass.runtime.parsing.parse` does, and say as well what was seen."""
    if request.lint:
        live_later(request.lint)
    watch = Watch(request.root)
    watch.begin()
    result = parsing.parse(request, source, watch.session(session))
    watch.end()
    files = {finding.file for finding in watch.findings} | {file for file, _ in watch.places.values()} | {request.file}
    ignores = [ignore for file in sorted(files) for ignore in ignores_in(request.root, file)]
    observed = Observed(findings=tuple(watch.findings), ignores=tuple(ignores), places=watch.places)
    return msgspec.structs.replace(result, observed=observed)
