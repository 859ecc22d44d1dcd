"""The invariants that SQL can check: each query must return no row, in every test and on every live database.

The numbers are those of the reliability contract. ``:now`` is database time and ``:grace`` the microseconds that a
living scheduler may take to act; queries about liveness use both, the others hold at every commit.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from typing import Final

import msgspec

from windlass.states import RUN_TRANSITIONS, TASK_TRANSITIONS, TERMINAL_TASK_STATES
from windlass.store.database import Database, Row
from windlass.store.instants import SECOND
from windlass.store.outbox import KEPT

#: Violations shown of each invariant.
_SHOWN: Final = 20


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A row that must not be: the invariant's name, what it promises, and the row's values."""

    name: str
    promise: str
    row: Row


class Invariant(msgspec.Struct, frozen=True, kw_only=True):
    """A promise and the query that finds what breaks it."""

    promise: str
    sql: str
    #: Only true while a scheduler lives; not checked between two commits of a test.
    liveness: bool = False


def _names(values: object) -> str:
    return ", ".join(sorted(f"'{value}'" for value in values))  # type: ignore[attr-defined]


_TERMINAL: Final = _names(TERMINAL_TASK_STATES)
_LEGAL: Final = _names({f"{b} {a} {actor}" for (b, a), actors in TASK_TRANSITIONS.items() for actor in actors})
_RUN_LEGAL: Final = _names({f"{b} {a} {actor}" for (b, a), actors in RUN_TRANSITIONS.items() for actor in actors})
_FIRST: Final = "MIN(seq)"

