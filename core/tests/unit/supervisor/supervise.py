"""A supervisor process over a gateway made of files, so that the test's process sees and decides everything.

``tickets/<ticket>`` holds the context of a queued task instance and is taken by its claim; ``journal`` gets a line per
claim, report and call; ``stops`` holds stop requests; while ``down`` exists the gateway fails.
"""

# ruff: noqa: ANN401 - verbs answer with JSON
from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from windlass.errors import ConnectionNotDefined, StoreBusy
from windlass.interfaces.connection import Connection
from windlass.ports import Claim, Claimed, Fired, Report, StopRequest, WaitChanges, WaitKey
from windlass.protocol import AttemptContext, Query, Verb
from windlass.supervisor.loop import Supervisor
from windlass.supervisor.settings import SupervisorSettings


class FileGateway:
    def __init__(self, home: Path) -> None:
        self.home = home

    def claim(self, claims: Sequence[Claim], supervisor: str) -> list[Claimed | None]:
        self.check()
        return [self.claim_one(claim) for claim in claims]

    def claim_one(self, claim: Claim) -> Claimed | None:
        ticket = self.home / "tickets" / claim.ticket
        try:
            row = msgspec.json.decode(ticket.read_bytes())
            ticket.unlink()
        except FileNotFoundError:
            self.write("conflict", {"task": claim.task})
            return None
        now = datetime.now(UTC)
        lease = f"lease-{claim.task}-{claim.epoch}"
        context = AttemptContext(
            dag_id=row["dag_id"],
            run_id="run",
            task_id=row["task_id"],
            map_index=-1,
            try_number=1,
            max_tries=0,
            epoch=claim.epoch,
            lease_id=lease,
            run_type="manual",
            logical_date=now,
            data_interval_start=now,
            data_interval_end=now,
            run_after=now,
        )
        self.write("claim", {"task": claim.task, "pid": claim.pid, "at": time.time()})
        return Claimed(
            task=claim.task,
            lease_id=lease,
            context=context,
            execution_timeout=row["timeout"],
            log_path=f"task_id={row['task_id']}/attempt=1.log",
        )

    def heartbeat(self, leases: Sequence[str], supervisor: str) -> list[StopRequest]:
        self.check()
        self.write("heartbeat", {"leases": list(leases)})
        try:
            data = (self.home / "stops").read_bytes()
        except FileNotFoundError:
            return []
        return msgspec.json.decode(data, type=list[StopRequest])

    def report(self, reports: Sequence[Report], supervisor: str) -> list[bool]:
        self.check()
        for report in reports:
            self.write("report", msgspec.to_builtins(report) | {"at": time.time()})
        return [True for _ in reports]

    def exchange(
        self, reports: Sequence[Report], claims: Sequence[Claim], supervisor: str
    ) -> tuple[list[bool], list[Claimed | None]]:
        return self.report(reports, supervisor), self.claim(claims, supervisor)

    def call(self, lease_id: str, verb: Verb) -> Any:
        self.check()
        self.write("call", msgspec.to_builtins(verb))
        return {"answered": type(verb).__name__}

    def waits(self, known: Sequence[WaitKey], supervisor: str) -> WaitChanges:
        self.check()
        return WaitChanges()

    def fire(self, fired: Sequence[Fired], supervisor: str) -> list[bool]:
        self.check()
        return [False for _ in fired]

    def answer(self, wait: WaitKey, query: Query) -> Any:
        return []

    def recover(self, supervisor: str) -> int:
        self.check()
        self.write("recover", {})
        return 0

    def check(self) -> None:
        if (self.home / "down").exists():
            msg = "the database is locked"
            raise StoreBusy(msg)

    def write(self, kind: str, fields: dict[str, Any]) -> None:
        with (self.home / "journal").open("ab") as file:
            file.write(msgspec.json.encode({"kind": kind} | fields) + b"\n")


class Lookups:
    """One connection, nothing else."""

    def resolve(self, kind: Any, key: str, found: Any) -> None:
        if key == "db":
            found(Connection(conn_id="db", conn_type="http", password="swordfish-9"), None)
        else:
            found(None, ConnectionNotDefined(f"connection `{key}` is not defined; looked in: nowhere"))

    def fileno(self) -> None:
        return None

    def receive(self) -> None:
        return None

    def deadline(self) -> None:
        return None

    def expire(self) -> None:
        return None


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Rng:
    def token(self) -> str:
        return os.urandom(16).hex()

    key = token


def main(home: Path, options: dict[str, Any]) -> None:
    settings = SupervisorSettings(run=home / "run", logs=home / "logs", code=home / "code", version="1", **options)
    Supervisor(
        settings, supervisor=f"host:{home}", gateway=FileGateway(home), lookups=Lookups(), clock=Clock(), rng=Rng()
    ).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2]))
