"""The base of executors: something that starts workloads somewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from windlass.ports.executor import Workload
from windlass.ports.gateway import StopRequest


class Executor(ABC):
    """Starts workloads on this host or elsewhere. Subclass it and name the class in a provider's manifest.

    It lives in the scheduler's process and is called from its thread, so no method may block for long. It decides
    nothing: a workload is a ticket that some supervisor redeems, and whatever the executor says only makes the
    scheduler look again. Passing a workload on twice is harmless; a lost one is offered again after a while.
    """

    @property
    def parallelism(self) -> int:
        """How many workloads may run at once; 0 sets no bound of its own. No more are submitted, but for a backlog."""
        return 0

    @property
    def backlog(self) -> int:
        """How many workloads beyond :attr:`parallelism` it can let wait until one that runs has ended; by default 0.

        They are submitted only while tasks take milliseconds, so that the next can start without asking the scheduler.
        """
        return 0

    def start(self) -> None:  # noqa: B027 - most executors have nothing to start
        """Connect to what runs workloads. Called once, before anything else.

        An exception stops the server with its message.
        """

    @abstractmethod
    def submit(self, workloads: Sequence[Workload]) -> None:
        """Take these workloads and return at once. An exception is logged; they are offered again later."""

    @abstractmethod
    def stop(self, requests: Sequence[StopRequest]) -> None:
        """Pass stop requests on to the supervisors that run the attempts; best effort, heartbeats repeat them."""

    def prepare(self, code_versions: Sequence[tuple[str, str, str]]) -> None:  # noqa: B027 - a hint
        """Be ready for workloads of these (bundle, file, code_version), for example by importing their files."""

    def lost_contact(self) -> bool:
        """Return, once, whether what was submitted may be lost, so that everything queued is offered again."""
        return False

    def close(self) -> None:  # noqa: B027 - most executors hold nothing
        """Let go of connections and threads. Running workloads go on; never waits for them."""