INVARIANTS: Final[dict[str, Invariant]] = {
    "1 unique-instance": Invariant(
        promise="a run has one instance of a task and map index",
        sql="SELECT run, task_id, map_index FROM ti GROUP BY run, task_id, map_index HAVING COUNT(*) > 1",
    ),
    "1 unique-run": Invariant(
        promise="a DAG has one run of an id and of a logical date",
        sql="SELECT dag_id, run_id FROM run GROUP BY dag_id, run_id HAVING COUNT(*) > 1"
        " UNION ALL SELECT dag_id, CAST(logical_date AS TEXT) FROM run"
        " GROUP BY dag_id, logical_date HAVING COUNT(*) > 1",
    ),
    "1 placeholder": Invariant(
        promise="an expanded task has no placeholder left",
        sql="SELECT p.id FROM ti p JOIN ti i ON i.run = p.run AND i.task_id = p.task_id AND i.map_index >= 0"
        " WHERE p.map_index = -1",
    ),
    "2 legal": Invariant(
        promise="every transition is legal for its actor",
        sql="SELECT seq, ti_id, from_state, to_state, actor FROM transition"
        f" WHERE from_state || ' ' || to_state || ' ' || actor NOT IN ({_LEGAL})"
        " UNION ALL SELECT seq, run, from_state, to_state, actor FROM run_transition"
        f" WHERE from_state || ' ' || to_state || ' ' || actor NOT IN ({_RUN_LEGAL})",
    ),
    "2 chain": Invariant(
        promise="each transition starts where the one before it ended, the first at none",
        sql="SELECT seq, ti_id, earlier, from_state FROM (SELECT seq, ti_id, from_state,"
        " COALESCE(LAG(to_state) OVER (PARTITION BY ti_id ORDER BY seq), 'none') AS earlier FROM transition) AS t"
        " WHERE earlier <> from_state",
    ),
    "2 run-chain": Invariant(
        promise="each transition of a run starts where the one before it ended, the first at queued",
        sql="SELECT seq, run, earlier, from_state FROM (SELECT seq, run, from_state,"
        " COALESCE(LAG(to_state) OVER (PARTITION BY run ORDER BY seq), 'queued') AS earlier FROM run_transition) AS t"
        " WHERE earlier <> from_state",
    ),
    "2 last": Invariant(
        promise="the last transition ends in the state of the task instance",
        sql="SELECT t.id, t.state FROM ti t WHERE t.state <> COALESCE((SELECT x.to_state FROM transition x"
        " WHERE x.ti_id = t.id ORDER BY x.seq DESC LIMIT 1), 'none')",
    ),
    "2 run-last": Invariant(
        promise="the last transition ends in the state of the run",
        sql="SELECT r.id, r.state FROM run r WHERE r.state <> COALESCE((SELECT x.to_state FROM run_transition x"
        " WHERE x.run = r.id ORDER BY x.seq DESC LIMIT 1), 'queued')",
    ),
    "3 running-has-attempt": Invariant(
        promise="a running task instance has a lease and one open attempt with that lease and epoch",
        sql="SELECT t.id, t.state, t.lease_id FROM ti t WHERE t.state = 'running' AND NOT EXISTS (SELECT 1 FROM"
        " attempt a WHERE a.ti_id = t.id AND a.lease_id = t.lease_id AND a.epoch = t.epoch AND a.ended_at IS NULL)",
    ),
    "3 lease-is-running": Invariant(
        promise="only a running task instance has a lease or an open attempt",
        sql="SELECT t.id, t.state, t.lease_id FROM ti t WHERE t.state <> 'running' AND t.lease_id IS NOT NULL"
        " UNION ALL SELECT t.id, t.state, a.lease_id FROM attempt a JOIN ti t ON t.id = a.ti_id"
        " WHERE a.ended_at IS NULL AND (t.state <> 'running' OR t.lease_id <> a.lease_id)",
    ),
    "4 one-open-attempt": Invariant(
        promise="a task instance has at most one open attempt",
        sql="SELECT ti_id FROM attempt WHERE ended_at IS NULL GROUP BY ti_id HAVING COUNT(*) > 1",
    ),
    "5 epochs": Invariant(
        promise="epochs never decrease",
        sql="SELECT seq, ti_id, epoch FROM (SELECT seq, ti_id, epoch,"
        " COALESCE(LAG(epoch) OVER (PARTITION BY ti_id ORDER BY seq), 0) AS earlier FROM transition) AS t"
        " WHERE epoch < earlier"
        " UNION ALL SELECT 0, t.id, t.epoch FROM ti t WHERE t.epoch < (SELECT MAX(x.epoch) FROM transition x"
        " WHERE x.ti_id = t.id)",
    ),
    "5 queueing-raises-epoch": Invariant(
        promise="an epoch is queued once",
        sql="SELECT ti_id, epoch FROM transition WHERE to_state = 'queued' GROUP BY ti_id, epoch HAVING COUNT(*) > 1",
    ),
    "6 terminal-left": Invariant(
        promise="a terminal state is left only by clear, mark or version",
        sql=f"SELECT seq, ti_id, actor FROM transition WHERE from_state IN ({_TERMINAL})"
        " AND actor NOT IN ('clear', 'mark', 'version')",
    ),
    "7 tries": Invariant(
        promise="no more tries than max_tries + 1, and none charged before it was scheduled",
        sql="SELECT id, try_number, max_tries FROM ti WHERE try_number > max_tries + 1"
        " UNION ALL SELECT t.id, t.try_number, t.max_tries FROM ti t WHERE t.try_number >"
        " (SELECT COUNT(*) FROM transition x WHERE x.ti_id = t.id AND x.to_state = 'scheduled'"
        " AND x.from_state IN ('none', 'up_for_retry'))",
    ),
    "8 ended-run": Invariant(
        promise="all task instances of an ended run have ended",
        sql="SELECT r.id, r.state, t.id, t.state FROM run r JOIN ti t ON t.run = r.id"
        f" WHERE r.state IN ('success', 'failed') AND t.state NOT IN ({_TERMINAL})",
    ),
    "8 success": Invariant(
        promise="no task that decides a successful run's state has failed",
        sql="SELECT r.id, t.id, t.state FROM run r JOIN ti t ON t.run = r.id"
        " WHERE r.state = 'success' AND t.is_leaf = 1 AND t.state IN ('failed', 'upstream_failed')",
    ),
    "8 open-run": Invariant(
        promise="a running run whose task instances have all ended ends soon",
        sql="SELECT r.id FROM run r WHERE r.state = 'running' AND NOT EXISTS"
        f" (SELECT 1 FROM ti t WHERE t.run = r.id AND t.state NOT IN ({_TERMINAL}))"
        " AND COALESCE((SELECT MAX(t.end_date) FROM ti t WHERE t.run = r.id), r.start_date) < :now - :grace",
        liveness=True,
    ),
    "8 completed-backfill": Invariant(
        promise="a completed backfill has no open run and, unless it was cancelled, no interval left",
        sql="SELECT b.id, b.dealt FROM backfill b WHERE b.completed_at IS NOT NULL AND b.cancelled_at IS NULL"
        " AND b.dealt < b.intervals"
        " UNION ALL SELECT b.id, r.id FROM backfill b JOIN run r ON r.backfill_id = b.id"
        " WHERE b.completed_at IS NOT NULL AND r.state IN ('queued', 'running')",
    ),
    "8 backfill-progress": Invariant(
        promise="a backfill deals with no more intervals than it has, and has at most a run for each",
        sql="SELECT b.id, b.intervals, b.dealt FROM backfill b WHERE b.dealt > b.intervals"
        " OR b.dealt < (SELECT COUNT(*) FROM run r WHERE r.backfill_id = b.id)",
    ),
    "8 open-backfill": Invariant(
        promise="a backfill that has nothing left to do is completed soon",
        sql="SELECT b.id FROM backfill b WHERE b.completed_at IS NULL"
        " AND (b.cancelled_at IS NOT NULL OR b.dealt >= b.intervals)"
        " AND NOT EXISTS (SELECT 1 FROM run r WHERE r.backfill_id = b.id AND r.state IN ('queued', 'running'))"
        " AND COALESCE((SELECT MAX(r.end_date) FROM run r WHERE r.backfill_id = b.id), b.created_at) < :now - :grace",
        liveness=True,
    ),
    "10 queued": Invariant(
        promise="nothing is queued for longer than the limit",
        sql="SELECT id, queued_at FROM ti WHERE state = 'queued' AND queued_at < :now - :queued_limit - :grace",
        liveness=True,
    ),
    "11 expired": Invariant(
        promise="nothing runs on an expired lease",
        sql="SELECT ti_id, lease_until FROM attempt WHERE ended_at IS NULL AND lease_until < :now - :grace",
        liveness=True,
    ),
    "13 stale-result": Invariant(
        promise="an attempt of an older epoch than its task instance's has ended",
        sql="SELECT a.ti_id, a.epoch, t.epoch FROM attempt a JOIN ti t ON t.id = a.ti_id"
        " WHERE a.epoch < t.epoch AND a.ended_at IS NULL",
    ),
    "16 xcom-epoch": Invariant(
        promise="every XCom was written by an attempt of its task instance",
        sql="SELECT x.ti_id, x.name, x.epoch FROM xcom x WHERE NOT EXISTS"
        " (SELECT 1 FROM attempt a WHERE a.ti_id = x.ti_id AND a.epoch = x.epoch)",
    ),
    "18 outbox": Invariant(
        promise="an end of the last day that has a callback has one outbox row",
        sql="SELECT x.ti_id, x.to_state FROM transition x JOIN ti t ON t.id = x.ti_id"
        " WHERE x.from_state = 'running' AND ("
        " (x.to_state = 'success' AND ',' || t.callbacks || ',' LIKE '%,success,%') OR"
        " (x.to_state = 'failed' AND ',' || t.callbacks || ',' LIKE '%,failure,%') OR"
        " (x.to_state = 'up_for_retry' AND ',' || t.callbacks || ',' LIKE '%,retry,%') OR"
        " (x.to_state = 'skipped' AND ',' || t.callbacks || ',' LIKE '%,skipped,%'))"
        " AND x.at > :now - :kept"
        " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.consumer = '' AND o.op_id = x.op_id)",
    ),
    "18 run-outbox": Invariant(
        promise="an end of a run of the last day that has a callback has one outbox row",
        sql="SELECT x.run, x.to_state FROM run_transition x JOIN run r ON r.id = x.run"
        " WHERE ((x.to_state = 'success' AND ',' || r.callbacks || ',' LIKE '%,success,%') OR"
        " (x.to_state = 'failed' AND ',' || r.callbacks || ',' LIKE '%,failure,%'))"
        " AND x.at > :now - :kept"
        " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.consumer = '' AND o.op_id = 'run:' || x.op_id)",
    ),
    "18 deadline-outbox": Invariant(
        promise="a missed deadline has one outbox row, and nothing else has such a row",
        sql="SELECT m.run, m.position FROM deadline_miss m WHERE (SELECT COUNT(*) FROM outbox o WHERE o.consumer = ''"
        " AND o.event = 'run_deadline:' || m.position AND o.run = m.run) <> 1"
        " UNION ALL SELECT o.run, o.id FROM outbox o WHERE o.consumer = '' AND o.event LIKE 'run_deadline:%'"
        " AND NOT EXISTS (SELECT 1 FROM deadline_miss m WHERE m.run = o.run"
        " AND o.event = 'run_deadline:' || m.position)",
    ),
    "19 interval": Invariant(
        promise="no run has started before its data interval was known",
        sql="SELECT id, state FROM run WHERE state = 'running' AND interval_pending = 1",
    ),
    "19 question": Invariant(
        promise="a question is answered, has failed, or is held by one lease: never two of these",
        sql="SELECT id, dag_id, run FROM timetable_question WHERE"
        " (CASE WHEN answered_at IS NULL THEN 0 ELSE 1 END) + (CASE WHEN retry_at IS NULL THEN 0 ELSE 1 END)"
        " + (CASE WHEN lease_id IS NULL THEN 0 ELSE 1 END) > 1",
    ),
    "19 deferred": Invariant(
        promise="a deferred task instance has one live trigger, and nothing else has",
        sql="SELECT t.id, t.state, 0 FROM ti t WHERE t.state = 'deferred' AND NOT EXISTS"
        " (SELECT 1 FROM trigger_wait w WHERE w.ti_id = t.id AND w.live = 1)"
        " UNION ALL SELECT t.id, t.state, w.live FROM trigger_wait w JOIN ti t ON t.id = w.ti_id"
        " WHERE w.live = 1 AND t.state <> 'deferred'",
    ),
    "19 resumed": Invariant(
        promise="a wait that is over belongs to a task instance that goes on after it",
        sql="SELECT t.id, t.state, t.continues FROM trigger_wait w JOIN ti t ON t.id = w.ti_id WHERE w.live = 0"
        " AND (t.continues = 0 OR t.state NOT IN ('scheduled', 'queued', 'running'))",
    ),
    "23 delivered-once": Invariant(
        promise="an event is delivered to a DAG once, and so consumed by one run of it at most",
        sql="SELECT event, dag_id FROM asset_delivery GROUP BY event, dag_id HAVING COUNT(*) > 1",
    ),
    "23 consumer": Invariant(
        promise="an event is consumed by an asset-triggered run of the DAG that it was delivered to",
        sql="SELECT d.event, d.dag_id, r.dag_id, r.run_type FROM asset_delivery d JOIN run r ON r.id = d.run"
        " WHERE r.dag_id <> d.dag_id OR r.run_type <> 'asset_triggered'",
    ),
    "23 asset-run": Invariant(
        promise="an asset-triggered run has consumed events, and its data interval spans them",
        sql="SELECT r.id, r.interval_start, r.interval_end, MIN(e.at), MAX(e.at) FROM run r"
        " LEFT JOIN asset_delivery d ON d.run = r.id LEFT JOIN asset_event e ON e.id = d.event"
        " WHERE r.run_type = 'asset_triggered' GROUP BY r.id, r.interval_start, r.interval_end, r.logical_date"
        " HAVING COUNT(e.id) = 0 OR r.interval_start <> MIN(e.at) OR r.interval_end <> MAX(e.at)"
        " OR r.logical_date < MIN(e.at)",
    ),
    "23 waits-for": Invariant(
        promise="an event waits only for a DAG that listens to it",
        sql="SELECT w.event, w.dag_id FROM asset_delivery w JOIN asset a ON a.id = w.asset"
        " JOIN dag g ON g.dag_id = w.dag_id AND g.stale = 0 WHERE w.run IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM asset_listener l WHERE l.dag_id = w.dag_id"
        " AND ((l.is_alias = 0 AND l.name = a.uri) OR (l.is_alias = 1 AND l.name = w.alias)))",
    ),
    "24 lapsed": Invariant(
        promise="a scheduler that has said nothing for longer than its lease is taken for dead by another that lives",
        sql="SELECT owner, home FROM scheduler WHERE lease_until < :now - 2 * :grace"
        " AND EXISTS (SELECT 1 FROM scheduler s WHERE s.lease_until >= :now AND s.started_at < :now - 2 * :grace)",
        liveness=True,
    ),
}


def invariant_violations(
    database: Database, *, liveness: bool = True, grace: float = 10.0, queued_limit: float = 600.0
) -> list[Violation]:
    """Return what breaks a promise; with ``liveness`` also what a living scheduler would have dealt with by now."""
    values = {
        "now": database.now(),
        "grace": int(grace * SECOND),
        "queued_limit": int(queued_limit * SECOND),
        "kept": int(KEPT * SECOND),
    }
    violations: list[Violation] = []
    for name, invariant in INVARIANTS.items():
        if invariant.liveness and not liveness:
            continue
        used = {key: value for key, value in values.items() if f":{key}" in invariant.sql}
        rows = database.rows(f"{invariant.sql} LIMIT {_SHOWN}", used)
        violations += [Violation(name=name, promise=invariant.promise, row=row) for row in rows]
    return violations
