"""Several schedulers on one database: who lives, who holds which DAG, and the StorePort of one of them.

A scheduler has one lease, its row of ``scheduler``, and names itself in the rows of the DAGs that it holds. It is alive
as long as its row is there; only its row's end, and never an instant that somebody has read, sets its DAGs free. So
whoever ends a lapsed lease and whoever renews it meet at one row, and one of them finds out.

Who takes a DAG raises the generation of its open runs in the same transaction. With that everything is said to the
holder before, who may have slept through the end of its lease: whatever it has decided about a run is refused by the
run's generation, and what has no generation (a new run, the next step of a backfill) asks for the DAG's row. It reads
signals and runs with the DAG's row as well, and so knows nothing newer of them than the end of its hold.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from windlass.ports import RunFacts, Signal, SignalKind
from windlass.store.database import Database, Transaction
from windlass.store.facts import RUN_COLUMNS, run_facts, to_json
from windlass.store.instants import SECOND
from windlass.store.scheduling import SqlStore
from windlass.store.specs import Specs
from windlass.store.transitions import INSERT_SIGNAL

_END_HOME: Final = "DELETE FROM scheduler WHERE home = :home"
_END: Final = "DELETE FROM scheduler WHERE owner = :owner"
_REGISTER: Final = (
    "INSERT INTO scheduler (owner, home, hostname, pid, started_at, lease_until)"
    " VALUES (:owner, :home, :hostname, :pid, :now, :until)"
)
_RENEW: Final = "UPDATE scheduler SET lease_until = :until WHERE owner = :owner"
_LIVING: Final = "SELECT owner, home, lease_until FROM scheduler ORDER BY owner"
_END_LAPSED: Final = "DELETE FROM scheduler WHERE owner IN NAMES(:owners) AND lease_until < :now"
_ALIVE: Final = "SELECT 1 FROM scheduler WHERE owner = :owner FOR_UPDATE"
_OTHERS: Final = "SELECT 1 FROM scheduler WHERE owner <> :owner LIMIT 1"

_IS_FREE: Final = "(owner IS NULL OR owner NOT IN (SELECT s.owner FROM scheduler s))"
_HELD: Final = "SELECT dag_id FROM dag WHERE owner = :owner ORDER BY dag_id"
_FREE: Final = f"SELECT dag_id FROM dag WHERE {_IS_FREE} ORDER BY dag_id"
_LOCK: Final = "SELECT dag_id FROM dag WHERE dag_id IN NAMES(:names) ORDER BY dag_id FOR_UPDATE"
_FREE_OF: Final = f"SELECT dag_id FROM dag WHERE dag_id IN NAMES(:names) AND {_IS_FREE} ORDER BY dag_id"
_HELD_OF: Final = "SELECT dag_id FROM dag WHERE dag_id IN NAMES(:names) AND owner = :owner ORDER BY dag_id"
_TAKE: Final = "UPDATE dag SET owner = :owner WHERE dag_id IN NAMES(:names)"
_RELEASE: Final = "UPDATE dag SET owner = NULL WHERE dag_id IN NAMES(:names)"
_OPEN_RUNS: Final = (
    "SELECT id FROM run WHERE state IN ('queued','running') AND dag_id IN NAMES(:names) ORDER BY id FOR_UPDATE"
)
_RAISE: Final = (
    "UPDATE run SET generation = generation + 1 WHERE state IN ('queued','running') AND dag_id IN NAMES(:names)"
)
_SWALLOW: Final = 'DELETE FROM "signal" WHERE dag_id IN NAMES(:names)'

_HOLDER: Final = "SELECT COALESCE(d.owner, '') FROM dag d WHERE d.dag_id = s.dag_id"
#: What is about no DAG at all is everybody's. A holder whose lease has ended hides its own until its DAGs are taken.
_SIGNALS: Final = (
    f"SELECT s.id, s.kind, s.dag_id, s.run, s.task, CASE WHEN ({_HOLDER}) = '' THEN 1 ELSE 0 END"
    f' FROM "signal" s WHERE COALESCE(({_HOLDER}), :owner) IN (:owner, :unheld) ORDER BY s.id LIMIT :limit'
)
#: Its row is locked, so that nobody can be about to take the DAG.
_HOLDS: Final = "SELECT 1 FROM dag WHERE dag_id = :dag_id AND owner = :owner FOR_UPDATE"
_HELD_OF_RUNS: Final = (
    "SELECT dag_id FROM dag WHERE owner = :owner AND dag_id IN (SELECT r.dag_id FROM run r WHERE r.id IN IDS(:ids))"
    " ORDER BY dag_id FOR_UPDATE"
)
_OWN: Final = f"SELECT {RUN_COLUMNS} FROM run WHERE id IN IDS(:ids) AND dag_id IN NAMES(:names) ORDER BY id"


class Leases:
    """Implements :class:`windlass.ports.DagLeases` for the scheduler of ``home``, a host and a folder.

    ``lease`` is how many seconds it lives without renewing. One whose lease has lapsed is ended when that is seen
    twice: the clock may have jumped, or the database been away, and then the living renew before the second look.
    """

    def __init__(self, database: Database, home: str, *, hostname: str = "", pid: int = 0, lease: float = 60.0) -> None:
        self._database = database
        self._who = {"home": home, "hostname": hostname, "pid": pid}
        self._lease = int(lease * SECOND)
        self._owner = ""
        self._is_first = True
        self._lapsed: frozenset[str] = frozenset()

    @property
    def owner(self) -> str:
        """The name under which it was registered last; empty before that."""
        return self._owner

    def register(self) -> None:
        """Enter under a new name, in place of the name before; the first time also of whoever had this home."""
        now = self._database.now()
        before, self._owner = self._owner, self._database.rng.token()
        values = {**self._who, "owner": self._owner, "now": now, "until": now + self._lease}
        is_first = self._is_first

        def work(transaction: Transaction) -> None:
            if is_first:
                transaction.run(_END_HOME, {"home": values["home"]})
            else:
                transaction.run(_END, {"owner": before})
            transaction.run(_REGISTER, values)

        self._database.write(work)
        self._is_first = False

    def renew(self) -> bool:
        """Renew the lease; False if it was ended."""
        values = {"owner": self._owner, "until": self._database.now() + self._lease}
        return self._database.write(lambda transaction: transaction.run(_RENEW, values)) == 1

    def living(self) -> Mapping[str, str]:
        """Return who lives, each with its home; end first those whose leases had lapsed at the last look already."""
        now = self._database.now()
        rows = self._database.rows(_LIVING)
        lapsed = frozenset(owner for owner, _, until in rows if until < now and owner != self._owner)
        twice, self._lapsed = lapsed & self._lapsed, lapsed
        if any(owner == self._owner and until < now for owner, _, until in rows):
            self.renew()
        if twice:
            values = {"owners": to_json(sorted(twice)), "now": now}
            self._database.write(lambda transaction: transaction.run(_END_LAPSED, values))
            rows = self._database.rows(_LIVING)
        return {owner: home for owner, home, _ in rows}

    def held(self) -> list[str]:
        """Return the DAGs that this scheduler holds."""
        return [row[0] for row in self._database.rows(_HELD, {"owner": self._owner})]

    def free(self) -> list[str]:
        """Return the DAGs that nobody holds."""
        return [row[0] for row in self._database.rows(_FREE)]

    def take(self, dag_ids: Sequence[str]) -> list[str]:
        """Hold those of these DAGs that are free, and return them; none if the lease was ended.

        What is free is read once everything is locked: by then nobody can be about to take it.
        """
        wanted = {"names": to_json(list(dag_ids))}
        owner = {"owner": self._owner}

        def work(transaction: Transaction) -> list[str]:
            if transaction.row(_ALIVE, owner) is None:
                return []
            transaction.lock(_OPEN_RUNS, wanted)
            transaction.lock(_LOCK, wanted)
            taken = [row[0] for row in transaction.rows(_FREE_OF, wanted)]
            if taken:
                names = {"names": to_json(taken)}
                transaction.run(_TAKE, {**names, **owner})
                transaction.run(_RAISE, names)
                transaction.run(_SWALLOW, names)
            return taken

        return self._database.write(work)

    def release(self, dag_ids: Sequence[str]) -> None:
        """Let others have these DAGs, and tell them."""
        values = {"names": to_json(list(dag_ids)), "owner": self._owner}

        def work(transaction: Transaction) -> None:
            transaction.lock(_LOCK, {"names": values["names"]})
            _let_go(transaction, [row[0] for row in transaction.rows(_HELD_OF, values)])

        self._database.write(work)

    def leave(self) -> None:
        """Release everything and end the lease."""
        owner = {"owner": self._owner}

        def work(transaction: Transaction) -> None:
            if transaction.row(_OTHERS, owner) is not None:
                # Without others there is nobody to tell: whoever comes finds them free.
                held = [row[0] for row in transaction.rows(f"{_HELD} FOR_UPDATE", owner)]
                _let_go(transaction, held)
            transaction.run(_END, owner)

        self._database.write(work)

    def holds(self, transaction: Transaction, dag_id: str) -> bool:
        """Return whether this scheduler holds a DAG; until the end of the transaction nobody takes it then."""
        return transaction.row(_HOLDS, {"dag_id": dag_id, "owner": self._owner}) is not None


class SharedStore(SqlStore):
    """The :class:`windlass.ports.StorePort` of one of several schedulers, who are told apart by their ``leases``."""

    def __init__(self, database: Database, leases: Leases, specs: Specs | None = None) -> None:
        super().__init__(database, specs)
        self._leases = leases

    def signals(self, limit: int = 1000) -> list[Signal]:
        """Return the oldest rows of the inbox that are about what this scheduler holds, or nobody does.

        If there are more than ``limit``, those of its own go first, so that nothing that waits for another hides them.
        """
        values: dict[str, Any] = {"owner": self._leases.owner, "unheld": "", "limit": limit}
        rows = self._database.rows(_SIGNALS, values)
        if len(rows) == limit and any(row[5] for row in rows):
            rows = self._database.rows(_SIGNALS, {**values, "unheld": values["owner"]}) or rows
        return [
            Signal(id=i, kind=SignalKind(kind), dag_id=dag, run=run, task=task, unheld=bool(unheld))
            for i, kind, dag, run, task, unheld in rows
        ]

    def own(self, runs: Sequence[int]) -> list[RunFacts]:
        """Return these runs as they are now, without those whose DAGs this scheduler does not hold."""
        ids = {"ids": to_json(list(runs))}

        def work(transaction: Transaction) -> list[RunFacts]:
            held = [row[0] for row in transaction.rows(_HELD_OF_RUNS, {**ids, "owner": self._leases.owner})]
            if not held:
                return []
            return [run_facts(row) for row in transaction.rows(_OWN, {**ids, "names": to_json(held)})]

        return self._database.write(work) if runs else []

    def _may_decide(self, transaction: Transaction, dag_id: str) -> bool:
        return self._leases.holds(transaction, dag_id)


def _let_go(transaction: Transaction, dag_ids: Sequence[str]) -> None:
    """Set DAGs free that are locked, and tell whoever is to take them."""
    transaction.run(_RELEASE, {"names": to_json(list(dag_ids))})
    values = [{"kind": SignalKind.DAG.value, "dag_id": dag_id, "run": 0, "task": 0} for dag_id in dag_ids]
    transaction.many(INSERT_SIGNAL, values)
    transaction.ring()
