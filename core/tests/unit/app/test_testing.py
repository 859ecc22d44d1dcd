"""`dag.test()` runs one run: the one that was asked for."""

# ruff: noqa: ANN401 - what a context holds is untyped for authors

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from windlass import DAG, Asset, AssetAlias, task


@pytest.mark.parametrize("schedule", ["@daily", "@once", "@continuous", None])
def test_a_schedule_makes_no_run_beside_the_one_that_is_tested(schedule: str | None) -> None:
    ran: list[str] = []
    with DAG("scheduled", schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_runs=1) as dag:

        @task
        def note(run_id: str) -> None:
            ran.append(run_id)

        note()
    result = dag.test()
    assert result.state == "success"
    assert ran == [result.run_id]


class TestAssets:
    def test_what_tasks_say_of_their_outlets_is_in_the_result_and_readable_downstream(self) -> None:
        orders, found = Asset("orders", "s3://shop/orders"), AssetAlias("found")
        with DAG("producer") as dag:

            @task(outlets=[orders, found])
            def load(outlet_events: Any = None) -> None:
                outlet_events[orders].extra["rows"] = 7
                outlet_events[found].add(Asset("late"), extra={"n": 1})

            @task(inlets=[orders, found])
            def read(inlet_events: Any = None) -> list[Any]:
                return [inlet_events[orders][-1].extra, inlet_events["found"][0].uri, len(inlet_events["orders"])]

            load() >> read()
        result = dag.test()
        assert [(e.uri, e.alias, e.extra, e.source_task_id) for e in result.asset_events] == [
            ("s3://shop/orders", None, {"rows": 7}, "load"),
            ("late", "found", {"n": 1}, "load"),
        ]
        assert result.xcom("read") == [{"rows": 7}, "late", 1]

    def test_a_consumer_is_tested_with_the_events_that_trigger_it(self) -> None:
        orders = Asset("orders", "s3://shop/orders")
        with DAG("consumer", schedule=[orders]) as dag:

            @task
            def count(triggering_asset_events: Any = None) -> dict[str, int]:
                return {a.name: sum(e.extra["rows"] for e in es) for a, es in triggering_asset_events.items()}

            count()
        result = dag.test(asset_events={orders: [{"rows": 1}, {"rows": 2}], "rates": {"rows": 5}})
        assert result.run_id.startswith("asset_triggered__")
        assert result.xcom("count") == {"orders": 3, "rates": 5}
        assert dag.test().xcom("count") == {}
