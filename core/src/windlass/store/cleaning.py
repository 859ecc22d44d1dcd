"""Removing what is old, in pieces so small that a scheduler beside it never waits for long.

Tables are walked by their keys in pages, so nothing is held in memory and each read is short; what a page says is old
is deleted in one short transaction whose statements repeat the condition. A run that was cleared, or got a callback to
deliver, between the look and the deletion stays. With a run go its task instances and all that hangs on them.

Never old are: a run that has not ended, the newest run of a DAG and its newest scheduled one (the next run follows
from them), a run of a backfill that goes on, and a run that still owes an event.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from windlass.protocol.digests import digests_in
from windlass.store.dags import VERSIONS
from windlass.store.database import Database, Row, Transaction
from windlass.store.facts import to_json
from windlass.store.instants import SECOND, instant, micros
from windlass.store.outbox import KEPT, MOST_FAILURES

#: Rows that one read looks at.
_PAGE: Final = 1000
#: Task instances, with all that hangs on them, that one transaction deletes; a larger run goes alone.
_BATCH: Final = 500
#: XComs that one read brings, each of up to a frame.
_VALUES: Final = 100
#: More than any table has rows.
_ALL: Final = 1 << 62

_OLD_RUN: Final = (
    "r.state IN ('success','failed') AND r.end_date < :before"
    " AND EXISTS (SELECT 1 FROM run n WHERE n.dag_id = r.dag_id AND n.logical_date > r.logical_date)"
    " AND (r.run_type <> 'scheduled' OR EXISTS (SELECT 1 FROM run n WHERE n.dag_id = r.dag_id"
    " AND n.run_type = 'scheduled' AND n.logical_date > r.logical_date))"
    " AND NOT EXISTS (SELECT 1 FROM backfill b WHERE b.id = r.backfill_id AND b.completed_at IS NULL"
    " AND b.cancelled_at IS NULL)"
    f" AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.run = r.id AND o.delivered_at IS NULL"
    f" AND o.failures < {MOST_FAILURES})"
)


def _unused_version(v: str) -> str:
    """Return when a row of ``dag_version``, called ``v``, is not needed."""
    return (
        f"{v}.created_at < :before"
        f" AND NOT EXISTS (SELECT 1 FROM dag d WHERE d.dag_id = {v}.dag_id"
        f" AND (d.spec_version = {v}.spec_version OR d.updated_at >= :before))"
        f" AND NOT EXISTS (SELECT 1 FROM run r WHERE r.dag_id = {v}.dag_id AND r.spec_version = {v}.spec_version)"
        f" AND NOT EXISTS (SELECT 1 FROM backfill b WHERE b.dag_id = {v}.dag_id AND b.spec_version = {v}.spec_version"
        " AND b.completed_at IS NULL)"
    )


def _unused_code(c: str) -> str:
    """Return when a row of ``code_version``, called ``c``, is not needed."""
    return (
        f"{c}.created_at < :before"
        f" AND NOT EXISTS (SELECT 1 FROM dag d WHERE d.code_version = {c}.code_version)"
        f" AND {c}.code_version NOT IN (SELECT code_version FROM run)"
        f" AND {c}.code_version NOT IN (SELECT code_version FROM backfill WHERE completed_at IS NULL)"
    )


_LOST_ERROR: Final = (
    "e.at < :before AND NOT EXISTS (SELECT 1 FROM parsed_file f WHERE f.bundle = e.bundle AND f.file = e.file)"
)
_NEXT_XCOMS: Final = (
    "SELECT ti_id, name, artifact, codec, data FROM xcom WHERE ti_id > :task OR (ti_id = :task AND name > :name)"
    " ORDER BY ti_id, name LIMIT :limit"
)
_OPEN_SINCE: Final = "SELECT MIN(claimed_at) FROM attempt WHERE ended_at IS NULL"

Pace = Callable[[float], None]


class _Walk(NamedTuple):
    """A table that is walked: ``page`` gives (id, weight) after an id, with weight -1 for what stays."""

    page: str
    #: Locks the rows before what they are is judged for the last time.
    lock: str
    judge: str
    delete: str


class _Sweep(NamedTuple):
    """A small table: ``keys`` gives what is old, as values of ``delete``."""

    keys: str
    columns: tuple[str, ...]
    delete: str


_RUNS: Final = _Walk(
    f"SELECT r.id, CASE WHEN {_OLD_RUN} THEN (SELECT COUNT(*) FROM ti t WHERE t.run = r.id) ELSE -1 END"
    " FROM run r WHERE r.id > :last ORDER BY r.id LIMIT :limit",
    "SELECT id FROM run WHERE id IN IDS(:ids) ORDER BY id FOR_UPDATE",
    f"SELECT r.id FROM run r WHERE r.id IN IDS(:ids) AND {_OLD_RUN}",
    "DELETE FROM run WHERE id IN IDS(:ids)",
)
_OUTBOX: Final = _Walk(
    "SELECT id, CASE WHEN delivered_at < :before THEN 1 ELSE -1 END FROM outbox"
    " WHERE id > :last ORDER BY id LIMIT :limit",
    "SELECT id FROM outbox WHERE id IN IDS(:ids) ORDER BY id FOR_UPDATE",
    "SELECT id FROM outbox WHERE id IN IDS(:ids) AND delivered_at < :before",
    "DELETE FROM outbox WHERE id IN IDS(:ids)",
)
_SPECS: Final = _Sweep(
    f"SELECT v.dag_id, v.spec_version FROM dag_version v WHERE {_unused_version('v')} LIMIT :limit",
    ("dag_id", "spec_version"),
    "DELETE FROM dag_version WHERE dag_id = :dag_id AND spec_version = :spec_version"
    f" AND {_unused_version('dag_version')}",
)
_CODE: Final = _Sweep(
    f"SELECT c.code_version FROM code_version c WHERE {_unused_code('c')} LIMIT :limit",
    ("code_version",),
    f"DELETE FROM code_version WHERE code_version = :code_version AND {_unused_code('code_version')}",
)
_ERRORS: Final = _Sweep(
    f"SELECT e.id FROM import_error e WHERE {_LOST_ERROR} LIMIT :limit",
    ("id",),
    "DELETE FROM import_error WHERE id = :id",
)
_REPLIES: Final = _Sweep(
    "SELECT name FROM idempotency WHERE at < :before LIMIT :limit",
    ("name",),
    "DELETE FROM idempotency WHERE name = :name AND at < :before",
)


def give_way(seconds: float) -> None:
    """Rest for as long as a transaction took, so that half of the time is everybody else's."""
    time.sleep(min(seconds, 1.0))


