"""Airflow's answers: its own scheduler, its own task processes, a SQLite database, and a clock that we set.

Run in an environment with ``apache-airflow`` and ``time-machine``:
``python -m testing.oracle.airflow_side OUT WORD PART PARTS`` plays every ``PARTS``-th scenario with ``WORD`` in its id.

``dag.test()`` would be simpler and is not the scheduler: it makes no scheduled runs, starts a retry at once and has no
pools or limits. So the loop of ``SchedulerJobRunner`` itself is run, unchanged, until it has nothing left to do; then
the clock moves to whatever comes next. Three things are ours:

- the executor, which runs each task at once, in a forked process under Airflow's own supervisor, with the execution
  API in this process;
- the clock, for this process and its children by time-machine, for SQL's ``now()`` by a function of ours;
- the trigger, which does what the REST API's route does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from testing.oracle.document import Document, label, run_document
from testing.oracle.scenario import DAGS, Scenario, Trigger, dag_files, scenarios

SETTINGS = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS": "True",
    "AIRFLOW__SCHEDULER__CREATE_DELTA_DATA_INTERVALS": "True",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "1000",
    "AIRFLOW__SCHEDULER__MAX_DAGRUNS_TO_CREATE_PER_LOOP": "1000",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
    "AIRFLOW__API_AUTH__JWT_SECRET": "0" * 64,
    "_AIRFLOW_PROCESS_CONTEXT": "server",
    "PYTHONWARNINGS": "ignore",
}
#: Steps of the clock in one play, before something must be wrong.
MAX_STEPS = 500


class Oracle:
    """Airflow in this process. Make one per process: its configuration is read at import."""

    def __init__(self) -> None:
        import time_machine
        from airflow import settings
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import BundleDagBag
        from airflow.sdk.execution_time import supervisor

        self._virtual_sql_clock(settings.engine)
        # Only how often the supervisor looks whether its child has ended, which we wait for.
        supervisor.MIN_HEARTBEAT_INTERVAL = 0.1
        self.clock = time_machine.travel(datetime(2024, 1, 1, tzinfo=UTC), tick=False).start()
        manager = DagBundlesManager()
        manager.sync_bundles_to_db()
        [self.bundle] = manager.get_all_dag_bundles()
        self.bundle.initialize()
        self.bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name=self.bundle.name)
        if self.bag.import_errors:
            sys.exit("\n\n".join(f"{file}: {error}" for file, error in self.bag.import_errors.items()))

    @staticmethod
    def _virtual_sql_clock(engine: Any) -> None:  # noqa: ANN401 - SQLAlchemy's, in Airflow's environment
        """Let ``now()`` in SQL be the clock that we set."""
        from sqlalchemy import event
        from sqlalchemy.ext.compiler import compiles
        from sqlalchemy.sql.functions import now

        @compiles(now, "sqlite")
        def _compile(*_: object, **__: object) -> str:
            return "virtual_now()"

        @event.listens_for(engine, "connect")
        def _connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's
            connection.create_function("virtual_now", 0, lambda: f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}")

        engine.dispose()

    def scenarios(self) -> Iterator[Scenario]:
        """Yield the scenarios of all files, in an order that is the same in every process."""
        for file in dag_files():
            ids = sorted(dag_id for dag_id, dag in self.bag.dags.items() if Path(dag.fileloc) == file)
            yield from scenarios(ids, runpy.run_path(str(file)).get("SCENARIOS", {}))

    def play(self, scenarios: Sequence[Scenario]) -> dict[str, Document]:
        """Play scenarios that begin together side by side, and return what came of each."""
        self.clock.move_to(scenarios[0].at)
        dag_ids = [dag_id for scenario in scenarios for dag_id in scenario.dag_ids]
        self._store(dag_ids)
        runner = self._runner()
        triggers = [(trigger, scenario.dag_id) for scenario in scenarios for trigger in scenario.triggers]
        triggers.sort(key=lambda entry: entry[0].at)
        refused: Counter[str] = Counter()
        for _ in range(MAX_STEPS):
            while triggers and triggers[0][0].at <= datetime.now(UTC):
                trigger, dag_id = triggers.pop(0)
                refused[dag_id] += not self._trigger(dag_id, trigger)
            self._settle(runner)
            coming = [*self._waits(dag_ids), *(trigger.at for trigger, _ in triggers)]
            # What was due and has not come will never: a run that stands in the way of the schedule stops Airflow's.
            until = {dag_id: scenario.until for scenario in scenarios for dag_id in scenario.dag_ids}
            coming += [due for dag_id, due in self._due(dag_ids) if datetime.now(UTC) < due <= until[dag_id]]
            if not coming:
                break
            following = max(min(coming), datetime.now(UTC) + timedelta(seconds=1))
            expected = {dag_id for _, dag_id in triggers}
            over = [one for one in scenarios if one.until < following and one.dag_id not in expected]
            self._pause([dag_id for scenario in over for dag_id in scenario.dag_ids])
            self.clock.move_to(following)
        else:
            raise RuntimeError(f"{', '.join(dag_ids)}: no end after {MAX_STEPS} steps of the clock")
        documents: dict[str, Document] = {
            scenario.dag_id: {"runs": list(self._runs(scenario)), "refused": refused[scenario.dag_id]}
            for scenario in scenarios
        }
        self._pause(dag_ids, ending=True)
        return documents

    # --- Driving ------------------------------------------------------------------------------------------------

    def _store(self, dag_ids: Iterable[str]) -> None:
        """Store the DAGs as Airflow's DAG processor does, and unpause them."""
        import copy

        from airflow.dag_processing.dagbag import sync_bag_to_db
        from airflow.models.dag import DagModel
        from airflow.utils.session import create_session

        bag = copy.copy(self.bag)
        bag.dags = {dag_id: self.bag.dags[dag_id] for dag_id in dag_ids}
        with create_session() as session:
            sync_bag_to_db(bag, self.bundle.name, None, session=session)
        with create_session() as session:
            for dag_id in dag_ids:
                session.get(DagModel, dag_id).is_paused = False

    @staticmethod
    def _pause(dag_ids: Iterable[str], *, ending: bool = False) -> None:
        """Pause the DAGs that have no open run, so that time passes for the others alone; ``ending`` closes runs."""
        from airflow.models.dag import DagModel
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import select, update

        with create_session() as session:
            is_open = (DagRun.dag_id.in_(list(dag_ids)), DagRun.state.in_(["queued", "running"]))
            if ending:
                session.execute(update(DagRun).where(*is_open).values(state="failed"))
            busy = set(session.scalars(select(DagRun.dag_id).where(*is_open)))
            for dag_id in set(dag_ids) - busy:
                session.get(DagModel, dag_id).is_paused = True

    def _trigger(self, dag_id: str, trigger: Trigger) -> bool:
        """Create a manual run as the REST API does; return False if it is refused."""
        from airflow.api_fastapi.core_api.datamodels.dag_run import TriggerDAGRunPostBody
        from airflow.exceptions import ParamValidationError
        from airflow.models.dagbag import DBDagBag
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        with create_session() as session:
            dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
            body = TriggerDAGRunPostBody(logical_date=trigger.logical_date, conf=trigger.conf)
            try:
                dag.create_dagrun(
                    **body.validate_context(dag),
                    run_type=DagRunType.MANUAL,
                    triggered_by=DagRunTriggeredByType.REST_API,
                    state=DagRunState.QUEUED,
                    session=session,
                )
            except (ParamValidationError, ValueError):
                session.rollback()
                return False
        return True

    @staticmethod
    def _runner() -> Any:  # noqa: ANN401 - Airflow's
        """Return a scheduler whose loop ends when it has queued nothing and nothing has ended."""
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.utils.session import create_session

        with create_session() as session:
            job = Job()
            session.add(job)
            session.flush()
            session.expunge(job)
        return SchedulerJobRunner(job, num_runs=1, only_idle=True, executors=[inline_executor()])

    def _settle(self, runner: Any) -> None:  # noqa: ANN401 - Airflow's
        """Run the scheduler's loop until nothing changes any more: a task that does nothing ends without a queue."""
        before = None
        while (now := self._states()) != before:
            before = now
            runner._run_scheduler_loop()  # noqa: SLF001 - what `airflow scheduler` comes to after its signal handlers

    @staticmethod
    def _states() -> list[Any]:
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            runs = select(DagRun.id, DagRun.state).order_by(DagRun.id)
            tasks = select(TaskInstance.id, TaskInstance.state).order_by(TaskInstance.id)
            return [tuple(row) for rows in (session.execute(runs), session.execute(tasks)) for row in rows]

    def _waits(self, dag_ids: Sequence[str]) -> list[datetime]:
        """Return when something that waits for time goes on: a retry, a reschedule, the timeout of a run."""
        from airflow.models.dagbag import DBDagBag
        from airflow.models.dagrun import DagRun
        from airflow.models.taskreschedule import TaskReschedule
        from airflow.utils.session import create_session
        from sqlalchemy import select

        found: list[datetime] = []
        with create_session() as session:
            for run in session.scalars(select(DagRun).where(DagRun.dag_id.in_(dag_ids), DagRun.state == "running")):
                if (timeout := self.bag.dags[run.dag_id].dagrun_timeout) is not None:
                    found.append(run.start_date + timeout)
                for task in run.task_instances:
                    if task.state == "up_for_retry":
                        dag = DBDagBag().get_latest_version_of_dag(task.dag_id, session=session)
                        task.task = dag.get_task(task.task_id)
                        found.append(task.next_retry_datetime())
                    if task.state == "up_for_reschedule":
                        mine = select(TaskReschedule.reschedule_date).where(TaskReschedule.ti_id == task.id)
                        found.append(max(session.scalars(mine)))
        # Airflow asks whether the instant is past.
        return [at + timedelta(seconds=1) for at in found]

    @staticmethod
    def _due(dag_ids: Sequence[str]) -> Iterator[tuple[str, datetime]]:
        """Yield when the schedules make their next runs."""
        from airflow.models.dag import DagModel
        from airflow.utils.session import create_session

        with create_session() as session:
            for dag_id in dag_ids:
                model = session.get(DagModel, dag_id)
                if model.next_dagrun_create_after is not None and not model.exceeds_max_non_backfill:
                    yield dag_id, model.next_dagrun_create_after

    # --- Reading ------------------------------------------------------------------------------------------------

    def _runs(self, scenario: Scenario) -> Iterator[Document]:
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            runs = session.scalars(select(DagRun).where(DagRun.dag_id.in_(scenario.dag_ids)))
            for run in sorted(runs, key=lambda run: (run.dag_id, run.logical_date or run.run_after)):
                yield run_document(
                    dag_id=run.dag_id,
                    run_id=run.run_id,
                    run_type=run.run_type,
                    state=str(run.state),
                    logical_date=run.logical_date,
                    interval=(run.data_interval_start, run.data_interval_end),
                    tasks=[
                        (label(task.task_id, task.map_index), str(task.state or "none"), task.try_number)
                        for task in run.task_instances
                    ],
                    xcoms=self._xcoms(session, run),
                    rendered=self._rendered(session, run) if scenario.rendered else {},
                )

    @staticmethod
    def _xcoms(session: Any, run: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - Airflow's
        from airflow.models.xcom import XComModel
        from airflow.sdk.serde import deserialize
        from sqlalchemy import select

        found: dict[str, dict[str, Any]] = {}
        rows = select(XComModel).where(XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id)
        for row in session.scalars(rows):
            try:
                value = deserialize(row.value)
            except (ImportError, TypeError, ValueError) as error:  # a class of an author's, which servers do not import
                # The module of a DAG file is named after where the file lies.
                value = {"not read": re.sub(r"unusual_prefix_[0-9a-f]{40}_", "", str(error))}
            found.setdefault(label(row.task_id, row.map_index), {})[row.key] = value
        return found

    @staticmethod
    def _rendered(session: Any, run: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - Airflow's
        from airflow.models.renderedtifields import RenderedTaskInstanceFields
        from sqlalchemy import select

        mine = (RenderedTaskInstanceFields.dag_id == run.dag_id, RenderedTaskInstanceFields.run_id == run.run_id)
        rows = session.scalars(select(RenderedTaskInstanceFields).where(*mine))
        return {label(row.task_id, row.map_index): dict(row.rendered_fields) for row in rows}


def inline_executor() -> Any:  # noqa: ANN401 - a class that exists where Airflow does
    """Return an executor that runs what it is given at once: Airflow's supervisor, a forked task process."""
    from airflow.callbacks.database_callback_sink import DatabaseCallbackSink
    from airflow.executors.base_executor import BaseExecutor
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor, supervise_task

    client = InProcessTestSupervisor._api_client()  # noqa: SLF001 - that of `dag.test()`

    class InlineExecutor(BaseExecutor):  # type: ignore[misc] # Airflow is not installed where types are checked
        def start(self) -> None:
            pass

        def end(self) -> None:
            pass

        def _process_workloads(self, workloads: Sequence[Any]) -> None:
            for work in workloads:
                del self.queued_tasks[work.key]
                code = supervise_task(
                    ti=work.ti,
                    bundle_info=work.bundle_info,
                    dag_rel_path=work.dag_rel_path,
                    token=work.token,
                    log_path=work.log_path,
                    client=client,
                )
                (self.success if code == 0 else self.fail)(work.key)

    executor = InlineExecutor()
    executor.callback_sink = DatabaseCallbackSink()
    return executor


def main(out: Path, word: str, part: int, parts: int) -> None:
    """Play this part of the scenarios whose DAG has ``word`` in its id, and write the answers."""
    if importlib.util.find_spec("windlass") is not None:
        sys.exit(f"{sys.executable} has Windlass, which the DAGs would find; give an environment of Airflow's own")
    with tempfile.TemporaryDirectory(prefix="windlass-oracle-") as home:
        os.environ.update(SETTINGS, AIRFLOW_HOME=home)
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
        import airflow

        oracle = Oracle()
        answers: dict[str, Document] = {}
        chosen = [scenario for scenario in oracle.scenarios() if word in scenario.dag_id]
        beginning: dict[datetime, list[Scenario]] = {}
        for scenario in chosen[part::parts]:
            beginning.setdefault(scenario.at, []).append(scenario)
        for together in beginning.values():
            answers |= oracle.play(together)
        out.write_text(json.dumps({"airflow": airflow.__version__, "dags": answers}), encoding="utf-8")
    sys.stderr.flush()
    # Airflow leaves threads behind: the event loop of its execution API.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
