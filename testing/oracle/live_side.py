"""Windlass's answers through real processes: ``windlass standalone`` on a home of its own.

Its scheduler, supervisor, zygotes and forked tasks run by the machine's own clock.

Only scenarios that are nothing but runs triggered for a given date can be played so, since the clock stands still for
nobody here; ``unfit`` says of the others why not. What they come to must be the very document of ``windlass_side``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from testing.oracle.document import Document, label, run_document
from testing.oracle.scenario import DAGS, Scenario

from windlass.app.clocks import SystemClock, SystemRng
from windlass.app.services import bell_path, fernet_keys
from windlass.authoring.dag import DAG
from windlass.config import Settings
from windlass.control import Control
from windlass.control.database import database_url
from windlass.control.views import RunRow
from windlass.errors import Conflict, DagNotFound, ParamInvalid
from windlass.runtime import codecs
from windlass.runtime.loader import add_root
from windlass.store import DatagramBell, open_store
from windlass_testing.live import LiveInstallation
from windlass_testing.stores import environ_of

#: Scenarios that would take minutes of real time, or look at the clock.
_SLOW = ("retry_then_success", "retry_backoff", "run_timeout", "sensor_reschedule", "sensor_timeout", "fail_fast")
_XCOMS = (
    "SELECT ti.task_id, ti.map_index, xcom.name, xcom.codec, xcom.data FROM xcom JOIN ti ON ti.id = xcom.ti_id"
    " JOIN run ON run.id = ti.run WHERE run.dag_id = :dag_id AND run.run_id = :run_id AND xcom.artifact IS NULL"
)
_RENDERED = (
    "SELECT ti.task_id, ti.map_index, attempt.rendered FROM attempt JOIN ti ON ti.id = attempt.ti_id"
    " JOIN run ON run.id = ti.run WHERE run.dag_id = :dag_id AND run.run_id = :run_id AND attempt.rendered IS NOT NULL"
    " ORDER BY attempt.epoch"
)


def unfit(scenario: Scenario, dag: DAG) -> str | None:
    """Return why a scenario cannot be played on the machine's own clock, None if it can."""
    if dag.schedule is not None and (dag.start_date is None or dag.start_date < datetime.now(tz=UTC)):
        return "its schedule makes runs"
    if any(trigger.logical_date is None for trigger in scenario.triggers):
        return "its runs are named after the clock"
    if scenario.until > scenario.at or scenario.dag_id.startswith("past_manual"):
        return "its runs come one after the other in time"
    return "it waits for long, or looks at the clock" if scenario.dag_id in _SLOW else None


class LiveOracle:
    """A running installation with all portable DAGs. Close it when done."""

    def __init__(self, folder: Path) -> None:
        self.installation = LiveInstallation(folder)
        for file in DAGS.glob("*.py"):
            shutil.copy(file, self.installation.dags)
        add_root(str(DAGS))  # the classes that the DAGs' own XComs are of
        # The files import `portable` and do not mention Windlass.
        self.installation.start(WINDLASS__CORE__DAG_DISCOVERY_SAFE_MODE="false")
        settings = Settings.load(environ=environ_of(self.installation.home))
        clock = SystemClock()
        self._bell = DatagramBell(bell_path(settings))
        store = open_store(
            database_url(settings),
            clock=clock,
            rng=SystemRng(),
            doorbell=self._bell,
            keys=lambda: fernet_keys(settings),
        )
        self._store = store
        self._control = Control(store, clock=clock, home=settings.home, logs=settings.logging.base_log_folder)

    def answers(self, scenarios: Iterable[Scenario]) -> Iterator[tuple[str, Document]]:
        """Play scenarios all at once, and yield what came of each."""
        played = list(scenarios)
        wanted = {dag_id for scenario in played for dag_id in scenario.dag_ids}
        self.installation.wait(lambda: wanted <= {*self._control.dags.ids()}, "the DAG files to be read")
        for scenario, refused, run_ids in [(scenario, *self._start(scenario)) for scenario in played]:
            runs = [self._ended(scenario.dag_id, run_id) for run_id in run_ids]
            others = [run for dag_id in scenario.also for run in self._control.runs.list(dag_id=dag_id).items]
            runs += [self._ended(run.dag_id, run.run_id) for run in others]
            runs.sort(key=lambda run: (run.dag_id, run.logical_date))
            documents = [self._document(run, rendered=scenario.rendered) for run in runs]
            yield scenario.dag_id, {"runs": documents, "refused": refused}

    def close(self) -> None:
        """Stop everything."""
        self._control.close()
        self._bell.close()
        self.installation.close()

    def _start(self, scenario: Scenario) -> tuple[int, list[str]]:
        """Unpause and trigger; return how many triggers were refused, and the runs."""
        refused, run_ids = 0, []
        for dag_id in scenario.dag_ids:
            self._control.dags.set_paused(dag_id, paused=False, actor="oracle")
        for trigger in scenario.triggers:
            try:
                run = self._control.runs.trigger(
                    scenario.dag_id, conf=trigger.conf, logical_date=trigger.logical_date, actor="oracle"
                )
            except (Conflict, DagNotFound, ParamInvalid):
                refused += 1
            else:
                run_ids.append(run.run_id)
        return refused, run_ids

    def _ended(self, dag_id: str, run_id: str) -> RunRow:
        def is_over() -> bool:
            return self._control.runs.get(dag_id, run_id).state.is_terminal

        self.installation.wait(is_over, f"the end of {dag_id} {run_id}", patience=120.0)
        return self._control.runs.get(dag_id, run_id)

    def _document(self, run: RunRow, *, rendered: bool) -> Document:
        of_run = {"dag_id": run.dag_id, "run_id": run.run_id}
        pushed = self._store.db.rows(_XCOMS, of_run)
        fields = self._store.db.rows(_RENDERED, of_run) if rendered else []
        xcoms: dict[str, dict[str, Any]] = {}
        for task_id, map_index, key, codec, data in pushed:
            xcoms.setdefault(label(task_id, map_index), {})[key] = codecs.decode(codec, bytes(data))
        tasks = self._control.tasks.of_run(run.dag_id, run.run_id)
        return run_document(
            dag_id=run.dag_id,
            run_id=run.run_id,
            run_type=str(run.run_type),
            state=str(run.state),
            logical_date=run.logical_date,
            interval=(run.data_interval_start, run.data_interval_end),
            tasks=[(label(task.task_id, task.map_index), str(task.state), task.try_number) for task in tasks],
            xcoms=xcoms,
            rendered={label(task_id, index): json.loads(text) for task_id, index, text in fields},
        )
