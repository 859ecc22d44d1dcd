"""What a simulation takes for granted about tasks: how long they take, and how they end.

What the file says about a task counts first, then what its past successes took, then the file's defaults, then a
minute; a sensor that nothing is known about finds what it waits for at once. Without a word from the file a task
succeeds, a branch takes every path, and a result that something is mapped over is as long as it was last time, or 1.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from windlass.errors import ConfigError, ExtraMissing, UsageError
from windlass.spec import DagSpec, TaskSpec
from windlass_testing.simulate.branches import branch_skips

DEFAULT_DURATION: Final = 60.0
#: The least that anything takes: time must go on, or a DAG that runs without a pause would run for ever at one instant.
LEAST: Final = 0.001
#: ``fails`` of a task that never succeeds.
ALWAYS: Final = -1

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

#: Seconds, or text such as "90s" or "1h30m".
Duration = float | str


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: a key that is not known is an error."""


class Poke(_Strict, frozen=True, kw_only=True):
    """How often a sensor pokes until it finds what it waits for; ``reschedule`` gives its slot back in between."""

    count: int = 1
    interval: Duration = 60.0
    reschedule: bool = False


class TaskEntry(_Strict, frozen=True, kw_only=True):
    """What the file says about a task."""

    duration: Duration | None = None
    #: How many tries fail; true: all of them.
    fails: int | bool = 0
    #: Whether it skips itself.
    skips: bool = False
    #: The tasks or groups that a branch chooses; none: it skips all.
    branch: str | tuple[str, ...] | None = None
    #: The length of its result.
    length: int | None = None
    poke: Poke | None = None


class DagEntry(_Strict, frozen=True, kw_only=True):
    """What the file says about a DAG: the default of its tasks, and single ones by id."""

    duration: Duration | None = None
    tasks: dict[str, Duration | TaskEntry] = msgspec.field(default_factory=dict)


class Assumptions(_Strict, frozen=True, kw_only=True):
    """The file: the default of all tasks, pools by name with their slots, and DAGs by id."""

    duration: Duration | None = None
    pools: dict[str, int] = msgspec.field(default_factory=dict)
    dags: dict[str, DagEntry] = msgspec.field(default_factory=dict)

    def strangers(self, specs: Iterable[DagSpec]) -> list[str]:
        """Return a sentence for each DAG or task of the file that none of ``specs`` has: most likely a typo."""
        known: dict[str, set[str]] = {}
        for spec in specs:
            known.setdefault(spec.dag_id, set()).update(spec.by_id)
        found = []
        for dag_id, entry in self.dags.items():
            if dag_id not in known:
                found.append(f"the durations name DAG {dag_id!r}, which is not simulated")
                continue
            found += [
                f"the durations name task {task_id!r} of DAG {dag_id!r}, which has no such task"
                for task_id in entry.tasks
                if task_id not in known[dag_id]
            ]
        return found


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What is known from the past, by DAG and task: the median of the last successes, and the last result's length."""

    durations: dict[tuple[str, str], float] = msgspec.field(default_factory=dict)
    lengths: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """How one task behaves in the simulation; durations are seconds."""

    duration: float
    #: Where the duration comes from: file, history, default.
    source: str
    fails: int = 0
    skips: bool = False
    skip_targets: tuple[str, ...] = ()
    length: int = 1
    #: Pokes of a sensor that gives its slot back in between; 0: it holds it.
    reschedules: int = 0
    poke_interval: float = 0.0


