"""What goes wrong with claims and leases."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import msgspec

from windlass.ports import Claim, SignalKind, StopRequest
from windlass.store import claiming, gateway, reaping
from windlass.store.database import Database, Row
from windlass.store.gateway import SqlGateway
from windlass.store.instants import SECOND
from windlass.store.reaping import Reaper
from windlass_testing.simulation.bugs.planting import bug, replace, without


@bug("a claim takes whatever is queued, whichever ticket it shows")
def _any_ticket(stack: ExitStack) -> None:
    original = claiming._candidate  # noqa: SLF001 - what is patched

    def candidate(claim: Claim, row: Row | None, *rest: Any) -> Any:  # noqa: ANN401 - passed on
        return original(claim if row is None else msgspec.structs.replace(claim, epoch=row[7]), row, *rest)

    without(stack, claiming, "_CLAIM", " AND ticket = :ticket")
    replace(stack, claiming, "_candidate", candidate)


@bug("a claim takes an instance that is running already")
def _claim_running(stack: ExitStack) -> None:
    without(stack, claiming, "_CLAIM", " AND state = 'queued'", " AND lease_id IS NULL")


@bug("heartbeats do not say that a lease is lost or a stop was asked for")
def _deaf_heartbeat(stack: ExitStack) -> None:
    original = SqlGateway.heartbeat

    def heartbeat(self: SqlGateway, leases: Sequence[str], supervisor: str) -> list[StopRequest]:
        original(self, leases, supervisor)
        return []

    replace(stack, SqlGateway, "heartbeat", heartbeat)


@bug("each process compares leases with a clock of its own")
def _local_clocks(stack: ExitStack) -> None:
    original = Database.now

    def now(self: Database) -> int:
        actor = getattr(self.clock, "current", None)
        ahead = actor is not None and actor.name.startswith("scheduler")
        return original(self) + (70 * SECOND if ahead else 0)

    replace(stack, Database, "now", now)


@bug("the reaper trusts a calendar that has jumped")
def _trust_the_calendar(stack: ExitStack) -> None:
    replace(stack, Reaper, "_must_wait", lambda _self, _now: False)


@bug("a supervisor that starts ends the leases of all supervisors")
def _recover_all(stack: ExitStack) -> None:
    without(stack, gateway, "_OPEN_OF", " AND supervisor = :supervisor")


@bug("the reaper does not look again whether a lease was renewed")
def _no_second_look(stack: ExitStack) -> None:
    without(stack, reaping, "_STILL", " AND ended_at IS NULL AND lease_until < :now")


@bug("going back from queued charges a try")
def _charge_requeue(stack: ExitStack) -> None:
    sql = reaping._UNQUEUE.replace("SET state", "SET try_number = try_number + 1, state")  # noqa: SLF001
    replace(stack, reaping, "_UNQUEUE", sql)


@bug("going back from queued tells nobody")
def _silent_requeue(stack: ExitStack) -> None:
    replace(stack, reaping, "SignalKind", SimpleNamespace(TASK=SignalKind.DAG))
