"""From what a parse child said to what is stored: DAGs that passed every check, errors, warnings, a code version."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from windlass.dagfiles.checks import checked
from windlass.dagfiles.contents import ABSENT, Contents
from windlass.dagfiles.snapshot import Changed, CodeStore, Manifest, check_inside
from windlass.dagfiles.watching import Remembered, Tracked, changed_inputs, code_files, installed
from windlass.errors import SpecError, WindlassError
from windlass.protocol.parsing import ParseResult
from windlass.spec import DagSpec
from windlass.store.dags import ParsedFile

log = logging.getLogger(__name__)

#: A file that changes every time it is parsed gets an error instead of being parsed for ever.
MAX_UNSTABLE = 3


@dataclass(slots=True)
class Outcome:
    """One parse result, examined."""

    specs: list[DagSpec] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)


def examine(tracked: Tracked, result: ParseResult, contents: Contents, *, executors: Sequence[str] = ()) -> Outcome:
    """Return what ``result`` is worth; nothing in it is believed."""
    outcome = Outcome(inputs=result.inputs | dict.fromkeys(result.missing, ABSENT))
    try:
        for path in outcome.inputs:
            check_inside(path)
    except SpecError as error:
        outcome.inputs.clear()
        outcome.errors.append(str(error))
        result = ParseResult(id=result.id, error=result.error)
    outcome.inputs.setdefault(tracked.file, contents.hash_of(f"{tracked.root}/{tracked.file}"))
    if result.error is not None:
        outcome.errors.append(result.error)
        return outcome
    for data in result.specs:
        try:
            spec = checked(data, tracked.file, executors=executors)
        except WindlassError as error:
            outcome.errors.append(f"{tracked.file}: {error}")
        except Exception as error:  # noqa: BLE001 - a schema or a schedule made to break whoever looks at it
            outcome.errors.append(f"{tracked.file}: a DAG cannot be checked: {type(error).__name__}: {error}")
        else:
            outcome.specs.append(spec)
    return outcome


def settle(tracked: Tracked, outcome: Outcome, contents: Contents, code: CodeStore) -> str | None:
    """Keep the code that gave ``outcome`` and return its version; None if it changed since and must be parsed again.

    :raises OSError: if the code folder cannot be written.
    """
    changed = changed_inputs(contents, tracked.root, outcome.inputs)
    manifest = _manifest(tracked, outcome.inputs)
    if not changed:
        try:
            version = code.keep(manifest) if outcome.specs else manifest.code_version
        except Changed:
            changed = [tracked.file]
        else:
            tracked.unstable = 0
            return version
    tracked.unstable += 1
    if tracked.unstable <= MAX_UNSTABLE:
        return None
    tracked.unstable = 0
    names = ", ".join(sorted(changed)[:5])
    outcome.errors.insert(
        0, f"{tracked.file}: {names} changes every time this file is parsed; write to a folder elsewhere"
    )
    outcome.specs.clear()
    for path in changed:
        outcome.inputs[path] = contents.hash_of(f"{tracked.root}/{path}")
    return _manifest(tracked, outcome.inputs).code_version


def _manifest(tracked: Tracked, inputs: Mapping[str, str]) -> Manifest:
    return Manifest.of(tracked.bundle, tracked.root, tracked.file, code_files(inputs))


def to_store(tracked: Tracked, result: ParseResult, outcome: Outcome, code_version: str) -> ParsedFile:
    """Return what the database is to keep."""
    failed = bool(outcome.errors)
    return ParsedFile(
        bundle=tracked.bundle,
        file=tracked.file,
        code_version=code_version,
        specs=tuple(outcome.specs),
        error="\n\n".join(outcome.errors) if failed else None,
        warnings=tuple(result.warnings),
        output=result.output,
        inputs=Remembered(outcome.inputs, installed() if failed else None),
        duration=result.duration,
        min_interval=result.min_interval,
    )
