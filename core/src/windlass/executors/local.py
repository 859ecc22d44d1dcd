"""The local executor: hands workloads to the supervisor of this host, and finds it again when either side restarts.

Nothing here is remembered or retried: what was lost on the way is still ``queued`` in the store. After the connection
broke, :meth:`LocalExecutor.lost_contact` says so once, and the scheduler submits everything queued again; sending a
workload twice is harmless, because only one claim of its ticket succeeds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from windlass.errors import WindlassError
from windlass.interfaces.executor import Executor
from windlass.ports import StopRequest, Workload
from windlass.supervisor.client import SupervisorClient

_log = logging.getLogger(__name__)

#: Seconds between two attempts to reach a supervisor that is not there.
_RETRY = 0.5
#: How many short tasks the supervisor may have waiting for each that it may run.
_BACKLOG = 3


class LocalExecutor(Executor):
    """An executor over the supervisor at ``path``."""

    def __init__(self, path: Path, version: str, *, parallelism: int, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._version = version
        self._parallelism = parallelism
        self._monotonic = monotonic
        self._client: SupervisorClient | None = None
        self._lost = False
        self._retry_at = 0.0

    @property
    def parallelism(self) -> int:
        """How many workloads may run at once; 0 = unlimited."""
        return self._parallelism

    @property
    def backlog(self) -> int:
        """How many more the supervisor holds until one of those has ended; where one runs at a time, none."""
        return _BACKLOG * self._parallelism if self._parallelism > 1 else 0

    def submit(self, workloads: Sequence[Workload]) -> None:
        """Have these run."""
        if workloads:
            self._with_client(lambda client: client.submit(workloads, self._parallelism))

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Pass stop requests on."""
        if requests:
            self._with_client(lambda client: client.stop(requests))

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        """Have zygotes started."""
        if code_versions:
            self._with_client(lambda client: client.prepare(code_versions))

    def lost_contact(self) -> bool:
        """Return, once, whether everything queued must be submitted again; notices a supervisor that went away."""
        if self._client is not None and not self._client.is_connected():
            self._drop("it closed the connection")
        if self._client is None:
            self._connect()
        if self._client is None or not self._lost:
            return False
        self._lost = False
        return True

    def close(self) -> None:
        """Hang up; what runs goes on."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _with_client(self, order: Callable[[SupervisorClient], None]) -> None:
        for _ in range(2):  # the second time over a fresh connection
            client = self._client or self._connect()
            if client is None:
                self._lost = True
                return
            try:
                order(client)
            except OSError as error:
                self._drop(str(error))
            else:
                return

    def _connect(self) -> SupervisorClient | None:
        if self._monotonic() < self._retry_at:
            return None
        try:
            self._client = SupervisorClient(self._path, self._version)
        except (OSError, WindlassError) as error:
            self._retry_at = self._monotonic() + _RETRY
            _log.warning("no supervisor at %s: %s", self._path, error)
            return None
        return self._client

    def _drop(self, reason: str) -> None:
        _log.warning("lost contact with the supervisor: %s", reason)
        self.close()
        self._lost = True
        self._retry_at = 0.0
