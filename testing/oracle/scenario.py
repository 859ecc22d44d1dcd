"""What is done with each DAG of the folder ``dags``: when it is switched on, what triggers it, how long it is watched.

A DAG file says so in a plain dict ``SCENARIOS``, so that it stays a file which users of either engine could have
written. A DAG that is not in it gets one manual run. Only the standard library is used here: both sides import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

DAGS = Path(__file__).parent / "dags"
#: The instant of everything that is not about time: a Tuesday.
AT = "2024-03-05T06:07:08+00:00"


@dataclass(frozen=True)
class Trigger:
    """A manual run: made ``at`` an instant, for a logical date (or none) and with a conf."""

    at: datetime
    logical_date: datetime | None
    conf: dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One DAG's story: unpaused ``at`` an instant, triggered, and watched ``until`` its schedule is left alone.

    ``at`` is by default the first trigger's instant. ``also`` are DAGs that are unpaused with it and appear in its
    document; ``rendered`` compares template fields; ``processes`` is what Windlass does with its processes alone, such
    as ending one that takes too long.
    """

    dag_id: str
    at: datetime
    until: datetime
    triggers: tuple[Trigger, ...]
    also: tuple[str, ...] = ()
    rendered: bool = False
    processes: bool = False
    dag_ids: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Name all DAGs that take part."""
        object.__setattr__(self, "dag_ids", (self.dag_id, *self.also))


def dag_files() -> list[Path]:
    """Return the DAG files, without the module that they import."""
    return [path for path in sorted(DAGS.glob("*.py")) if path.stem != "portable"]


def scenarios(dag_ids: Iterable[str], told: Mapping[str, Mapping[str, Any]]) -> list[Scenario]:
    """Return the scenarios of the DAGs of one file, given its ``SCENARIOS``.

    :raises ValueError: if the file tells of a DAG that it does not make.
    """
    ids = list(dag_ids)
    if strange := sorted(set(told) - set(ids)):
        raise ValueError(f"SCENARIOS names {', '.join(strange)}, which the file does not define")
    taking_part = {other for scenario in told.values() for other in scenario.get("also", ())}
    return [_scenario(dag_id, told.get(dag_id, {})) for dag_id in ids if dag_id not in taking_part]


def _scenario(dag_id: str, told: Mapping[str, Any]) -> Scenario:
    first = min((trigger["at"] for trigger in told.get("triggers", ())), default=AT)
    at = datetime.fromisoformat(told.get("at", first))
    triggers = told.get("triggers", [{"at": at.isoformat(), "logical_date": at.isoformat()}])
    return Scenario(
        dag_id=dag_id,
        at=at,
        until=datetime.fromisoformat(told["until"]) if "until" in told else at,
        triggers=tuple(_trigger(trigger) for trigger in triggers),
        also=tuple(told.get("also", ())),
        rendered=bool(told.get("rendered", False)),
        processes=bool(told.get("processes", False)),
    )


def _trigger(told: Mapping[str, Any]) -> Trigger:
    date = told.get("logical_date")
    return Trigger(
        at=datetime.fromisoformat(told["at"]),
        logical_date=None if date is None else datetime.fromisoformat(date),
        conf=dict(told.get("conf", {})),
    )
