"""DAG and task policies act on specs; whatever goes wrong with one names it, the DAG and the task."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from windlass.errors import PolicyViolation
from windlass.plugin import hookimpl
from windlass.registry import Catalog, PluginModules, Provider, Registry
from windlass.runtime.policies import Policies
from windlass.spec import DagSpec, TaskSpec

DAG = DagSpec(dag_id="sales", tasks=(TaskSpec(task_id="a"), TaskSpec(task_id="b", upstream=("a",))))


@pytest.fixture
def policies(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Policies]:
    def make(**providers: dict[str, Callable[..., object]]) -> Policies:
        found = []
        for name, hooks in providers.items():
            module = ModuleType(f"{name}_policies")
            for hook, function in hooks.items():
                setattr(module, hook, hookimpl(function))
            monkeypatch.setitem(sys.modules, module.__name__, module)
            found.append(Provider(name=name, policies=(module.__name__,)))
        return Policies(PluginModules(Registry(lambda: Catalog(tuple(found), ())), "policies"))

    return make


def test_a_task_policy_changes_every_task_it_wants(policies: Callable[..., Policies]) -> None:
    def three_retries(task: TaskSpec) -> TaskSpec | None:
        return msgspec.structs.replace(task, retries=3) if task.task_id == "a" else None

    applied = policies(acme={"task_policy": three_retries}).applied(DAG)
    assert [task.retries for task in applied.tasks] == [3, 0]
    assert [task.retries for task in DAG.tasks] == [0, 0]


def test_each_providers_policy_sees_what_the_one_before_it_made(policies: Callable[..., Policies]) -> None:
    def one_more(task: TaskSpec) -> TaskSpec:
        return msgspec.structs.replace(task, retries=task.retries + 1)

    def tagged(dag: DagSpec) -> DagSpec:
        return msgspec.structs.replace(dag, tags=(*dag.tags, str(dag.tasks[0].retries)))

    applied = policies(a={"task_policy": one_more, "dag_policy": tagged}, b={"task_policy": one_more}).applied(DAG)
    assert applied.tags == ("2",), "the DAG policies come after all task policies"


def test_without_policies_a_dag_stays_the_same_object(policies: Callable[..., Policies]) -> None:
    assert policies().applied(DAG) is DAG


def refuse(text: str) -> Callable[[Any], None]:
    def policy(dag: DagSpec) -> None:
        raise PolicyViolation(text)

    return policy


def fail(task: TaskSpec) -> None:
    raise KeyError("owner")


def rename(dag: DagSpec) -> DagSpec:
    return msgspec.structs.replace(dag, dag_id="other")


def rewire(task: TaskSpec) -> TaskSpec:
    return msgspec.structs.replace(task, upstream=("z",))


def mistake(dag: DagSpec) -> str:
    return dag.dag_id


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        (
            {"dag_policy": refuse("give it an owner")},
            "DAG 'sales': dag_policy of provider acme refuses it: give it an owner",
        ),
        (
            {"task_policy": fail},
            "DAG 'sales', task 'a': task_policy of provider acme failed: KeyError: 'owner'",
        ),
        ({"dag_policy": rename}, "dag_policy of provider acme renamed it to 'other', which a policy must not"),
        ({"task_policy": rewire}, "task_policy of provider acme changed its id or its upstream tasks"),
        ({"dag_policy": mistake}, "dag_policy of provider acme returned str, not a DagSpec or None"),
    ],
)
def test_a_policy_that_refuses_or_fails_is_named(
    policies: Callable[..., Policies], hooks: dict[str, Callable[..., object]], message: str
) -> None:
    with pytest.raises(PolicyViolation) as refusal:
        policies(acme=hooks).applied(DAG)
    assert message in str(refusal.value)


def test_a_policy_that_cannot_be_loaded_lets_no_dag_through() -> None:
    provider = Provider(name="acme", policies=("no_such_module_of_acme",))
    broken = Policies(PluginModules(Registry(lambda: Catalog((provider,), ())), "policies"))
    with pytest.raises(PolicyViolation, match=r"DAG 'sales' is not taken.*provider acme .*no_such_module_of_acme"):
        broken.applied(DAG)
