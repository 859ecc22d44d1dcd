"""What the scheduler hands to an executor, and the little an executor may say back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from windlass.ports.gateway import StopRequest, WorkloadKind


class Workload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of author code to run once. ``ticket`` is the right to claim it under ``epoch``, nothing more.

    ``id`` is a task instance's, or for a callback the outbox row's.
    """

    kind: WorkloadKind
    id: int
    epoch: int
    ticket: str
    queue: str
    code_version: str
    bundle: str
    file: str
    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1


class ExecutorPort(Protocol):
    """Runs workloads somewhere. Its reports never change a task instance: they only make the scheduler look again."""

    @property
    def parallelism(self) -> int:
        """How many workloads may run at once; 0 = unlimited."""
        ...

    @property
    def backlog(self) -> int:
        """How many more it may be given while tasks are short; it lets them wait until one that runs has ended."""
        ...

    def submit(self, workloads: Sequence[Workload]) -> None:
        """Take these; sending one twice is harmless, losing one is repaired by the queued timeout."""
        ...

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Pass stop requests on without waiting for the next heartbeat."""
        ...

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        """Be ready for workloads of these (bundle, file, code_version): start their zygotes."""
        ...

    def lost_contact(self) -> bool:
        """Return, once, whether everything queued must be submitted again (the other side was restarted)."""
        ...
