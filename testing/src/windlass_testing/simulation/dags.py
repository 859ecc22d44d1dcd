"""Random small DAGs: every trigger rule, mapping, branches, setups and limits, in sizes that a person can read."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from windlass.spec import (
    ConcatLength,
    DagSpec,
    DeltaIntervalSpec,
    GroupSpec,
    LengthSpec,
    LiteralLength,
    MapSpec,
    OnceSpec,
    RelativeDelta,
    TaskSpec,
    TriggerRule,
    XComLength,
)
from windlass_testing.simulation.world import START

#: The pools besides the default one, and their slots when nobody meddles.
POOLS = {"narrow": 2, "single": 1}

_RULES = tuple(rule for rule in TriggerRule if rule is not TriggerRule.ALL_DONE_SETUP_SUCCESS)


def random_dag(source: random.Random, dag_id: str) -> DagSpec:
    """Return a DAG of one to seven tasks."""
    return _Drawing(source, dag_id).dag()


class _Drawing:
    def __init__(self, source: random.Random, dag_id: str) -> None:
        self._random = source
        self._dag_id = dag_id
        self._tasks: list[TaskSpec] = []
        self._groups: tuple[GroupSpec, ...] = ()

    def dag(self) -> DagSpec:
        """Return the DAG."""
        source = self._random
        size = source.randint(1, 7)
        group_at = source.randrange(2, size) if size > 3 and source.random() < 0.12 else None
        with_teardown = size > 2 and source.random() < 0.2
        for number in range(size):
            if with_teardown and number == size - 1:
                self._add_teardown(number)
            else:
                in_group = group_at is not None and group_at <= number < group_at + 2
                self._add(number, in_group=in_group, is_setup=with_teardown and number == 0)
        return DagSpec(
            dag_id=self._dag_id,
            tasks=tuple(self._tasks),
            groups=self._groups,
            file=f"{self._dag_id}.py",
            callbacks=("failure", "success") if source.random() < 0.3 else (),
            max_active_runs=source.choice((1, 1, 2, 16)),
            max_active_tasks=source.choice((1, 2, 16, 16)),
            fail_fast=source.random() < 0.25,
            dagrun_timeout=source.uniform(10, 90) if source.random() < 0.2 else None,
            **self._schedule(),
        )

    def _schedule(self) -> dict[str, Any]:
        source = self._random
        if source.random() < 0.6:
            return {"schedule": OnceSpec(), "start_date": START} if source.random() < 0.3 else {}
        seconds = source.choice((15.0, 60.0))
        return {
            "schedule": DeltaIntervalSpec(delta=RelativeDelta(seconds=seconds)),
            "start_date": START,
            "end_date": START + timedelta(seconds=seconds * source.randint(0, 2)),
            "catchup": source.random() < 0.7,
        }

    def _add(self, number: int, *, in_group: bool, is_setup: bool) -> None:
        source = self._random
        names = [task.task_id for task in self._tasks]
        upstream = [name for name in names if source.random() < 0.4]
        rule = TriggerRule.ALL_SUCCESS if source.random() < 0.6 else source.choice(_RULES)
        mapping = None
        group = None
        if in_group:
            group = "group"
            if not self._groups:
                length = self._length([task.task_id for task in self._tasks[:1]])
                self._groups = (GroupSpec(group_id=group, map=MapSpec(factors=(("x", length),))),)
            upstream = sorted({*upstream, *(self._groups[0].map.sources() if self._groups[0].map else ())})
        elif not is_setup and source.random() < 0.2:
            length = self._length([t.task_id for t in self._tasks if t.map is None and t.group is None])
            mapping = MapSpec(factors=(("x", length),))
            upstream = sorted({*upstream, *mapping.sources()})
        past = source.random() < 0.1
        self._tasks.append(
            TaskSpec(
                task_id=f"t{number}",
                upstream=tuple(upstream),
                group=group,
                map=mapping,
                trigger_rule=TriggerRule.ALL_SUCCESS if is_setup else rule,
                is_setup=is_setup,
                is_brancher=source.random() < 0.2,
                depends_on_past=past,
                wait_for_downstream=past and source.random() < 0.3,
                **self._limits(),
            )
        )

    def _limits(self) -> dict[str, Any]:
        source = self._random
        pool = source.choice(("default_pool", "default_pool", "narrow", "single"))
        return {
            "retries": source.choice((0, 0, 1, 2)),
            "retry_delay": source.choice((0.0, 3.0, 20.0)),
            "retry_backoff": source.choice((0.0, 0.0, 2.0)),
            "max_retry_delay": 30.0,
            "execution_timeout": source.choice((None, None, 8.0, 25.0)),
            "pool": pool,
            "pool_slots": source.choice((1, 2)) if pool == "narrow" else 1,
            "priority_weight": source.randint(1, 3),
            "max_active_tis_per_dag": source.choice((None, None, None, None, 1)),
            "max_active_tis_per_dagrun": source.choice((None, None, None, None, 1)),
            "callbacks": source.choice(((), (), ("failure", "retry", "success", "skipped"))),
        }

    def _length(self, candidates: list[str]) -> LengthSpec:
        source = self._random
        if not candidates or source.random() < 0.3:
            return LiteralLength(length=source.randint(0, 3))
        one = XComLength(task_id=source.choice(candidates))
        if source.random() < 0.2:
            return ConcatLength(parts=(one, LiteralLength(length=1)))
        return one

    def _add_teardown(self, number: int) -> None:
        others = [task.task_id for task in self._tasks if self._random.random() < 0.6]
        setup = self._tasks[0].task_id
        self._tasks.append(
            TaskSpec(
                task_id=f"t{number}",
                upstream=tuple(sorted({setup, *others})),
                is_teardown=True,
                setups=(setup,),
                on_failure_fail_dagrun=self._random.random() < 0.3,
                trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
                **self._limits(),
            )
        )
