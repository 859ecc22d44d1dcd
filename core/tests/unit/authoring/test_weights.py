"""Priority weights by a strategy: computed when the DAG is made into data."""

from __future__ import annotations

from typing import Any

import pytest

from windlass import DAG
from windlass.backends import PriorityWeightStrategy
from windlass.errors import AuthoringError
from windlass.interfaces.provider import Provider
from windlass.operators import EmptyOperator
from windlass.planning.priority import priorities
from windlass.registry.catalog import Catalog
from windlass.registry.lookup import Registry


class Fanout(PriorityWeightStrategy):
    """Ten for each direct downstream task."""

    def __init__(self, factor: int = 10) -> None:
        self.factor = factor

    def get_weight(self, task: Any) -> int:  # noqa: ANN401 - an operator
        return self.factor * len(task.downstream_task_ids)


class Odd(PriorityWeightStrategy):
    """Makes whatever it was given."""

    def __init__(self, made: Any) -> None:  # noqa: ANN401 - what is tested
        self.made = made

    def get_weight(self, task: Any) -> int:  # noqa: ANN401 - an operator
        if isinstance(self.made, Exception):
            raise self.made
        return self.made  # type: ignore[no-any-return]


def dag(rule: Any) -> DAG:  # noqa: ANN401 - what is tested
    with DAG("d") as made:
        first = EmptyOperator(task_id="first", weight_rule=rule, priority_weight=3)
        first >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]
    return made


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a provider that brings a strategy."""
    provider = Provider(name="acme", priority_weight_strategies={"acme.fanout": f"{__name__}:Fanout"})
    registry = Registry(lambda: Catalog((provider,), ()))
    monkeypatch.setattr("windlass.registry.registry", lambda: registry)
    monkeypatch.setattr("windlass.registry.lookup", registry.lookup)


@pytest.mark.parametrize("rule", [Fanout, Fanout()], ids=["class", "instance"])
def test_a_strategy_of_the_dags_own_code_makes_the_weight(rule: Any) -> None:  # noqa: ANN401 - what is tested
    spec = dag(rule).to_spec()
    first = spec.by_id["first"]
    assert (first.priority_weight, first.weight_rule) == (20, "Fanout")
    assert priorities(spec) == {"first": 20, "a": 1, "b": 1}, "nothing is added to what a strategy says"


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(("rule", "weight"), [("acme.fanout", 20), (Fanout(5), 10)], ids=["name", "instance"])
def test_a_strategy_of_a_provider_is_known_by_its_name(rule: Any, weight: int) -> None:  # noqa: ANN401 - what is tested
    first = dag(rule).to_spec().by_id["first"]
    assert (first.priority_weight, first.weight_rule) == (weight, "acme.fanout")


@pytest.mark.usefixtures("acme")
def test_an_unknown_rule_is_an_error_that_names_what_there_is() -> None:
    with pytest.raises(AuthoringError, match=r"task 'first': weight_rule 'downhill' is not one of .*acme\.fanout"):
        dag("downhill")


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (1.5, "returned 1.5; return a whole number"),
        (True, "returned True"),
        (2**31, "of at most 2147483647"),
        (AttributeError("no try_number"), "raised AttributeError: no try_number; it is asked when the file is parsed"),
    ],
)
def test_a_strategy_that_misbehaves_is_an_error_of_its_task(made: Any, sentence: str) -> None:  # noqa: ANN401 - what is tested
    with pytest.raises(AuthoringError) as caught:
        dag(Odd(made)).to_spec()
    assert str(caught.value).startswith("task 'first' of DAG 'd': weight rule Odd ")
    assert sentence in str(caught.value)
