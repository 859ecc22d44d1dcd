from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass_testing import DagBag, RunDag, RunTask, SetConnection, VirtualClock

ORDERS = [{"amount": 700}, {"amount": 500}]


def test_every_dag_can_be_imported(dag_bag: DagBag) -> None:
    assert list(dag_bag) == ["orders"]


def test_a_good_day(run_dag: RunDag) -> None:
    result = run_dag("orders", fakes={"delivered": None, "fetch": ORDERS})
    assert result.state == "success"
    assert result.xcom("total") == 1200
    assert result.states["celebrate"] == "success"
    assert result.states["carry_on"] == "skipped"


@pytest.mark.parametrize(("amount", "next_task"), [(1001, "celebrate"), (1000, "carry_on")])
def test_the_decision(run_task: RunTask, dag_bag: DagBag, amount: int, next_task: str) -> None:
    result = run_task(dag_bag["orders"].get_task("judge"), xcoms={"total": amount})
    assert result.result == next_task


def test_a_shop_that_is_down_is_asked_three_times_within_an_hour(
    run_dag: RunDag, connection: SetConnection, virtual_clock: VirtualClock
) -> None:
    connection("shop", "https://ada:s3cr3t@shop.example")
    connection("on_call", conn_type="generic", login="Grace")
    began = virtual_clock.now()
    result = run_dag("orders", logical_date=datetime(2026, 3, 1, tzinfo=UTC), fakes={"delivered": None})
    assert result.state == "failed"
    assert result.task("fetch").try_number == 3
    assert result.task("fetch").reason == "ConnectionError: shop.example does not answer for 2026-03-01"
    assert virtual_clock.now() - began == timedelta(hours=1)
    [call] = result.callbacks
    assert call.event == "run_failure"
    assert "call Grace: failed at the end of the graph" in call.log


def test_a_delivery_that_does_not_come(run_dag: RunDag, monkeypatch: pytest.MonkeyPatch, dag_bag: DagBag) -> None:
    sensor = dag_bag["orders"].get_task("delivered")
    monkeypatch.setattr(sensor, "python_callable", lambda: False)
    result = run_dag("orders", fakes={"fetch": ORDERS}, connections={"on_call": "generic://Grace@"})
    assert result.states["delivered"] == "failed"
    assert "not there after" in result.task("delivered").reason