class Behaviours:
    """The behaviour of every task of one simulation."""

    def __init__(self, assumptions: Assumptions, history: History) -> None:
        self._assumptions = assumptions
        self._history = history
        self._known: dict[tuple[str, str], Behaviour] = {}

    def of(self, spec: DagSpec, task_id: str) -> Behaviour:
        """Return how a task of ``spec`` behaves.

        :raises UsageError: if the file has a branch choose what it cannot.
        """
        key = (spec.dag_id, task_id)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._make(spec, spec.by_id[task_id])
        return found

    def longest_path(self, spec: DagSpec) -> float:
        """Return how long a run takes that never waits for a slot: its longest path of tasks, retries included."""
        ends: dict[str, float] = {}
        for task in spec.tasks:
            start = max((ends[name] for name in task.upstream if name in ends), default=0.0)
            ends[task.task_id] = start + self._length_of(spec, task)
        return max(ends.values(), default=LEAST)

    def _length_of(self, spec: DagSpec, task: TaskSpec) -> float:
        behaviour = self.of(spec, task.task_id)
        tries = task.retries if behaviour.fails == ALWAYS else min(behaviour.fails, task.retries)
        poking = behaviour.reschedules * behaviour.poke_interval
        return (tries + 1) * (behaviour.duration + poking) + tries * task.retry_delay

    def _make(self, spec: DagSpec, task: TaskSpec) -> Behaviour:
        entry = self._entry(spec.dag_id, task.task_id)
        duration, source = self._duration(spec.dag_id, task, entry)
        poke = entry.poke or Poke()
        interval = seconds(poke.interval)
        if entry.poke is not None and not poke.reschedule:
            duration += (poke.count - 1) * interval
        chosen = (entry.branch,) if isinstance(entry.branch, str) else entry.branch
        length = entry.length if entry.length is not None else self._history.lengths.get((spec.dag_id, task.task_id), 1)
        return Behaviour(
            duration=max(duration, LEAST),
            source=source,
            fails=ALWAYS if entry.fails is True else int(entry.fails),
            skips=entry.skips,
            skip_targets=() if chosen is None else branch_skips(spec, task.task_id, chosen),
            length=length,
            reschedules=poke.count - 1 if poke.reschedule else 0,
            poke_interval=interval if poke.reschedule else 0.0,
        )

    def _entry(self, dag_id: str, task_id: str) -> TaskEntry:
        dag = self._assumptions.dags.get(dag_id)
        entry = None if dag is None else dag.tasks.get(task_id)
        if entry is None:
            return TaskEntry()
        return entry if isinstance(entry, TaskEntry) else TaskEntry(duration=entry)

    def _duration(self, dag_id: str, task: TaskSpec, entry: TaskEntry) -> tuple[float, str]:
        dag = self._assumptions.dags.get(dag_id)
        if entry.duration is not None:
            return seconds(entry.duration), "file"
        if entry.poke is not None:
            return LEAST, "file"
        known = self._history.durations.get((dag_id, task.task_id))
        if known is not None:
            return known, "history"
        if task.is_sensor:
            return LEAST, "default"
        for default in (None if dag is None else dag.duration, self._assumptions.duration):
            if default is not None:
                return seconds(default), "file"
        return DEFAULT_DURATION, "default"


def seconds(value: Duration) -> float:
    """Return a duration in seconds.

    :raises UsageError: if it is negative, or text that is none.
    """
    if not isinstance(value, str):
        if value < 0:
            raise UsageError(f"a duration cannot be negative, as {value!r} is")
        return float(value)
    parts = _PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.replace(" ", ""):
        raise UsageError(f"{value!r} is no duration; write seconds, or text such as '90s', '5m' or '1h30m'")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def read_assumptions(path: Path) -> Assumptions:
    """Return the assumptions of a TOML, JSON or YAML file.

    :raises ConfigError: if it cannot be read, or says something that is not known; the message names the place.
    """
    try:
        data = _document(path)
        found = msgspec.convert(data, Assumptions)
        for entry in _all_durations(found):
            seconds(entry)
    except (OSError, ValueError, UsageError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise ConfigError(f"the durations in {path} cannot be used: {error}") from None
    return found


def _document(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    text = path.read_text(encoding="utf-8")
    match path.suffix.lower():
        case ".toml":
            return tomllib.loads(text)
        case ".json":
            return msgspec.json.decode(text)
        case ".yaml" | ".yml":
            try:
                import yaml
            except ImportError:
                raise ExtraMissing(f"{path} needs PyYAML (a .toml or .json file needs nothing)") from None
            try:
                return yaml.safe_load(text) or {}
            except yaml.YAMLError as error:
                raise ValueError(str(error)) from None
    raise ValueError("its name must end in .toml, .json or .yaml")


def _all_durations(found: Assumptions) -> Iterable[Duration]:
    candidates: list[Duration | None] = [found.duration]
    for dag in found.dags.values():
        candidates.append(dag.duration)
        for task in dag.tasks.values():
            if isinstance(task, TaskEntry):
                candidates += [task.duration, None if task.poke is None else task.poke.interval]
            else:
                candidates.append(task)
    return [candidate for candidate in candidates if candidate is not None]
