"""A home with a real store, and the engine over it: what people command, and what comes of it.

The scheduler, the planning and the database are the real ones on a virtual clock; tasks do what a test says
(:mod:`windlass_testing.scripted`). For tests of the control services and of the command line.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.control import Control
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.spec import DagSpec
from windlass.store import ParsedFile, Store, migrate, open_store
from windlass_testing.scripted import START, ScriptedExecutor
from windlass_testing.stores import environ_of, url_of

#: Any 32 bytes in URL-safe base64.
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass
class Installation:
    """A home, its store and control services, and an engine that moves when told to."""

    home: Path
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))

    def __post_init__(self) -> None:
        """Create the home with its database."""
        self.home.mkdir(mode=0o700)
        (self.home / "fernet.key").write_text(KEY, encoding="ascii")
        (self.home / "fernet.key").chmod(0o600)
        url = url_of(self.home)
        migrate(url)
        rng = SeededRng(1)
        self.store: Store = open_store(url, clock=self.clock, rng=rng, keys=[KEY])
        self.control = Control(self.store, clock=self.clock, home=self.home, logs=self.home / "logs")
        self.executor = ScriptedExecutor(self.store.gateway, self.clock)
        self.scheduler = Scheduler(self.store.scheduler, self.executor, self.clock, rng, SchedulerSettings())

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which another process finds this home and its database."""
        return environ_of(self.home)

    def add(self, *specs: DagSpec, paused: bool = False, file: str = "dags.py") -> None:
        """Store DAGs, as if ``file`` had been parsed."""
        parsed = ParsedFile(bundle="main", file=file, code_version="c1", specs=specs, inputs={}, duration=0.25)
        self.store.dags.store_parse_results([parsed], paused=paused)

    def break_file(self, file: str, error: str) -> None:
        """Store an import error."""
        parsed = ParsedFile(bundle="main", file=file, error=error, inputs={})
        self.store.dags.store_parse_results([parsed], paused=False)

    def settle(self) -> None:
        """Run everything that can run now."""
        for _ in range(10_000):
            pause = self.scheduler.step()
            if self.executor.waiting:
                self.executor.run_one()
            elif not self.store.scheduler.signals() and pause > 0:
                return
        raise AssertionError("the scheduler does not come to rest: it still wants to go on after 10,000 steps")

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Let the engine run beside the block, in a thread."""
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                self.settle()
                ended.wait(0.01)

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield
        finally:
            ended.set()
            server.join()

    def pass_time(self, amount: timedelta) -> None:
        """Let time pass at once."""
        self.clock.advance(amount.total_seconds())

    def close(self) -> None:
        """Close the store."""
        self.control.close()
