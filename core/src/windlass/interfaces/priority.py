"""How a plugin gives tasks their priority weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Protocol


class WeightedTask(Protocol):
    """What a strategy may look at: the task as its DAG file made it. There is no run and no try yet."""

    task_id: str
    priority_weight: int

    @property
    def upstream_task_ids(self) -> Collection[str]:
        """The ids of its direct upstream tasks."""

    @property
    def downstream_task_ids(self) -> Collection[str]:
        """The ids of its direct downstream tasks."""


class PriorityWeightStrategy(ABC):
    """Makes the weight of a task. Give an instance as ``weight_rule=``, or register it and give its name.

    It is asked when the DAG file is parsed, once per task. Of two tasks that could both be queued, the one with the
    higher weight is.
    """

    @abstractmethod
    def get_weight(self, task: WeightedTask) -> int:
        """Return the weight of ``task``: a whole number, the higher the sooner."""
