"""Starting a run of another DAG, and waiting for it."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from windlass.authoring.arguments import rendered_moment, required_duration, states
from windlass.authoring.operator import BaseOperator, Context
from windlass.authoring.xcom_arg import XComArg
from windlass.errors import AuthoringError, RunExists, TaskFailed, TaskReschedule, TaskSkipped
from windlass.states import RunState


class TriggerDagRunOperator(BaseOperator):
    """Trigger a run of ``trigger_dag_id``; with ``wait_for_completion`` end when that run has ended.

    The run's id is made from this task instance's idempotency key unless one is given, so an attempt that was lost
    after it triggered finds its run again instead of starting a second. Waiting frees the slot: the task comes back
    every ``poke_interval``, or with ``deferrable`` once the run has ended, which a trigger watches.
    """

    template_fields: Sequence[str] = ("trigger_dag_id", "trigger_run_id", "logical_date", "conf")
    ui_color = "#ffefeb"

    def __init__(
        self,
        *,
        trigger_dag_id: str,
        trigger_run_id: str | None = None,
        logical_date: datetime | str | None = None,
        conf: Mapping[str, Any] | XComArg | str | None = None,
        reset_dag_run: bool = False,
        wait_for_completion: bool = False,
        poke_interval: timedelta | float = 60.0,
        allowed_states: Sequence[str] | None = None,
        failed_states: Sequence[str] | None = None,
        skip_when_already_exists: bool = False,
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        who = f"task {self.task_id!r}"
        if logical_date is not None and not isinstance(logical_date, (str, datetime, XComArg)):
            raise AuthoringError(f"{who}: logical_date must be a datetime or text, not {logical_date!r}")
        given: object = trigger_dag_id  # a text, a template, or the result of a task
        if given is None or isinstance(given, (int, float, bytes)):
            raise AuthoringError(f"{who}: trigger_dag_id must be the id of a DAG, not {trigger_dag_id!r}")
        self.trigger_dag_id = trigger_dag_id
        self.trigger_run_id = trigger_run_id
        self.logical_date = logical_date.isoformat() if isinstance(logical_date, datetime) else logical_date
        self.conf: Any = conf if isinstance(conf, (str, XComArg)) else _dict(who, conf)
        self.reset_dag_run = reset_dag_run
        self.wait_for_completion = wait_for_completion
        self.poke_interval = required_duration(who, "poke_interval", poke_interval)
        self.allowed_states = states(who, "allowed_states", allowed_states, ("success",), RunState)
        self.failed_states = states(who, "failed_states", failed_states, ("failed",), RunState)
        self.skip_when_already_exists = skip_when_already_exists
        self.deferrable = deferrable

    def execute(self, context: Context) -> None:
        """Trigger once, then look at the run until it has ended."""
        ti = context["ti"]
        run_id = self.trigger_run_id or self._own_run_id(ti)
        if ti.first_poke is None:
            self._trigger(context, run_id)
        ti.xcom_push("trigger_run_id", run_id)
        if self.wait_for_completion:
            self._wait(run_id)

    def _wait(self, run_id: str) -> None:
        if self._has_ended(run_id):
            return
        if self.deferrable:
            from windlass.triggers import DagStateTrigger

            states = (*self.allowed_states, *self.failed_states)
            seconds = self.poke_interval.total_seconds()
            trigger = DagStateTrigger(self.trigger_dag_id, states, [run_id], poll_interval=seconds)
            self.defer(trigger=trigger, method_name="execute_complete", kwargs={"run_id": run_id})
        from windlass.ports import instant_now

        raise TaskReschedule(instant_now() + self.poke_interval)

    def execute_complete(self, context: Context, run_id: str, event: Any = None) -> None:
        """Judge the run that has ended; if it goes on again by now, because it was cleared, wait anew."""
        self._wait(run_id)

    def _has_ended(self, run_id: str) -> bool:
        state = self._state(run_id)
        if state in self.failed_states:
            raise TaskFailed(f"run {run_id!r} of DAG {self.trigger_dag_id!r} ended as {state}")
        return state in self.allowed_states

    def _own_run_id(self, ti: Any) -> str:
        """Return an id that every attempt of this try makes again."""
        key = f"{ti.idempotency_key}|{ti.dag_id}|{ti.run_id}|{ti.task_id}|{ti.map_index}|{ti.try_number}"
        return f"manual__{ti.run_id.partition('__')[2] or ti.run_id}_{sha256(key.encode()).hexdigest()[:8]}"

    def _trigger(self, context: Context, run_id: str) -> None:
        from windlass.ports import current_session
        from windlass.protocol import TriggerRun

        verb = TriggerRun(
            dag_id=self.trigger_dag_id,
            run_id=run_id,
            logical_date=rendered_moment(f"task {self.task_id!r}", "logical_date", self.logical_date or None),
            conf=_dict(f"task {self.task_id!r}", self.conf),
            reset=self.reset_dag_run,
        )
        try:
            current_session().ask(verb)
        except RunExists:
            if self.skip_when_already_exists:
                raise TaskSkipped(f"run {run_id!r} of DAG {self.trigger_dag_id!r} exists already") from None
            if self.trigger_run_id is not None:
                raise
            context["ti"].log.info("run %s was triggered by an earlier attempt", run_id)

    def _state(self, run_id: str) -> str:
        from windlass.ports import current_session
        from windlass.protocol import Query

        filters = {"dag_id": self.trigger_dag_id, "run_id": run_id}
        rows = current_session().ask(Query(what="runs", filters=filters))
        if not rows:
            raise TaskFailed(f"run {run_id!r} of DAG {self.trigger_dag_id!r} is gone")
        return str(rows[0]["state"])


def _dict(who: str, conf: object) -> dict[str, Any]:
    """Return a conf as a dict of its own; None is an empty one."""
    if conf is not None and not isinstance(conf, Mapping):
        hint = "; a template gives one with render_template_as_native_obj=True" if isinstance(conf, str) else ""
        raise AuthoringError(f"{who}: conf must be a dict, not {conf!r:.80}{hint}")
    return dict(conf or {})
