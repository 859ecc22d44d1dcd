"""The DAG and task policies of providers, applied to what a parse child has made of a DAG file.

They act on specs, which are what the engine schedules by: a policy can give a task another pool, more retries, a time
limit, or refuse it. They are loaded before the file is run, so that no module of the file can take the place of theirs.
Whatever goes wrong with one is an error of the DAG that names the provider: a rule that silently does not hold is worse
than none.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from windlass.errors import PolicyViolation
from windlass.registry import PluginModules, registry
from windlass.spec import DagSpec, TaskSpec

_Spec = TypeVar("_Spec", DagSpec, TaskSpec)


class Policies:
    """The ``task_policy`` and ``dag_policy`` hooks of all providers."""

    def __init__(self, modules: PluginModules) -> None:
        self._of_tasks = list(modules.callers("task_policy"))
        self._of_dags = list(modules.callers("dag_policy"))
        self._broken = [f"{broken.name} ({broken.error})" for broken in modules.broken]

    def applied(self, dag: DagSpec) -> DagSpec:
        """Return the DAG as the policies want it.

        :raises PolicyViolation: if one refuses it, fails, or returns what it must not.
        """
        if self._broken:
            raise PolicyViolation(
                f"DAG {dag.dag_id!r} is not taken, because the policies of provider {self._broken[0]} cannot be "
                "loaded; upgrade or uninstall it"
            )
        if self._of_tasks:
            tasks = tuple(self._task(task, dag) for task in dag.tasks)
            if tasks != dag.tasks:
                dag = msgspec.structs.replace(dag, tasks=tasks)
        for provider, policy in self._of_dags:
            who = f"DAG {dag.dag_id!r}: dag_policy of provider {provider}"
            changed = _call(policy, who, dag, dag=dag)
            if changed.dag_id != dag.dag_id:
                raise PolicyViolation(f"{who} renamed it to {changed.dag_id!r}, which a policy must not; report this")
            dag = changed
        return dag

    def _task(self, task: TaskSpec, dag: DagSpec) -> TaskSpec:
        for provider, policy in self._of_tasks:
            who = f"DAG {dag.dag_id!r}, task {task.task_id!r}: task_policy of provider {provider}"
            changed = _call(policy, who, task, task=task, dag=dag)
            if (changed.task_id, changed.upstream) != (task.task_id, task.upstream):
                raise PolicyViolation(
                    f"{who} changed its id or its upstream tasks, which a policy must not; report this"
                )
            task = changed
        return task


def load_policies() -> Policies:
    """Return the policies that are installed here."""
    return Policies(PluginModules(registry(), "policies"))


def _call(policy: Any, who: str, before: _Spec, **arguments: object) -> _Spec:  # noqa: ANN401 - pluggy's caller
    """Call one provider's hook and return what it makes of ``before``, which is never changed in place."""
    try:
        answers = policy(**arguments)
    except PolicyViolation as error:
        raise PolicyViolation(f"{who} refuses it: {error}") from error
    except Exception as error:
        raise PolicyViolation(f"{who} failed: {type(error).__name__}: {error}") from error
    for answer in answers:
        if not isinstance(answer, type(before)):
            kind = type(before).__name__
            raise PolicyViolation(f"{who} returned {type(answer).__name__}, not a {kind} or None; report this")
        before = answer
    return before
