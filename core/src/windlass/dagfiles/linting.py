"""``dags lint``: what is wrong with DAG files although they can be read.

Every file is parsed twice, in two parse servers whose hashes of texts differ, the second time with clocks that are far
ahead. Whatever the specs then have in common is the DAG; what differs would differ between the server and a task as
well. What the children saw on the way comes with the first parse. Nothing of an author's runs in this process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from windlass.config import Settings
from windlass.dagfiles.checks import checked
from windlass.dagfiles.listing import Listing
from windlass.dagfiles.parser import ParseServer, Secrets
from windlass.errors import SpecError, UsageError, WindlassError
from windlass.ports import Clock
from windlass.protocol.findings import BY_CODE, Code, Finding, Ignore, Level, Observed
from windlass.protocol.parsing import ParseRequest, ParseResult
from windlass.spec import DagSpec, decode_spec

#: Seconds that the second parse lives later: no hour, weekday or year is the same.
LATER: Final = 400 * 86_400 + 13 * 3600 + 47 * 60 + 11.123457
#: Bytes of a quoted id that fit into the name of a folder.
_FITS: Final = 200
#: Differences of one DAG that are told.
_TOLD: Final = 3
_WAIT: Final = 0.2
_DEFAULT_QUEUE: Final = "default"


class Lint(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as people see it."""

    code: str
    level: Level
    file: str
    line: int
    message: str
    remedy: str


class Surroundings(NamedTuple):
    """What DAGs may refer to; None where it is not known."""

    #: The names of all pools.
    pools: frozenset[str] | None = None
    #: The pools that tasks of no file are looked for in: all files were read.
    complete: bool = False


class _Parsed(NamedTuple):
    """A file's result, the DAGs that pass every check, and what is wrong with the others."""

    observed: Observed
    specs: dict[str, DagSpec]
    #: (line if it is known, sentence)
    errors: list[tuple[int, str]]


def dag_files(root: str, settings: Settings) -> list[str]:
    """Return the DAG files of a folder.

    :raises UsageError: if the folder cannot be read.
    """
    try:
        return list(Listing(root, safe_mode=settings.core.dag_discovery_safe_mode).look().files)
    except OSError as error:
        raise UsageError(f"{root} cannot be read: {error.strerror}") from None


def lint(
    root: str,
    files: Collection[str],
    settings: Settings,
    *,
    clock: Clock,
    secrets: Secrets,
    surroundings: Surroundings,
) -> Iterator[Lint]:
    """Yield what is found in ``files`` below ``root``, file by file."""
    now, later = (_parse(root, files, settings, clock, secrets, shift) for shift in (0.0, LATER))
    used: set[str] = set()
    for file in files:
        first, second = now[file], later[file]
        used.update(task.pool for spec in first.specs.values() for task in spec.tasks)
        observed = first.observed
        found = [*observed.findings, *_unreadable(file, first), *_differences(file, first, second)]
        for spec in first.specs.values():
            found += _of_spec(spec, observed, surroundings)
        yield from _shown(found, observed.ignores)
    if surroundings.complete and surroundings.pools is not None:
        for pool in sorted(surroundings.pools - used - {"default_pool"}):
            yield _lint(Finding(code=Code.UNUSED_POOL.code, file="", line=0, message=f"no task uses pool {pool!r}"))


# --- Parsing


def _parse(
    root: str, files: Collection[str], settings: Settings, clock: Clock, secrets: Secrets, shift: float
) -> dict[str, _Parsed]:
    """Parse all files in one parse server, whose hash seed follows from ``shift``."""
    server = ParseServer(
        concurrency=settings.dag_processor.parsing_processes,
        secrets=secrets,
        clock=clock,
        environ={"PYTHONHASHSEED": "1" if shift else "0"},
    )
    results: dict[int, ParseResult] = {}
    names = dict(enumerate(files, start=1))
    waiting = list(names)
    try:
        while waiting or server.busy:
            while waiting and server.room > 0:
                number = waiting.pop(0)
                server.submit(
                    ParseRequest(
                        id=number,
                        bundle="lint",
                        root=root,
                        file=names[number],
                        timeout=settings.core.dagbag_import_timeout,
                        memory=settings.dag_processor.memory_limit_mb << 20,
                        lint=shift,
                    )
                )
            results |= {result.id: result for result in server.collect(_WAIT)}
    finally:
        server.close()
    return {file: _judged(file, results[number]) for number, file in names.items()}


def _judged(file: str, result: ParseResult) -> _Parsed:
    specs: dict[str, DagSpec] = {}
    observed = result.observed or Observed()
    errors = [] if result.error is None else [_sentence(file, result.error, observed)]
    for data in result.specs:
        try:
            spec = checked(data, file)
        except WindlassError as error:
            made, line = observed.places.get(_id_in(data), (file, 1))
            errors.append((line if made == file else 1, str(error)))
        else:
            specs[spec.dag_id] = spec
    return _Parsed(observed, specs, errors)


def _id_in(data: bytes) -> str:
    try:
        return decode_spec(data).dag_id
    except SpecError:
        return ""


def _sentence(file: str, error: str, observed: Observed) -> tuple[int, str]:
    """Return the line and the sentence of an import error; one without a line belongs to the DAG that it names."""
    text = error.partition("\n")[0]
    place, _, rest = text.partition(": ")
    name, _, number = place.rpartition(":")
    if name == file and number.isdecimal():
        return int(number), rest
    sentence = rest if place == file else text
    named = (line for name, (made, line) in observed.places.items() if made == file and f"DAG {name!r}" in sentence)
    return next(named, 1), sentence


# --- Judging


