"""Waiting for a task, a group or a whole run of another DAG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from windlass.authoring.arguments import duration, signature, states, whole
from windlass.authoring.operator import Context
from windlass.authoring.operators.empty import EmptyOperator
from windlass.authoring.sensor import BaseSensorOperator
from windlass.authoring.xcom_arg import XComArg
from windlass.errors import AuthoringError, TaskFailed, TaskSkipped
from windlass.states import TaskState

if TYPE_CHECKING:
    from windlass.spec import MarkSpec

#: The date of the run that a marker means by default: its own.
SAME_DATE: Final = "{{ logical_date.isoformat() }}"


class ExternalTaskSensor(BaseSensorOperator):
    """Wait until tasks (or the run itself) of ``external_dag_id`` reach one of ``allowed_states``.

    It looks at the run of the same logical date, or of the date that ``execution_delta`` or ``execution_date_fn``
    gives. A state of ``failed_states`` fails the sensor at once, one of ``skipped_states`` skips it. With
    ``deferrable`` a trigger looks every ``poke_interval``, and the task holds no process meanwhile.
    """

    template_fields: Sequence[str] = (
        "external_dag_id",
        "external_task_id",
        "external_task_ids",
        "external_task_group_id",
    )
    ui_color = "#4db7db"

    def __init__(
        self,
        *,
        external_dag_id: str,
        external_task_id: str | None = None,
        external_task_ids: Iterable[str] | None = None,
        external_task_group_id: str | None = None,
        allowed_states: Iterable[str] | None = None,
        skipped_states: Iterable[str] | None = None,
        failed_states: Iterable[str] | None = None,
        execution_delta: timedelta | float | None = None,
        execution_date_fn: Callable[..., Any] | None = None,
        check_existence: bool = False,
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        who = f"sensor {self.task_id!r}"
        targets = [external_task_id, external_task_ids, external_task_group_id]
        if sum(target is not None for target in targets) > 1:
            raise AuthoringError(
                f"{who}: give one of external_task_id, external_task_ids, external_task_group_id; none means the run"
            )
        if execution_delta is not None and execution_date_fn is not None:
            raise AuthoringError(f"{who}: give execution_delta or execution_date_fn, not both")
        self.external_dag_id = external_dag_id
        self.external_task_id = external_task_id
        self.external_task_ids = _later_or_list(who, external_task_ids)
        self.external_task_group_id = external_task_group_id
        self.allowed_states = states(who, "allowed_states", allowed_states, ("success",), TaskState)
        self.skipped_states = states(who, "skipped_states", skipped_states, (), TaskState)
        self.failed_states = states(who, "failed_states", failed_states, (), TaskState)
        if len({*self.allowed_states, *self.skipped_states, *self.failed_states}) != (
            len(self.allowed_states) + len(self.skipped_states) + len(self.failed_states)
        ):
            raise AuthoringError(f"{who}: a state is both allowed, skipped or failed; name it once")
        self.execution_delta = duration(who, "execution_delta", execution_delta, is_signed=True)
        self.execution_date_fn = execution_date_fn
        self.check_existence = check_existence
        self.deferrable = deferrable

    def poke(self, context: Context) -> bool:
        """Look at the states, of every run asked for."""
        found = [self._states(date) for date in self._dates(context)]
        from windlass.interfaces.triggers.external import settled

        verdict = settled(found, self.allowed_states, self.skipped_states, self.failed_states)
        return verdict is not None and self._judged(verdict)

    def execute(self, context: Context) -> object:
        """Look here, or defer until it is settled."""
        if self.deferrable and not self.poke(context):
            from windlass.triggers import WorkflowTrigger

            trigger = WorkflowTrigger(
                self.external_dag_id,
                self._dates(context),
                external_task_ids=self._wanted,
                external_task_group_id=self.external_task_group_id,
                allowed_states=self.allowed_states,
                skipped_states=self.skipped_states,
                failed_states=self.failed_states,
                poke_interval=self.poke_interval,
            )
            self.defer_to(trigger)
        return super().execute(context)

    def execute_complete(self, context: Context, event: Mapping[str, str] | None = None) -> None:
        """Judge what the trigger has found."""
        self._judged(event or {"status": "success"})

    def _judged(self, verdict: Mapping[str, str]) -> bool:
        what = f"what {self.task_id!r} waits for in DAG {self.external_dag_id!r}"
        if verdict["status"] == "failed":
            text = f"{what} is {verdict['state']}"
            raise TaskSkipped(text) if self.soft_fail else TaskFailed(text)
        if verdict["status"] == "skipped":
            raise TaskSkipped(f"{what} was skipped")
        return True

    def _dates(self, context: Context) -> list[datetime]:
        date: datetime = context["logical_date"]
        if self.execution_delta is not None:
            return [date - self.execution_delta]
        if self.execution_date_fn is None:
            return [date]
        own = signature(self.execution_date_fn)
        extra = context if own.has_var_keywords else {n: context[n] for n in own.names[1:] if n in context}
        made = self.execution_date_fn(date, **extra)
        return [made] if isinstance(made, datetime) else list(made)

    @property
    def _wanted(self) -> list[str] | None:
        given: object = self.external_task_ids  # another task or a template may have given anything
        if not given:
            return [self.external_task_id] if self.external_task_id is not None else None
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise AuthoringError(_no_list(f"sensor {self.task_id!r}", given))
        return list(given)

    def _states(self, date: datetime) -> list[tuple[str, str]]:
        """Return (task id, state) of what it waits for in the run of ``date``; none if something is missing."""
        from windlass.interfaces.triggers.external import external_states

        wanted = self._wanted
        rows = external_states(self.external_dag_id, date, wanted, self.external_task_group_id)
        there = {task_id for task_id, _ in rows}
        if wanted is None or there == set(wanted):
            return rows
        if self.check_existence and rows:
            missing = sorted(set(wanted) - there)
            raise TaskFailed(f"DAG {self.external_dag_id!r} has no task {missing[0]!r}")
        return []


def _later_or_list(who: str, ids: Iterable[str] | None) -> Any:  # noqa: ANN401 - it may be a reference
    """Return ids as a list, and what is to give them when the task runs as it is."""
    if ids is None or isinstance(ids, XComArg) or (isinstance(ids, str) and "{" in ids):
        return ids
    if isinstance(ids, str):
        raise AuthoringError(_no_list(who, ids))
    return list(ids)


def _no_list(who: str, given: object) -> str:
    return f"{who}: external_task_ids must be a list of task ids, not {given!r:.80}"


class ExternalTaskMarker(EmptyOperator):
    """Say that a task of another DAG depends on this one: whoever clears this one clears that one with it.

    With it goes what lies downstream of it in its run, and what markers among that mark, up to ``recursion_depth``
    markers in a row. It means the run of the same logical date, or of the ``logical_date`` that is given.
    """

    is_marker = True
    template_fields: Sequence[str] = ("external_dag_id", "external_task_id", "logical_date")
    ui_color = "#4db7db"

    def __init__(
        self,
        *,
        external_dag_id: str,
        external_task_id: str,
        logical_date: str | datetime | None = SAME_DATE,
        recursion_depth: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.recursion_depth = whole(f"task {self.task_id!r}", "recursion_depth", recursion_depth, low=1)
        self.external_dag_id = external_dag_id
        self.external_task_id = external_task_id
        self.logical_date = logical_date.isoformat() if isinstance(logical_date, datetime) else logical_date

    def mark(self) -> MarkSpec:
        """Return what it marks, as data; a field that is no text is known when it has run."""
        from windlass.spec import MarkSpec

        is_same_date = self.logical_date in {None, SAME_DATE}
        names = ("external_dag_id", "external_task_id", *(() if is_same_date else ("logical_date",)))
        texts = {name: value for name in names if isinstance(value := getattr(self, name), str)}
        return MarkSpec(**texts, same_date=is_same_date, recursion_depth=self.recursion_depth)
