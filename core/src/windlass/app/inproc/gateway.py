"""The gateway beside the memory store: claims, reports and questions of attempts that run in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from windlass.app.inproc.asking import answer
from windlass.app.inproc.memory import MemoryStore
from windlass.app.inproc.rows import Transition
from windlass.errors import Conflict, ConnectionNotDefined, UsageError, VariableNotDefined
from windlass.planning.attempts import Resumption, attempt_context, log_path
from windlass.planning.endings import ending_of
from windlass.ports import (
    Claim,
    Claimed,
    Fired,
    NewRun,
    Report,
    Rng,
    RunFacts,
    StopRequest,
    TaskFacts,
    Wait,
    WaitChanges,
    WaitKey,
    WorkloadKind,
)
from windlass.protocol import (
    AssetEvent,
    Defer,
    Finish,
    GetConnection,
    Mask,
    Query,
    Reschedule,
    TriggerRun,
    Variable,
    Verb,
    XComGet,
    XComInfo,
    XComSet,
    XComValue,
)
from windlass.secrets.masking import Masker
from windlass.states import Actor, RunType, TaskState

#: Answers a connection's fields, or None where it knows none; and the same for the text of a variable.
ConnectionLookup = Callable[[str], dict[str, Any] | None]
VariableLookup = Callable[[str], str | None]


class MemoryGateway:
    """Implements :class:`~windlass.ports.Gateway` over a :class:`MemoryStore`."""

    def __init__(self, store: MemoryStore, rng: Rng, connection: ConnectionLookup, variable: VariableLookup) -> None:
        self._store = store
        self._rng = rng
        self._connection = connection
        self._variable = variable
        self._leases: dict[str, int] = {}
        self._first_pokes: dict[int, Any] = {}
        #: Instances whose next attempt belongs to the same try, and the deferral that it may go on after.
        self._continuing: set[int] = set()
        self._waits: dict[WaitKey, Wait] = {}
        self._resumptions: dict[int, Resumption] = {}
        #: Variables that tasks have set (None: deleted), in front of the lookup.
        self.variables: dict[str, str | None] = {}
        #: Hides what :func:`~windlass.hooks.mask_secret` was told, from then on and for all tasks.
        self.masker = Masker()

    def claim(self, claims: Sequence[Claim], supervisor: str) -> list[Claimed | None]:
        """Grant the claims whose epoch and ticket hold."""
        return [self._claim(claim) for claim in claims]

    def _claim(self, claim: Claim) -> Claimed | None:
        if claim.kind is WorkloadKind.TIMETABLE:
            return self._store.questions.claim(claim)
        found = self._store.tasks([claim.task])
        if not found or found[0].state is not TaskState.QUEUED:
            return None
        task = found[0]
        if task.epoch != claim.epoch or task.ticket != claim.ticket:
            return None
        run = self._run(task)
        spec = self._store.spec(run.dag_id, run.spec_version)
        lease_id = self._rng.key()
        continues = task.id in self._continuing
        if not continues:
            self._store.xcoms.pop(task.id, None)
        task = msgspec.structs.replace(task, state=TaskState.RUNNING, lease_id=lease_id)
        self._store.transit(
            task,
            Transition(
                task=task.id,
                before=TaskState.QUEUED,
                to=TaskState.RUNNING,
                epoch=task.epoch,
                actor=Actor.TASK,
                op_id=self._rng.key(),
            ),
        )
        self._leases[lease_id] = task.id
        context = attempt_context(
            run,
            spec,
            task,
            lease_id=lease_id,
            mapped_count=self._store.count_of(run.id, task.task_id) if task.map_index >= 0 else None,
            first_poke=self._first_pokes.get(task.id),
            resume=self._resumptions.get(task.id) if continues else None,
        )
        return Claimed(
            task=task.id,
            lease_id=lease_id,
            context=context,
            execution_timeout=spec.by_id[task.task_id].execution_timeout,
            log_path=context.log_path or "",
        )

    def heartbeat(self, leases: Sequence[str], supervisor: str) -> list[StopRequest]:
        """Return the stop requests of these leases."""
        return [stop for stop in self._store.stops.values() if stop.lease_id in leases]

    def report(self, reports: Sequence[Report], supervisor: str) -> list[bool]:
        """Write the ends of attempts."""
        return [self._report(report) for report in reports]

    def exchange(
        self, reports: Sequence[Report], claims: Sequence[Claim], supervisor: str
    ) -> tuple[list[bool], list[Claimed | None]]:
        """Report, then claim."""
        return self.report(reports, supervisor), self.claim(claims, supervisor)

    def _report(self, report: Report) -> bool:
        if report.kind is WorkloadKind.TIMETABLE:
            return self._store.questions.report(report)
        task = self._store.task(report.task)
        if task.lease_id != report.lease_id or task.epoch != report.epoch or task.state is not TaskState.RUNNING:
            return False
        run = self._run(task)
        spec = self._store.spec(run.dag_id, run.spec_version)
        for xcom in report.xcoms:
            self._store.xcoms.setdefault(task.id, {})[xcom.key] = xcom.value
        if report.rendered is not None:
            self._store.rendered[task.id] = report.rendered
        ending = ending_of(
            spec,
            task.task_id,
            f"{run.dag_id}/{run.run_id}/{task.task_id}/{task.map_index}",
            report,
            try_number=task.try_number,
            max_tries=task.max_tries,
            now=self._store.clock.now(),
        )
        after = msgspec.structs.replace(
            task,
            state=ending.state,
            lease_id=None,
            ticket=None,
            not_before=ending.not_before,
            skip_targets=ending.skip_targets,
            result_length=ending.result_length,
        )
        self._store.transit(
            after,
            Transition(
                task=task.id,
                before=TaskState.RUNNING,
                to=ending.state,
                epoch=task.epoch,
                actor=ending.actor,
                op_id=report.op_id,
                reason=ending.reason,
            ),
        )
        self._leases.pop(report.lease_id, None)
        self._store.stops.pop(task.id, None)
        if isinstance(report.ending, Finish) and ending.state is TaskState.SUCCESS:
            for event in report.ending.outlets:
                self._store.record_asset_event(event, _source(run, task))
        self._remember(after, run, report)
        self._store.signal_task(after)
        return True

    def _remember(self, task: TaskFacts, run: RunFacts, report: Report) -> None:
        """Keep what the next attempt of the same try has to know."""
        self._resumptions.pop(task.id, None)
        match report.ending:
            case Defer() as defer if task.state is TaskState.DEFERRED:
                self._continuing.add(task.id)
                self._resumptions[task.id] = Resumption(method=defer.method, kwargs=defer.kwargs)
                self._waits[task.id, task.epoch] = Wait(
                    task=task.id,
                    epoch=task.epoch,
                    trigger=defer.trigger,
                    kwargs=defer.trigger_kwargs,
                    dag_id=run.dag_id,
                    run_id=run.run_id,
                    task_id=task.task_id,
                    map_index=task.map_index,
                    bundle=run.bundle,
                    file=run.file,
                    code_version=run.code_version,
                    log_path=log_path(run, task),
                )
            case Reschedule(first_poke=first_poke):
                self._continuing.add(task.id)
                self._first_pokes.setdefault(task.id, first_poke)
            case _:
                self._continuing.discard(task.id)
                self._first_pokes.pop(task.id, None)

    # -- deferrals ----------------------------------------------------------------------------------------------------

    def waits(self, known: Sequence[WaitKey], supervisor: str) -> WaitChanges:
        """Return what differs between the live waits and ``known``."""
        self._waits = {key: wait for key, wait in self._waits.items() if self._is_live(key)}
        return WaitChanges(
            begun=tuple(wait for key, wait in self._waits.items() if key not in known),
            ended=tuple(key for key in known if key not in self._waits),
        )

    def fire(self, fired: Sequence[Fired], supervisor: str) -> list[bool]:
        """Resume the task instances whose waits are live."""
        return [self._fire(one) for one in fired]

    def _fire(self, fired: Fired) -> bool:
        key = fired.task, fired.epoch
        if not self._is_live(key):
            return False
        del self._waits[key]
        resume = self._resumptions[fired.task]
        self._resumptions[fired.task] = msgspec.structs.replace(resume, event=fired.event, failure=fired.failure)
        task = msgspec.structs.replace(self._store.task(fired.task), state=TaskState.SCHEDULED, not_before=None)
        self._store.transit(
            task,
            Transition(
                task=task.id,
                before=TaskState.DEFERRED,
                to=TaskState.SCHEDULED,
                epoch=task.epoch,
                actor=Actor.TRIGGER,
                op_id=f"fire:{fired.task}:{fired.epoch}",
                reason=fired.failure or "its trigger fired",
            ),
        )
        self._store.signal_task(task)
        return True

    def answer(self, wait: WaitKey, query: Query) -> list[dict[str, Any]]:
        """Answer a trigger's question."""
        return answer(self._store, self._run(self._store.task(wait[0])), query)

    def _is_live(self, key: WaitKey) -> bool:
        task = self._store.task(key[0])
        return key in self._waits and task.state is TaskState.DEFERRED and task.epoch == key[1]

    def lend(self, task: TaskFacts) -> str:
        """Return a lease id under which questions of ``task`` are answered though it is not running."""
        lease_id = self._rng.key()
        self._leases[lease_id] = task.id
        return lease_id

    def recover(self, supervisor: str) -> int:
        """Nothing to recover: the attempts die with this process."""
        return 0

    # -- questions ----------------------------------------------------------------------------------------------------

    def call(self, lease_id: str, verb: Verb) -> Any:  # noqa: ANN401 - msgpack values
        """Answer one question of the attempt that holds ``lease_id``."""
        task = self._store.task(self._leases[lease_id])
        match verb:
            case GetConnection(conn_id=conn_id):
                return self._get_connection(conn_id)
            case Variable():
                return self._variable_verb(verb)
            case Mask(values=secrets):
                self.masker.add(*secrets)
                return None
            case XComSet(key=key, value=value):
                self._store.xcoms.setdefault(task.id, {})[key] = value
                return None
            case XComGet():
                return [[index, value] for index, value in self._xcoms(task, verb)]
            case XComInfo(task_id=task_id, key=key, run_id=run_id):
                values = self._xcoms(task, XComGet(task_id=task_id, key=key, run_id=run_id))
                length = values[0][1].length if len(values) == 1 else None
                return {"count": len(values), "length": length, "instances": self._instances(task, task_id, run_id)}
            case TriggerRun():
                return self._trigger(verb)
            case AssetEvent():
                self._store.record_asset_event(verb, _source(self._run(task), task))
                return None
            case Query():
                return answer(self._store, self._run(task), verb)
            case _:
                msg = f"`{type(verb).__name__}` is not available in dag.test(); run the DAG with `windlass standalone`"
                raise UsageError(msg)

    def _get_connection(self, conn_id: str) -> dict[str, Any]:
        fields = self._connection(conn_id)
        if fields is None:
            given = f"give it to dag.test(connections={{'{conn_id}': 'type://…'}})"
            raise ConnectionNotDefined(
                f"connection `{conn_id}` is not defined; {given} or set WINDLASS_CONN_{conn_id.upper()}"
            )
        return fields

    def _variable_verb(self, verb: Variable) -> str | None:
        if verb.op == "set":
            self.variables[verb.key] = verb.value
            return None
        if verb.op == "delete":
            self.variables[verb.key] = None
            return None
        value = self.variables[verb.key] if verb.key in self.variables else self._variable(verb.key)
        if value is None:
            given = f"give it to dag.test(variables={{'{verb.key}': '…'}})"
            raise VariableNotDefined(
                f"variable `{verb.key}` is not defined; {given} or set WINDLASS_VAR_{verb.key.upper()}"
            )
        return value

    def _xcoms(self, task: TaskFacts, verb: XComGet) -> list[tuple[int, XComValue]]:
        here = self._run(task)
        dag_id, run_id = verb.dag_id or here.dag_id, verb.run_id or here.run_id
        run = self._store.run_named(dag_id, run_id)
        found = [
            (other.map_index, self._store.xcoms[other.id][verb.key])
            for other in ([] if run is None else self._store.tasks_of(run.id))
            if other.task_id == verb.task_id
            and (verb.map_index is None or other.map_index == verb.map_index)
            and verb.key in self._store.xcoms.get(other.id, {})
        ]
        found.sort(key=lambda entry: entry[0])
        return found[verb.offset : None if verb.limit is None else verb.offset + verb.limit]

    def _instances(self, task: TaskFacts, task_id: str, run_id: str | None) -> int:
        here = self._run(task)
        return sum(
            other.task_id == task_id and other.map_index >= 0
            for run in self._store.runs()
            if run.dag_id == here.dag_id and run.run_id == (run_id or here.run_id)
            for other in self._store.tasks_of(run.id)
        )

    def _trigger(self, verb: TriggerRun) -> dict[str, Any]:
        now = verb.logical_date or self._store.clock.now()
        run = self._store.create_run(
            NewRun(
                dag_id=verb.dag_id,
                run_type=RunType.MANUAL,
                run_id=verb.run_id,
                logical_date=now,
                data_interval_start=now,
                data_interval_end=now,
                run_after=now,
                conf=verb.conf,
                bump=verb.logical_date is None,
                triggered_by="task",
            )
        )
        if run is None:
            msg = f"DAG `{verb.dag_id}` already has a run of that id or logical date"
            raise Conflict(msg)
        return {"dag_id": run.dag_id, "run_id": run.run_id, "state": str(run.state)}

    def _run(self, task: TaskFacts) -> RunFacts:
        run = self._store.run(task.run)
        if run is None:  # pragma: no cover - instances exist only with their run
            msg = f"run {task.run} is gone"
            raise Conflict(msg)
        return run


def _source(run: RunFacts, task: TaskFacts) -> tuple[str, str, str, int]:
    """Return where an asset event of ``task`` comes from."""
    return run.dag_id, run.run_id, task.task_id, task.map_index