def _unreadable(file: str, parsed: _Parsed) -> Iterator[Finding]:
    for line, sentence in parsed.errors:
        yield Finding(code=Code.UNREADABLE.code, file=file, line=line, message=sentence)


def _differences(file: str, now: _Parsed, later: _Parsed) -> Iterator[Finding]:
    """Yield what was not the same in both parses."""
    observed = now.observed
    if now.errors:
        return
    if later.errors:
        line, sentence = later.errors[0]
        text = f"at another time it cannot be read: {sentence}"
        yield Finding(code=Code.UNSTABLE.code, file=file, line=line, message=text)
        return
    for dag_id in now.specs.keys() ^ later.specs.keys():
        file_of, line = (observed.places | later.observed.places).get(dag_id, (file, 1))
        text = f"DAG {dag_id!r} is there in one parse and not in another"
        yield Finding(code=Code.UNSTABLE.code, file=file_of, line=line, message=text)
    for dag_id in now.specs.keys() & later.specs.keys():
        yield from _changes(now.specs[dag_id], later.specs[dag_id], observed, file)


def _changes(now: DagSpec, later: DagSpec, observed: Observed, file: str) -> Iterator[Finding]:
    place = observed.places.get(now.dag_id, (file, 1))
    moving = [f"start_date of DAG {now.dag_id!r}"] if now.start_date != later.start_date else []
    dates = {task.task_id: task.start_date for task in later.tasks}
    for task in now.tasks:
        if task.task_id in dates and task.start_date != dates[task.task_id] and not moving:
            place = observed.places.get(f"{now.dag_id}\n{task.task_id}", place)
            moving = [f"start_date of task {task.task_id!r} of DAG {now.dag_id!r}"]
    if moving:
        text = f"{moving[0]} moves with the clock, as from datetime.now() or days_ago()"
        yield Finding(code=Code.MOVING_DATE.code, file=place[0], line=place[1], message=text)
    paths = list(_different(_comparable(now), _comparable(later), ""))
    if paths:
        more = f" and {len(paths) - _TOLD} more" if len(paths) > _TOLD else ""
        text = f"DAG {now.dag_id!r} is not the same whenever it is parsed: {'; '.join(paths[:_TOLD])}{more}"
        file_of, line = observed.places.get(now.dag_id, (file, 1))
        yield Finding(code=Code.UNSTABLE.code, file=file_of, line=line, message=text)


def _comparable(spec: DagSpec) -> Any:  # noqa: ANN401 - plain data
    data = msgspec.to_builtins(spec)
    data.pop("start_date", None)
    tasks = {}
    for task in data.pop("tasks", ()):
        task.pop("start_date", None)
        tasks[task["task_id"]] = task
    return {**data, "order of tasks": list(tasks), "tasks": tasks}


def _different(one: Any, other: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - plain data
    """Yield where two data differ, with both values."""
    if one == other:
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _different(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and path != "order of tasks":
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _different(left, right, f"{path}[{number}]")
    elif path == "order of tasks" and sorted(one) == sorted(other):
        first, second = next(pair for pair in zip(one, other, strict=True) if pair[0] != pair[1])
        yield f"{path}: {_short(first)} stands where {_short(second)} stood"
    else:
        yield f"{path} is {_short(one)}, then {_short(other)}"


def _short(value: object, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


def _of_spec(spec: DagSpec, observed: Observed, surroundings: Surroundings) -> Iterator[Finding]:
    """Yield what is wrong with the parts of a DAG."""
    place = observed.places.get(spec.dag_id, (spec.file, 1))
    if len(quote(spec.dag_id)) > _FITS:
        yield Finding(code=Code.LONG_ID.code, file=place[0], line=place[1], message=_long("DAG", spec.dag_id))
    for task in spec.tasks:
        file, line = observed.places.get(f"{spec.dag_id}\n{task.task_id}", place)
        who = f"task {task.task_id!r} of DAG {spec.dag_id!r}"
        if len(quote(task.task_id)) > _FITS:
            yield Finding(code=Code.LONG_ID.code, file=file, line=line, message=_long("task", task.task_id))
        if surroundings.pools is not None and task.pool not in surroundings.pools:
            text = f"{who} wants pool {task.pool!r}, which does not exist, so it never runs"
            yield Finding(code=Code.UNKNOWN_POOL.code, file=file, line=line, message=text)
        if task.queue != _DEFAULT_QUEUE:
            text = f"{who} wants queue {task.queue!r}, which nobody serves in particular"
            yield Finding(code=Code.QUEUE.code, file=file, line=line, message=text)


def _long(kind: str, name: str) -> str:
    return f"{kind} id {name[:40]!r}… takes {len(quote(name))} bytes in the name of a folder, of which {_FITS} fit"


# --- Showing


def _shown(findings: Iterable[Finding], ignores: Iterable[Ignore]) -> list[Lint]:
    """Return the findings that no comment excuses, in the order of the file."""
    excused: Mapping[tuple[str, str], list[tuple[int, int]]] = _excused(ignores)
    shown = [
        _lint(finding)
        for finding in findings
        if not any(first <= finding.line <= last for first, last in excused.get((finding.file, finding.code), ()))
    ]
    return sorted(shown, key=lambda lint: (lint.file, lint.line, lint.code, lint.message))


def _excused(ignores: Iterable[Ignore]) -> dict[tuple[str, str], list[tuple[int, int]]]:
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for ignore in ignores:
        for code in ignore.codes:
            found.setdefault((ignore.file, code), []).append((ignore.first, ignore.last))
    return found


def _lint(finding: Finding) -> Lint:
    kind = BY_CODE[finding.code].value
    return Lint(
        code=finding.code,
        level=finding.level or kind.level,
        file=finding.file,
        line=finding.line,
        message=finding.message,
        remedy=kind.remedy,
    )
