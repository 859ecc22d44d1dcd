"""The services as one object, over one store."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from windlass.control.alive import Alive
from windlass.control.connections import Connections
from windlass.control.dagfiles import DagFiles
from windlass.control.dags import Dags
from windlass.control.jobs import Jobs
from windlass.control.logs import Logs, ReadStored
from windlass.control.pools import Pools
from windlass.control.runs import Runs
from windlass.control.tasks import Tasks
from windlass.control.variables import Variables
from windlass.ports import Clock

if TYPE_CHECKING:
    from windlass.control.assets import Assets
    from windlass.control.backfills import Backfills
    from windlass.control.explain import Explain
    from windlass.store import Store


class Control:
    """Everything that a person or a program can ask of Windlass, and tell it to do.

    Args:
        store: the open store; it is closed with this object.
        clock: the source of now.
        home: the home directory, whose lock files tell which processes run.
        logs: the folder of task logs.
        parallelism: how many tasks the executor takes at once; 0 = unlimited.
        stored_logs: reads the logs of ended tries that are no longer in the folder.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        home: Path,
        logs: Path,
        parallelism: int = 0,
        stored_logs: ReadStored | None = None,
    ) -> None:
        self.store = store
        self._clock = clock
        self._parallelism = parallelism
        self.alive = Alive(home / "run")
        self.dags = Dags(store, clock)
        self.runs = Runs(store, clock, self.dags)
        self.tasks = Tasks(store, self.dags, self.runs)
        self.logs = Logs(logs, self.tasks, stored_logs)
        self.pools = Pools(store)
        self.connections = Connections(store)
        self.variables = Variables(store)
        self.dagfiles = DagFiles(store)
        self.jobs = Jobs(store, self.alive)

    @cached_property
    def assets(self) -> Assets:
        """The queries and commands about assets, imported when first asked for."""
        from windlass.control.assets import Assets

        return Assets(self.store, self.dags, self.runs)

    @cached_property
    def backfills(self) -> Backfills:
        """Queries and commands about backfills; imported when first asked for, since triggering must start fast."""
        from windlass.control.backfills import Backfills

        return Backfills(self.store, self._clock, self.dags)

    @cached_property
    def explain(self) -> Explain:
        """The query for causes; its planning is imported when first asked for, since triggering must start fast."""
        from windlass.control.explain import Explain

        return Explain(
            self.store, self._clock, self.dags, self.runs, self.tasks, self.assets, self.alive, self._parallelism
        )

    def why_idle(self, dag_id: str) -> str | None:
        """Return what keeps every new run of a DAG from starting, as a sentence with the way out; None if nothing."""
        dag, _ = self.dags.find(dag_id)
        if dag.paused:
            return f"DAG {dag_id!r} is paused; its runs stay queued until `windlass dags unpause {dag_id}`"
        if not self.alive.scheduler():
            return "no scheduler is running; the run stays queued until `windlass standalone` is"
        return None

    def close(self) -> None:
        """Close the store."""
        self.store.close()
