"""The local executor: hands workloads to the supervisor of this host, and finds it again when either side restarts.

Nothing here is remembered or retried: what was lost on the way is still ``queued`` in the store. After the connection
broke, :meth:`LocalExecutor.lost_contact` says so once, and the scheduler submits everything queued again; sending a
workload twice is harmless, because only one claim of its ticket succeeds.

Where several hosts read the same DAG folder, another may have been first to store a version of a file, which this one
has yet to read. Work for it is not handed on before its code is here: it would fail for nothing.
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
_BACKLOG = 5


class LocalExecutor(Executor):
    """An executor over the supervisor at ``path``, whose code lies in ``code``; None: as much as anybody asks for."""

    def __init__(
        self, path: Path, version: str, *, parallelism: int, monotonic: Callable[[], float], code: Path | None = None
    ) -> None:
        self._path = path
        self._version = version
        self._parallelism = parallelism
        self._monotonic = monotonic
        self._client: SupervisorClient | None = None
        self._lost = False
        self._retry_at = 0.0
        self._code = code
        #: Code versions that are here, and those that are asked for and are not.
        self._known: set[str] = set()
        self._missing: set[str] = set()

    @property
    def parallelism(self) -> int:
        """How many workloads may run at once; 0 = unlimited."""
        return self._parallelism

    @property
    def backlog(self) -> int:
        """How many more the supervisor holds until one of those has ended; where one runs at a time, none."""
        return _BACKLOG * self._parallelism if self._parallelism > 1 else 0

    def submit(self, workloads: Sequence[Workload]) -> None:
        """Have these run; those whose code is not here stay queued until it is."""
        ready = [workload for workload in workloads if self._has_code(workload.code_version, workload.file)]
        if ready:
            self._with_client(lambda client: client.submit(ready, self._parallelism))

    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Pass stop requests on."""
        if requests:
            self._with_client(lambda client: client.stop(requests))

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:
        """Have zygotes started."""
        ready = [code for code in code_versions if self._has_code(code[2], code[1])]
        if ready:
            self._with_client(lambda client: client.prepare(ready))

    def lost_contact(self) -> bool:
        """Return, once, whether everything queued must be submitted again; notices a supervisor that went away."""
        if self._client is not None and not self._client.is_connected():
            self._drop("it closed the connection")
        if self._client is None:
            self._connect()
        if self._client is None or not (self._found() or self._lost):
            return False
        self._lost = False
        return True

    def close(self) -> None:
        """Hang up; what runs goes on."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _has_code(self, code_version: str, file: str) -> bool:
        if self._code is None or not code_version or code_version in self._known:
            return True
        if (self._code / "versions" / f"{code_version}.json").exists():
            self._known.add(code_version)
            return True
        if code_version not in self._missing:
            self._missing.add(code_version)
            _log.warning(
                "version %s of %s is not on this host; tasks that are pinned to it wait until it is. Every host needs "
                "the same DAG folder, Python and packages",
                code_version,
                file,
            )
        return False

    def _found(self) -> bool:
        """Return, once, whether code that was asked for has come."""
        found = {version for version in self._missing if self._has_code(version, "")}
        self._missing -= found
        return bool(found)

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