class Cleaning:
    """Deletes old rows. ``pace`` is given the seconds that each transaction took, and may rest."""

    def __init__(self, database: Database, pace: Pace = give_way) -> None:
        self._database = database
        self._pace = pace

    def now(self) -> datetime:
        """Return database time."""
        return instant(self._database.now())

    def runs(self, before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Delete the runs that ended before an instant; return how many, and how many task instances went with them."""
        runs = tasks = 0
        for ids, weight in self._walk(_RUNS, before):
            gone = len(ids) if dry_run else self._delete(_RUNS, ids, before)
            runs += gone
            tasks += weight if gone == len(ids) else 0
        return runs, tasks

    def outbox(self, before: datetime, *, dry_run: bool = False) -> int:
        """Delete what was delivered before an instant, but nothing of the last day: see :data:`outbox.KEPT`."""
        limit = min(before, instant(self._database.now() - int(KEPT * SECOND)))
        return sum(len(ids) if dry_run else self._delete(_OUTBOX, ids, limit) for ids, _ in self._walk(_OUTBOX, limit))

    def specs(self, before: datetime, *, dry_run: bool = False) -> int:
        """Delete the versions of DAGs that no run, no backfill that goes on and no DAG has had since."""
        return self._sweep(_SPECS, before, dry_run=dry_run)

    def code_versions(self, before: datetime, *, dry_run: bool = False) -> int:
        """Delete the records of code that no run, no backfill that goes on and no DAG refers to."""
        return self._sweep(_CODE, before, dry_run=dry_run)

    def import_errors(self, before: datetime, *, dry_run: bool = False) -> int:
        """Delete old errors of files that are watched no longer; that of a file which is still broken stays."""
        return self._sweep(_ERRORS, before, dry_run=dry_run)

    def replies(self, before: datetime, *, dry_run: bool = False) -> int:
        """Delete the kept replies of commands that had an idempotency key."""
        return self._sweep(_REPLIES, before, dry_run=dry_run)

    # --- What files are still needed

    def artifact_references(self) -> Iterator[tuple[str | None, bool, set[str]]]:
        """Yield of every XCom the artifact that holds its value, whether that is JSON, and all digests in the value.

        A reference to a file travels inside a value, and servers never decode one; but a digest is the same text in any
        JSON, so every text that could be one counts.
        """
        task, name = 0, ""
        while rows := self._database.rows(_NEXT_XCOMS, {"task": task, "name": name, "limit": _VALUES}):
            for _, _, artifact, codec, data in rows:
                yield artifact, codec in {"json", "tagged/1"}, digests_in(bytes(data))
            task, name = rows[-1][0], rows[-1][1]

    def open_since(self) -> datetime | None:
        """Return when the oldest attempt that still runs was claimed: what it stored may not be mentioned yet."""
        return instant(self._database.rows(_OPEN_SINCE)[0][0])

    def existing_runs(self, dag_id: str, run_ids: Sequence[str]) -> set[str]:
        """Return those of ``run_ids`` that the DAG has."""
        sql = "SELECT run_id FROM run WHERE dag_id = :dag_id AND run_id IN NAMES(:names)"
        return {row[0] for row in self._database.rows(sql, {"dag_id": dag_id, "names": to_json(list(run_ids))})}

    def long_names(self, length: int) -> Iterator[tuple[str, str]]:
        """Yield (DAG id, run id) of the runs where one of them has more than ``length`` bytes."""
        sql = (
            "SELECT id, dag_id, run_id FROM run WHERE id > :last AND (BYTES(dag_id) > :length"
            " OR BYTES(run_id) > :length) ORDER BY id LIMIT :limit"
        )
        last = 0
        while rows := self._database.rows(sql, {"last": last, "length": length, "limit": _PAGE}):
            yield from ((row[1], row[2]) for row in rows)
            last = rows[-1][0]

    # --- Walking and deleting

    def _walk(self, table: _Walk, before: datetime) -> Iterator[tuple[list[int], int]]:
        """Yield the old ids of a table in batches, each with its weight."""
        last = 0
        ids: list[int] = []
        total = 0
        while rows := self._database.rows(table.page, {"last": last, "before": micros(before), "limit": _PAGE}):
            for number, weight in rows:
                if weight < 0:
                    continue
                if ids and total + weight > _BATCH:
                    yield ids, total
                    ids, total = [], 0
                ids.append(number)
                total += weight
            last = rows[-1][0]
        if ids:
            yield ids, total

    def _delete(self, table: _Walk, ids: list[int], before: datetime) -> int:
        values = {"ids": to_json(ids), "before": micros(before)}

        def work(transaction: Transaction) -> int:
            transaction.lock(table.lock, values)
            judged = [row[0] for row in transaction.rows(table.judge, values)]
            return transaction.run(table.delete, {"ids": to_json(judged)})

        return self._timed(lambda: self._database.write(work))

    def _sweep(self, table: _Sweep, before: datetime, *, dry_run: bool) -> int:
        limit = micros(before)
        if dry_run:
            return len(self._database.rows(table.keys, {"before": limit, "limit": _ALL}))
        removed = 0
        while rows := self._database.rows(table.keys, {"before": limit, "limit": _BATCH}):
            values = [
                _named(table.columns, row) | ({"before": limit} if ":before" in table.delete else {}) for row in rows
            ]
            gone = self._delete_each(table.delete, values)
            if not gone:
                break  # somebody needs them now after all
            removed += gone
        return removed

    def _delete_each(self, sql: str, values: list[dict[str, Any]]) -> int:
        def work(transaction: Transaction) -> int:
            # What nobody uses might be used by a version that is being written.
            transaction.exclude(VERSIONS)
            return transaction.many(sql, values)

        return self._timed(lambda: self._database.write(work))

    def _timed(self, work: Callable[[], int]) -> int:
        started = self._database.clock.monotonic()
        result = work()
        self._pace(self._database.clock.monotonic() - started)
        return result


def _named(columns: tuple[str, ...], row: Row) -> dict[str, Any]:
    return dict(zip(columns, row, strict=True))
