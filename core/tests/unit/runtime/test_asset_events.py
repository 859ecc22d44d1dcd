"""What a task sees of asset events, and how little it asks for."""

# ruff: noqa: ANN401 - what a context holds is untyped for authors
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass import DAG, Asset, AssetAlias, task
from windlass.authoring.operators.python import PythonOperator
from windlass.protocol import Query
from windlass.runtime.asset_events import EventList

START = datetime(2026, 3, 1, tzinfo=UTC)
ORDERS, FOUND = Asset("orders", "s3://orders"), AssetAlias("found")


def row(number: int, uri: str = "s3://orders", alias: str | None = None, **source: Any) -> dict[str, Any]:
    fields: dict[str, Any] = dict.fromkeys(
        ("source_dag_id", "source_run_id", "source_task_id", "source_map_index"), None
    )
    at = START + timedelta(minutes=number)
    return {"id": number, "uri": uri, "alias": alias, "extra": {"n": number}, "timestamp": at, **fields, **source}


def asked(lab: Any) -> list[tuple[int, int]]:
    return [(verb.offset, verb.limit) for verb in lab.session.asked if isinstance(verb, Query)]


def test_the_last_event_of_an_inlet_is_one_small_question(lab: Any, dag: DAG) -> None:
    lab.session.rows["asset_events"] = [row(number) for number in range(500)]

    @task(inlets=[ORDERS])
    def last(inlet_events: Any = None) -> list[int]:
        events = inlet_events[ORDERS]
        return [events[-1].extra["n"], events[-2]["extra"]["n"], events[0].id]

    last()
    assert lab.value(dag, "last") == [499, 498, 0]
    assert asked(lab) == [(0, 1), (1, 1), (0, 1)]


def test_a_long_history_is_read_in_pages(lab: Any, dag: DAG) -> None:
    lab.session.rows["asset_events"] = [row(number) for number in range(250)]

    @task(inlets=[ORDERS])
    def count(inlet_events: Any = None) -> list[Any]:
        events = inlet_events["orders"]
        return [len(events), sum(e.extra["n"] for e in events), [e.id for e in events[:2]], bool(events)]

    count()
    assert lab.value(dag, "count") == [250, sum(range(250)), [0, 1], True]
    assert asked(lab)[:4] == [(0, 100), (100, 100), (200, 100), (250, 100)]


def test_a_list_of_events_can_be_narrowed() -> None:
    every = EventList({"uri": "a"})
    some = every.after("2026-03-01").before(START + timedelta(days=1)).ascending(False).limit(3)
    assert some._filters == {
        "uri": "a",
        "after": START,
        "before": START + timedelta(days=1),
        "newest_first": True,
    }
    assert some._most == 3


def test_limits_and_orders_hold(lab: Any, dag: DAG) -> None:
    lab.session.rows["asset_events"] = [row(number) for number in range(5)]

    @task(inlets=[ORDERS])
    def narrowed(inlet_events: Any = None) -> list[Any]:
        events = inlet_events[ORDERS]
        newest = events.ascending(False)
        return [
            [e.id for e in events.limit(2)],
            events.limit(2)[-1].id,
            [e.id for e in newest.limit(2)],
            [newest[0].id, newest[-1].id],
        ]

    narrowed()
    assert lab.value(dag, "narrowed") == [[0, 1], 1, [4, 3], [4, 0]]


@pytest.mark.parametrize("index", [7, -8])
def test_an_event_that_is_not_there_is_an_index_error(lab: Any, dag: DAG, index: int) -> None:
    lab.session.rows["asset_events"] = [row(0)]

    @task(inlets=[ORDERS])
    def beyond(inlet_events: Any = None) -> None:
        inlet_events[ORDERS][index]

    beyond()
    assert "there is no event" in lab.finish(dag, "beyond").reason


def test_what_is_no_inlet_names_the_remedy(lab: Any, dag: DAG) -> None:
    @task(inlets=[ORDERS])
    def other(inlet_events: Any = None) -> None:
        inlet_events["rates"]

    other()
    assert "add it to inlets=" in lab.finish(dag, "other").reason


def test_a_run_that_no_asset_triggered_has_no_events_and_asks_nothing(lab: Any, dag: DAG) -> None:
    PythonOperator(task_id="t", python_callable=lambda **context: dict(context["triggering_asset_events"]))
    assert lab.value(dag, "t") == {}
    assert [query for query in lab.session.asked if getattr(query, "what", "") == "asset_events"] == []


class TestTriggered:
    @pytest.fixture
    def fed(self, lab: Any) -> DAG:
        lab.session.rows["asset_events"] = [
            row(1, source_dag_id="p", source_run_id="r1", source_task_id="load", source_map_index=-1),
            row(2),
            row(3, "s3://late", "found"),
        ]
        return DAG("d", schedule=[ORDERS, FOUND], auto_register=False)

    def seen(self, lab: Any, dag: DAG, look: Any) -> Any:
        def call(triggering_asset_events: Any) -> Any:
            return look(triggering_asset_events)

        PythonOperator(task_id="t", dag=dag, python_callable=call)
        return lab.value(dag, "t", run_type="asset_triggered")

    def test_the_events_stand_under_their_assets(self, lab: Any, fed: DAG) -> None:
        found = self.seen(lab, fed, lambda events: {a.name: [e.id for e in es] for a, es in events.items()})
        assert found == {"orders": [1, 2], "s3://late": [3]}
        assert lab.session.asked[0].filters == {"triggered": True, "newest_first": False}

    def test_they_are_found_by_asset_uri_name_and_alias(self, lab: Any, fed: DAG) -> None:
        keys = [ORDERS, "s3://orders", "orders", FOUND, Asset("s3://late")]
        assert self.seen(lab, fed, lambda events: [events[key][-1].id for key in keys]) == [2, 2, 2, 3, 3]

    def test_an_asset_without_an_event_is_a_key_error(self, lab: Any, fed: DAG) -> None:
        got = self.seen(
            lab, fed, lambda events: [events.get("rates", []), "rates" in events, AssetAlias("x") in events]
        )
        assert got == [[], False, False]

    def test_an_event_leads_to_where_it_came_from(self, lab: Any, fed: DAG) -> None:
        lab.session.rows["runs"] = [{"run_id": "r1", "data_interval_start": START, "state": "success"}]

        def look(events: Any) -> Any:
            first, second = events[ORDERS]
            run = first.source_dag_run
            return [run.run_id, run.data_interval_start.isoformat(), second.source_dag_run, second.xcom_pull(default=0)]

        assert self.seen(lab, fed, look) == ["r1", START.isoformat(), None, 0]

    def test_the_template_of_the_documentation(self, lab: Any, fed: DAG) -> None:
        lab.session.rows["runs"] = [{"run_id": "r1", "data_interval_start": START}]
        template = "{{ (triggering_asset_events.values() | first | first).source_dag_run.data_interval_start }}"
        PythonOperator(task_id="t", dag=fed, python_callable=lambda x: x, op_kwargs={"x": template})
        assert lab.value(fed, "t", run_type="asset_triggered") == str(START)
