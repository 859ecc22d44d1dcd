"""Rows as the frozen structs that cross the ports, and the column lists that go with them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from windlass.ports import DagFacts, RunFacts, TaskFacts
from windlass.states import RunState, RunType, TaskState
from windlass.store.database import Row
from windlass.store.instants import instant

_STATES: Final = {state.value: state for state in TaskState}
_RUN_STATES: Final = {state.value: state for state in RunState}
_RUN_TYPES: Final = {kind.value: kind for kind in RunType}

_json_encoder: Final = msgspec.json.Encoder(order="deterministic")
_dict_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_names_decoder: Final = msgspec.json.Decoder(tuple[str, ...])

TASK_COLUMNS: Final = (
    "id, run, task_id, map_index, state, try_number, max_tries, epoch, pool, pool_slots, ticket, lease_id, queued_at,"
    " not_before, result_length, skip_targets"
)
RUN_COLUMNS: Final = (
    "id, dag_id, run_id, run_type, state, logical_date, interval_start, interval_end, run_after, queued_at, start_date,"
    " end_date, spec_version, code_version, bundle, file, generation, conf, backfill_id, ending, ending_reason,"
    " interval_pending"
)
#: The bounds of the newest scheduled run come from an index, one seek each.
DAG_COLUMNS: Final = (
    "dag_id, bundle, file, spec_version, code_version, paused, stale, unpaused_at,"
    " (SELECT r.interval_start FROM run r WHERE r.dag_id = dag.dag_id AND r.run_type = 'scheduled'"
    " ORDER BY r.logical_date DESC LIMIT 1),"
    " (SELECT r.interval_end FROM run r WHERE r.dag_id = dag.dag_id AND r.run_type = 'scheduled'"
    " ORDER BY r.logical_date DESC LIMIT 1)"
)


def columns_of(alias: str, columns: str) -> str:
    """Return the column list for a table that the statement calls ``alias``."""
    return ", ".join(f"{alias}.{column.strip()}" for column in columns.split(","))


def to_json(value: object) -> str:
    """Return ``value`` as JSON text with sorted keys."""
    return _json_encoder.encode(value).decode()


def to_dict(text: str | None) -> dict[str, Any]:
    """Return the JSON object in ``text``; {} for None or empty."""
    return _dict_decoder.decode(text) if text and text != "{}" else {}


def to_names(text: str | None) -> tuple[str, ...]:
    """Return the JSON list of names in ``text``; () for None."""
    return _names_decoder.decode(text) if text else ()


def task_state(text: str) -> TaskState:
    """Return the state that ``text`` names."""
    return _STATES[text]


def run_state(text: str) -> RunState:
    """Return the run state that ``text`` names."""
    return _RUN_STATES[text]


def task_facts(row: Row) -> TaskFacts:
    """Return the struct of a row of :data:`TASK_COLUMNS`."""
    return TaskFacts(
        id=row[0],
        run=row[1],
        task_id=row[2],
        map_index=row[3],
        state=_STATES[row[4]],
        try_number=row[5],
        max_tries=row[6],
        epoch=row[7],
        pool=row[8],
        pool_slots=row[9],
        ticket=row[10],
        lease_id=row[11],
        queued_at=instant(row[12]),
        not_before=instant(row[13]),
        result_length=row[14],
        skip_targets=to_names(row[15]),
    )


def run_facts(row: Row) -> RunFacts:
    """Return the struct of a row of :data:`RUN_COLUMNS`."""
    return RunFacts(
        id=row[0],
        dag_id=row[1],
        run_id=row[2],
        run_type=_RUN_TYPES[row[3]],
        state=_RUN_STATES[row[4]],
        logical_date=instant(row[5]),
        data_interval_start=instant(row[6]),
        data_interval_end=instant(row[7]),
        run_after=instant(row[8]),
        queued_at=instant(row[9]),
        start_date=instant(row[10]),
        end_date=instant(row[11]),
        spec_version=row[12],
        code_version=row[13],
        bundle=row[14],
        file=row[15],
        generation=row[16],
        conf=to_dict(row[17]),
        backfill_id=row[18],
        ending=None if row[19] is None else _RUN_STATES[row[19]],
        ending_reason=row[20],
        interval_pending=bool(row[21]),
    )


def dag_facts(row: Row) -> DagFacts:
    """Return the struct of a row of :data:`DAG_COLUMNS`."""
    return DagFacts(
        dag_id=row[0],
        bundle=row[1],
        file=row[2],
        spec_version=row[3],
        code_version=row[4],
        paused=bool(row[5]),
        stale=bool(row[6]),
        unpaused_at=instant(row[7]),
        last_interval_start=instant(row[8]),
        last_interval_end=instant(row[9]),
    )
