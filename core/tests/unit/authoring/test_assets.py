"""Assets as authors write them: expressions, ``@asset``, and the names of Airflow 2."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

import windlass
from windlass import DAG, Asset, AssetAlias, AssetAll, AssetAny, asset
from windlass.authoring import collect
from windlass.errors import AuthoringError
from windlass.spec import AssetCondition, AssetOrTimeSpec, AssetScheduleSpec
from windlass.timetables import AssetOrTimeSchedule

A, B, C = Asset("a"), Asset("b"), Asset("c", "s3://c")


def condition(schedule: object) -> AssetCondition:
    spec = DAG("d", schedule=schedule, auto_register=False).to_spec().schedule
    assert isinstance(spec, AssetScheduleSpec)
    return spec.condition


def leaf(uri: str) -> AssetCondition:
    return AssetCondition(asset=uri)


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        (A, leaf("a")),
        ([A], leaf("a")),
        ([A, C], AssetCondition(all_of=(leaf("a"), leaf("s3://c")))),
        ((A, B), AssetCondition(all_of=(leaf("a"), leaf("b")))),
        (A & B & C, AssetCondition(all_of=(leaf("a"), leaf("b"), leaf("s3://c")))),
        (AssetAny(A, B), AssetCondition(any_of=(leaf("a"), leaf("b")))),
        (A & (B | C), AssetCondition(all_of=(leaf("a"), AssetCondition(any_of=(leaf("b"), leaf("s3://c")))))),
        ((A & B) | C, AssetCondition(any_of=(AssetCondition(all_of=(leaf("a"), leaf("b"))), leaf("s3://c")))),
        ([A, B | C], AssetCondition(all_of=(leaf("a"), AssetCondition(any_of=(leaf("b"), leaf("s3://c")))))),
        (AssetAlias("x") | A, AssetCondition(any_of=(AssetCondition(alias="x"), leaf("a")))),
    ],
)
def test_a_schedule_of_assets_is_a_condition(schedule: object, wanted: AssetCondition) -> None:
    assert condition(schedule) == wanted


@pytest.mark.parametrize("kind", [AssetAll, AssetAny])
def test_a_condition_over_nothing_is_refused(kind: type[AssetAll]) -> None:
    with pytest.raises(AuthoringError, match="needs at least one asset"):
        kind()


def test_the_names_of_airflow_2() -> None:
    assert windlass.Dataset is Asset
    assert windlass.DatasetAlias is AssetAlias
    both = AssetOrTimeSchedule(timetable="@daily", datasets=[A])
    assert isinstance(both.spec, AssetOrTimeSpec)
    assert both.spec.condition == leaf("a")


@asset(uri="s3://shop/orders", schedule="@daily", extra={"v": 1}, tags=["shop"])
def orders() -> int:
    """Load the orders."""
    return 3


@asset(schedule=orders)
def report(self: Asset, context: Any, orders: Asset, elsewhere: Asset, factor: int = 2) -> list[Any]:  # noqa: ANN401
    return [self.name, orders.uri, elsewhere.uri, factor, len(context["triggering_asset_events"][orders])]


def test_an_asset_function_is_an_asset_and_a_dag_that_updates_it() -> None:
    assert (orders.name, orders.uri, orders.extra) == ("orders", "s3://shop/orders", {"v": 1})
    spec = orders.dag.to_spec()
    assert (spec.dag_id, spec.tags, spec.doc) == ("orders", ("shop",), "Load the orders.")
    [task] = spec.tasks
    assert (task.task_id, [out.uri for out in task.outlets]) == ("orders", ["s3://shop/orders"])
    result = orders.dag.test()
    assert result.xcom("orders") == 3
    assert [event.uri for event in result.asset_events] == ["s3://shop/orders"]


def test_an_asset_function_reads_the_assets_that_it_names() -> None:
    [task] = report.dag.to_spec().tasks
    assert [inlet.uri for inlet in task.inlets] == ["s3://shop/orders", "elsewhere"]
    result = report.dag.test(asset_events={orders: [{}, {}]})
    assert result.xcom("report") == ["report", "s3://shop/orders", "elsewhere", 2, 2]


def test_an_asset_function_is_found_in_its_file_and_not_called() -> None:
    collect()

    @asset(schedule=None, name="named", dag_id="other")
    def plain() -> None: ...

    assert [dag.dag_id for dag in collect(ModuleType("empty"))] == ["other"]
    assert plain.name == "named"
    with pytest.raises(AuthoringError, match="@asset 'named' is not called: its DAG 'other' runs the function"):
        plain()


def test_an_asset_function_without_names_is_refused() -> None:
    with pytest.raises(AuthoringError, match=r"cannot take \*args or \*\*kwargs"):

        @asset(schedule=None)
        def vague(**kwargs: object) -> None: ...

    collect()
