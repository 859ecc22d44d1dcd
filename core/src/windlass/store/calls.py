"""What a running attempt may ask and tell between its claim and its end."""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from windlass.errors import Conflict, DagNotFound, RunExists, UsageError, WindlassError
from windlass.planning.attempts import run_fields
from windlass.planning.calendar import is_asked, manual_interval
from windlass.ports import NewRun
from windlass.protocol import AssetEvent, Query, TriggerRun, Variable, Verb, XComGet, XComInfo, XComSet
from windlass.states import RunType
from windlass.store import xcoms
from windlass.store.asking import Asking
from windlass.store.assets import record_events
from windlass.store.commands import RunCommands
from windlass.store.credentials import Credentials
from windlass.store.database import Database, Transaction
from windlass.store.endings import Held
from windlass.store.selection import Selection
from windlass.store.specs import Specs

_HOLDS: Final = "SELECT 1 FROM ti WHERE id = :task AND lease_id = :lease AND state = 'running' FOR_UPDATE"
_GET: Final = (
    f"SELECT t.map_index, {', '.join(f'x.{c}' for c in xcoms.COLUMNS.split(', '))}"
    " FROM run r JOIN ti t ON t.run = r.id AND t.task_id = :task_id JOIN xcom x ON x.ti_id = t.id AND x.name = :name"
    " WHERE r.dag_id = :dag_id AND r.run_id = :run_id"
    " AND (CAST(:map_index AS BIGINT) IS NULL OR t.map_index = :map_index)"
    " ORDER BY t.map_index LIMIT :limit OFFSET :offset"
)
_NEWEST_WITH: Final = (
    "SELECT p.run_id FROM run r JOIN run p ON p.dag_id = :dag_id AND p.logical_date <= r.logical_date"
    " JOIN ti t ON t.run = p.id AND t.task_id = :task_id JOIN xcom x ON x.ti_id = t.id AND x.name = :name"
    " WHERE r.id = :run ORDER BY p.logical_date DESC LIMIT 1"
)
_INFO: Final = (
    "SELECT COUNT(x.ti_id), MAX(x.length), MIN(CASE WHEN x.ti_id IS NOT NULL THEN t.map_index END),"
    " COUNT(CASE WHEN t.map_index >= 0 THEN 1 END)"
    " FROM run r JOIN ti t ON t.run = r.id AND t.task_id = :task_id"
    " LEFT JOIN xcom x ON x.ti_id = t.id AND x.name = :name"
    " WHERE r.dag_id = :dag_id AND r.run_id = :run_id"
)
#: More than any run has instances.
_ALL: Final = 1 << 31


class Calls:
    """Answers verbs on behalf of the holder of a lease."""

    def __init__(self, database: Database, specs: Specs, credentials: Credentials | None) -> None:
        self._database = database
        self._specs = specs
        self._credentials = credentials
        self._asking = Asking(database)
        self._commands = RunCommands(database, specs)

    def answer(self, lease: str, held: Held | None, verb: Verb) -> Any:  # noqa: ANN401 - what each verb answers with
        """Return the result of ``verb``, msgpack-able.

        Raises:
            WindlassError: with the sentence that the child shall see.
        """
        if held is None:
            raise Conflict("this attempt is over: its lease has ended, so nothing is read or written for it")
        match verb:
            case XComGet():
                return self._xcom_get(held, verb)
            case XComInfo():
                return self._xcom_info(held, verb)
            case XComSet():
                entry = (held.task, held.epoch, verb)
                return self._as_holder(lease, held, lambda transaction: xcoms.write(transaction, [entry]))
            case Query():
                return self._asking.answer(held, verb)
            case TriggerRun():
                return self._trigger(lease, held, verb)
            case AssetEvent():
                return self._asset_event(lease, held, verb)
            case Variable(op="set" | "delete"):
                return self._variable(lease, held, verb)
        name = verb.__struct_config__.tag
        raise UsageError(f"`{name}` is answered by the supervisor, not by the database")

    def _as_holder(self, lease: str, held: Held, write: Callable[[Transaction], object]) -> None:
        def work(transaction: Transaction) -> None:
            if transaction.row(_HOLDS, {"task": held.task, "lease": lease}) is None:
                raise Conflict("this attempt is over: its lease has ended, so nothing is written for it")
            write(transaction)

        self._database.write(work)

    def _xcom_get(self, held: Held, verb: XComGet) -> list[list[Any]]:
        values: dict[str, Any] = {
            "dag_id": verb.dag_id or held.dag_id,
            "run_id": verb.run_id or held.run_id,
            "task_id": verb.task_id,
            "name": verb.key,
            "map_index": verb.map_index,
            "limit": _ALL if verb.limit is None else verb.limit,
            "offset": verb.offset,
            "run": held.run,
        }
        if verb.include_prior_dates and verb.run_id is None:
            newest = self._database.row(_NEWEST_WITH, values)
            if newest is not None:
                values["run_id"] = newest[0]
        return [[row[0], xcoms.value(row[1:])] for row in self._database.rows(_GET, values)]

    def _xcom_info(self, held: Held, verb: XComInfo) -> dict[str, Any]:
        run_id = verb.run_id or held.run_id
        values = {"dag_id": held.dag_id, "run_id": run_id, "task_id": verb.task_id, "name": verb.key}
        count, length, first, instances = self._database.rows(_INFO, values)[0]
        return {"count": count, "length": length if count == 1 and first == -1 else None, "instances": instances}

    def _trigger(self, lease: str, held: Held, verb: TriggerRun) -> dict[str, Any]:
        row = self._database.row("SELECT spec_version, stale FROM dag WHERE dag_id = :dag_id", {"dag_id": verb.dag_id})
        if row is None or row[1]:
            raise DagNotFound(f"DAG {verb.dag_id!r} is not known; `windlass dags list` shows what is")
        now: datetime = self._database.clock.now()
        date = verb.logical_date or now
        spec = self._specs.get(verb.dag_id, row[0])
        interval = manual_interval(spec, date)
        new = NewRun(
            dag_id=verb.dag_id,
            run_type=RunType.MANUAL,
            logical_date=date,
            data_interval_start=interval.start,
            data_interval_end=interval.end,
            run_after=now,
            run_id=verb.run_id,
            conf=verb.conf,
            bump=verb.logical_date is None,
            triggered_by=f"{held.dag_id}.{held.task_id}",
            interval_pending=is_asked(spec),
        )
        try:
            return run_fields(self._commands.create(new))
        except RunExists:
            if not verb.reset or verb.run_id is None:
                raise
        selection = Selection(dag_id=verb.dag_id, run_ids=(verb.run_id,))
        self._commands.clear([row.id for row in self._commands.select(selection)], who=f"{held.dag_id}.{held.task_id}")
        return run_fields(self._asking.run(verb.dag_id, verb.run_id))

    def _asset_event(self, lease: str, held: Held, verb: AssetEvent) -> None:
        source = (held.dag_id, held.run_id, held.task_id, held.map_index)
        now = self._database.now()
        self._as_holder(
            lease, held, lambda t: record_events(t, [verb], run=held.run, task=held.task, source=source, now=now)
        )

    def _variable(self, lease: str, held: Held, verb: Variable) -> None:
        if self._credentials is None:
            raise WindlassError("this gateway stores no variables")
        if verb.op == "delete":
            self._credentials.delete_variable(verb.key)
        else:
            self._credentials.set_variable(verb.key, verb.value or "", verb.description or "")
