"""What an explanation looks at: a run with its task instances, read once, and what its plan says of them."""

from __future__ import annotations

from functools import cached_property

from windlass.planning.dates import bridged
from windlass.planning.decisions import Instance
from windlass.planning.explain import Obstacle
from windlass.planning.past import past_allows
from windlass.planning.plan import RunPlan
from windlass.ports import RunFacts, TaskFacts
from windlass.spec import DagSpec
from windlass.states import TaskState
from windlass.store import Store

Name = tuple[str, int]


class Snapshot:
    """A run, its spec and its task instances by name."""

    def __init__(self, store: Store, run: RunFacts) -> None:
        self.run = run
        self.facts: dict[Name, TaskFacts] = {
            (task.task_id, task.map_index): task for task in store.scheduler.tasks_of(run.id)
        }
        declared = store.queries.spec(run.dag_id, run.spec_version)
        present = {task_id for task_id, _ in self.facts}
        self.spec: DagSpec = bridged(declared, run.run_type, run.logical_date, present)
        self._store = store
        #: Instances that the tree has explained already: each stands in it once.
        self.explained: set[Name] = set()

    @cached_property
    def newest(self) -> str:
        """The newest code of the DAG, which a run that was created earlier does not have."""
        return self._store.queries.dag(self.run.dag_id).code_version

    @cached_property
    def _plan(self) -> tuple[RunPlan, frozenset[str]]:
        """The plan, and the tasks that the scheduler has not decided on yet."""
        plan = RunPlan(self.spec, map(_instance, self.facts.values()), past_ok=self._past_ok)
        return plan, frozenset(decision.task_id for decision in plan.decide())

    def is_undecided(self, task_id: str) -> bool:
        """Return whether the scheduler has yet to act on what it could know of the task by now."""
        return task_id in self._plan[1]

    def obstacles(self, task: TaskFacts) -> list[Obstacle]:
        """Return what the plan says of a task instance that has not been let go."""
        return self._plan[0].obstacles(task.task_id, task.map_index)

    def front(self) -> list[TaskFacts]:
        """Return the unfinished instances that do not merely wait for other ones: on them the run depends."""
        unfinished = [task for task in self.facts.values() if not task.state.is_terminal]
        found = [task for task in unfinished if self._is_at_front(task)]
        return found or unfinished

    def upstream_of(self, task: TaskFacts, *states: TaskState) -> list[TaskFacts]:
        """Return the instances directly upstream of ``task`` that are in one of ``states``."""
        declared = self.spec.by_id.get(task.task_id)
        found = []
        for name in () if declared is None else declared.upstream:
            group = self.spec.mapped_group_of(task.task_id)
            inner = group is not None and group == self.spec.mapped_group_of(name) and task.map_index >= 0
            found += [
                other
                for (other_id, index), other in self.facts.items()
                if other_id == name and other.state in states and (not inner or index in {-1, task.map_index})
            ]
        return found

    def _is_at_front(self, task: TaskFacts) -> bool:
        if task.state is not TaskState.NONE:
            return True
        return self.is_undecided(task.task_id) or any(obstacle.kind == "past" for obstacle in self.obstacles(task))

    def _past_ok(self, task_id: str, map_index: int) -> bool:
        previous = self._store.scheduler.previous(self.run.id, task_id, map_index, scheduled_only=self.spec.catchup)
        return past_allows(self.spec.by_id[task_id], previous)


def _instance(task: TaskFacts) -> Instance:
    return Instance(
        task_id=task.task_id,
        map_index=task.map_index,
        state=task.state,
        skip_targets=task.skip_targets,
        result_length=task.result_length,
    )
