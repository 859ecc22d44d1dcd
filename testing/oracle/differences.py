"""Where the two documents of a scenario differ, and which of these differences are allowed, with the reason.

A place is ``<dag_id>[<n>]: <what>``, where n counts the runs of that DAG, for example
``rule_always[0]: tasks/below_failed``. Allowed ones stand in ``differences.toml``::

    [[difference]]
    id = "run-ids"
    title = "What a run id names"
    airflow = "…"                      # what each does, for the page
    windlass = "…"
    rule = "…"                         # the words of the specification, where they decide it
    reason = "…"                       # why, where they do not
    bug = false                        # true: Windlass is wrong and will be changed
    at = ["time_*: run_id"]            # patterns; each must meet a difference

A difference that no pattern meets fails, and so does a pattern that meets none. ``accepted.json`` holds the values of
the allowed differences: where they become others, somebody has to look again.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from testing.oracle.document import Document

ALLOWED: Final = Path(__file__).with_name("differences.toml")
ACCEPTED: Final = Path(__file__).with_name("accepted.json")
_ABSENT: Final = "(absent)"
#: Parts of a run's document whose entries are compared one by one, and how deep.
_DEPTH: Final = {"tasks": 1, "tries": 1, "xcoms": 2, "rendered": 2}


@dataclass(frozen=True)
class Difference:
    """One place where the engines disagree."""

    place: str
    airflow: Any
    windlass: Any


@dataclass(frozen=True)
class Allowed:
    """A reason for differences, and where they are."""

    id: str
    title: str
    airflow: str
    windlass: str
    at: tuple[str, ...]
    rule: str = ""
    reason: str = ""
    bug: bool = False

    def __post_init__(self) -> None:
        """Refuse an entry that says neither why nor where."""
        if not (self.rule or self.reason) or not self.at:
            raise ValueError(f"{ALLOWED.name}: {self.id} needs `rule` or `reason`, and `at`")


def allowed() -> list[Allowed]:
    """Return the differences that are allowed, in the order of the file."""
    entries = tomllib.loads(ALLOWED.read_text("utf-8"))["difference"]
    return [Allowed(**{**entry, "at": tuple(entry["at"])}) for entry in entries]


def accepted() -> list[Difference]:
    """Return the allowed differences with the values that they had when they were allowed."""
    return [Difference(*entry) for entry in json.loads(ACCEPTED.read_text("utf-8"))]


def accept(found: Iterable[Difference]) -> None:
    """Keep these differences with their values."""
    lines = (json.dumps([one.place, one.airflow, one.windlass]) for one in found)
    ACCEPTED.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def differences(airflow: Mapping[str, Document], windlass: Mapping[str, Document]) -> list[Difference]:
    """Return where the documents of the same scenarios differ, in order."""
    found: list[Difference] = []
    for scenario in sorted(airflow.keys() | windlass.keys()):
        one, other = airflow.get(scenario), windlass.get(scenario)
        if one is None or other is None:
            found.append(Difference(f"{scenario}: scenario", one and "played", other and "played"))
        else:
            found += _of_scenario(scenario, one, other)
    return found


def _of_scenario(scenario: str, airflow: Document, windlass: Document) -> Iterator[Difference]:
    if airflow["refused"] != windlass["refused"]:
        yield Difference(f"{scenario}: refused", airflow["refused"], windlass["refused"])
    dag_ids = sorted({run["dag_id"] for document in (airflow, windlass) for run in document["runs"]})
    for dag_id in dag_ids:
        one, other = ([run for run in document["runs"] if run["dag_id"] == dag_id] for document in (airflow, windlass))
        if len(one) != len(other):
            dates = ([run["logical_date"] for run in runs] for runs in (one, other))
            yield Difference(f"{dag_id}: runs", *dates)
            continue
        for number, (theirs, ours) in enumerate(zip(one, other, strict=True)):
            for what, left, right in _of_run(theirs, ours):
                yield Difference(f"{dag_id}[{number}]: {what}", left, right)


def _of_run(airflow: Document, windlass: Document) -> Iterator[tuple[str, Any, Any]]:
    for what, left in airflow.items():
        right = windlass[what]
        if left != right:
            yield from _inside(what, left, right, _DEPTH.get(what, 0))


def _inside(what: str, left: Any, right: Any, depth: int) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - JSON
    if not depth or not isinstance(left, dict) or not isinstance(right, dict):
        yield what, left, right
        return
    for key in sorted(left.keys() | right.keys()):
        one, other = left.get(key, _ABSENT), right.get(key, _ABSENT)
        if one != other:
            yield from _inside(f"{what}/{key}", one, other, depth - 1)


@dataclass(frozen=True)
class Verdict:
    """What a comparison comes to."""

    explained: dict[str, list[Difference]]
    unexplained: list[Difference]
    stale: list[str]

    @property
    def is_good(self) -> bool:
        """Whether every difference has its reason and every reason its difference."""
        return not self.unexplained and not self.stale


def judge(
    found: Iterable[Difference],
    reasons: Iterable[Allowed],
    known: Iterable[Difference] | None = None,
    *,
    complete: bool = True,
) -> Verdict:
    """Sort differences by their reasons; one whose values are not those of ``known`` (None: any) has none.

    An incomplete comparison says nothing about reasons that were not needed.
    """
    patterns = [(reason, pattern) for reason in reasons for pattern in reason.at]
    values = None if known is None else {one.place: one for one in known}
    used: set[tuple[str, str]] = set()
    explained: dict[str, list[Difference]] = {}
    unexplained = []
    for difference in found:
        matching = [(reason.id, pattern) for reason, pattern in patterns if _meets(difference.place, pattern)]
        used.update(matching)
        if matching and (values is None or values.get(difference.place) == difference):
            explained.setdefault(matching[0][0], []).append(difference)
        else:
            unexplained.append(difference)
    stale = [f"{reason.id}: {pattern}" for reason, pattern in patterns if (reason.id, pattern) not in used]
    return Verdict(explained, unexplained, stale if complete else [])


def _meets(place: str, pattern: str) -> bool:
    """Return whether ``place`` is what ``pattern`` means; only ``*`` is special in it."""
    return fnmatchcase(place.replace("[", "<").replace("]", ">"), pattern.replace("[", "<").replace("]", ">"))
