"""A folder of DAG files read once, without a database: its files parsed by children, its DAGs checked as ever.

Nothing is kept: neither code nor specs are stored, and a file that fails is only told.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from windlass.config import Settings
from windlass.dagfiles.checks import checked
from windlass.dagfiles.listing import Listing
from windlass.dagfiles.parser import Parser, ParseServer, Secrets
from windlass.errors import ConfigError, WindlassError
from windlass.ports import Clock
from windlass.protocol.parsing import ParseRequest, ParseResult
from windlass.spec import DagSpec

_WAIT: Final = 0.2


@dataclass(slots=True)
class Reading:
    """What a folder holds: its DAGs by id, and a sentence for everything that could not be read."""

    specs: dict[str, DagSpec] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def read_folder(
    folder: Path, settings: Settings, *, clock: Clock, secrets: Secrets, parser: Parser | None = None
) -> Reading:
    """Return the DAGs that the files below ``folder`` define.

    Args:
        folder: the root of the files; modules below it can be imported by them.
        settings: the limits of parsing.
        clock: for those limits.
        secrets: answers connections and variables that files read while they are parsed.
        parser: what parses, by default a parse server of its own.

    :raises ConfigError: if the folder cannot be read.
    """
    root = folder.absolute()
    try:
        found = Listing(str(root), safe_mode=settings.core.dag_discovery_safe_mode).look()
    except OSError as error:
        raise ConfigError(f"the DAG folder {folder} cannot be read: {error.strerror}; name one that exists") from None
    reading = Reading(errors=list(found.problems))
    server = parser or ParseServer(concurrency=settings.dag_processor.parsing_processes, secrets=secrets, clock=clock)
    try:
        for file, result in sorted(_parsed(server, str(root), list(found.files), settings), key=lambda pair: pair[0]):
            _take(reading, file, result)
    finally:
        server.close()
    return reading


def _parsed(server: Parser, root: str, files: list[str], settings: Settings) -> list[tuple[str, ParseResult]]:
    waiting, ids = deque(files), itertools.count(1)
    sent: dict[int, str] = {}
    results: list[tuple[str, ParseResult]] = []
    while waiting or server.busy:
        while waiting and server.room > 0:
            number, file = next(ids), waiting.popleft()
            sent[number] = file
            server.submit(
                ParseRequest(
                    id=number,
                    bundle="",
                    root=root,
                    file=file,
                    timeout=settings.core.dagbag_import_timeout,
                    memory=settings.dag_processor.memory_limit_mb << 20,
                    timezone=settings.core.default_timezone,
                )
            )
        results += [(sent[result.id], result) for result in server.collect(_WAIT)]
    return results


def _take(reading: Reading, file: str, result: ParseResult) -> None:
    if result.error is not None:
        reading.errors.append(f"{file} could not be read: {_told(result.error)}")
        return
    for data in result.specs:
        try:
            spec = checked(data, file)
        except WindlassError as error:
            reading.errors.append(f"{file}: {error}")
            continue
        first = reading.specs.setdefault(spec.dag_id, spec)
        if first is not spec:
            reading.errors.append(
                f"{file}: DAG {spec.dag_id!r} is defined in {first.file} already, and that one is used"
            )


def _told(error: str) -> str:
    """Return the line of a traceback that says what is wrong: the first, which names the file."""
    return error.strip().partition("\n")[0]
