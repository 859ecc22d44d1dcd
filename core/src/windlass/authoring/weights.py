"""Priority weights by a strategy of one's own: computed here, when the file is parsed, so that no server runs its code.

What a strategy makes of a task travels as the task's weight, together with the strategy's name for people to see. It is
asked once per version of the DAG and not per try, because then a retry would have to wait for author code before it
could be queued.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windlass.errors import AuthoringError
from windlass.states import WeightRule

if TYPE_CHECKING:
    from windlass.authoring.operator import BaseOperator

#: What every database holds.
_MOST = 2**31 - 1
KIND = "priority_weight_strategies"


def weight_rule(who: str, value: Any) -> Any:
    """Return the name of a built-in rule, or the strategy that ``value`` is or names.

    :raises AuthoringError: if it is none.
    """
    if isinstance(value, str) and value in list(WeightRule):
        return str(value)
    from windlass.interfaces.priority import PriorityWeightStrategy

    if isinstance(value, type) and issubclass(value, PriorityWeightStrategy):
        return value()
    if isinstance(value, PriorityWeightStrategy):
        return value
    from windlass.registry import lookup, registry

    names = registry().names(KIND)
    if isinstance(value, str) and value in names:
        return lookup(KIND, value)()
    known = ", ".join([*WeightRule, *names])
    raise AuthoringError(f"{who}: weight_rule {value!r} is not one of {known}, nor a PriorityWeightStrategy")


def weight_of(task: BaseOperator) -> int:
    """Return the task's weight, by its strategy if it has one.

    :raises AuthoringError: if the strategy fails, or makes something that is no weight.
    """
    rule: Any = task.weight_rule
    if isinstance(rule, str):
        return task.priority_weight
    who = f"task {task.task_id!r}" + (f" of DAG {task.dag.dag_id!r}" if task.dag is not None else "")
    try:
        weight = rule.get_weight(task)
    except Exception as error:
        remedy = "it is asked when the file is parsed, about the task alone"
        raise AuthoringError(
            f"{who}: weight rule {rule_name(rule)} raised {type(error).__name__}: {error}; {remedy}"
        ) from error
    if isinstance(weight, bool) or not isinstance(weight, int) or not -_MOST <= weight <= _MOST:
        raise AuthoringError(
            f"{who}: weight rule {rule_name(rule)} returned {weight!r}; return a whole number of at most {_MOST}"
        )
    return weight


def rule_name(rule: Any) -> str:
    """Return what lists show for a weight rule: its name in a manifest, else that of its class."""
    if isinstance(rule, str):
        return rule
    from windlass.registry import registry

    return registry().name_of(KIND, type(rule)) or type(rule).__qualname__
