"""``windlass assets``, and what ``explain`` and ``next-execution`` say of a DAG that waits for assets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from windlass.spec import (
    AssetCondition,
    AssetOrTimeSpec,
    AssetScheduleSpec,
    AssetSpec,
    CronIntervalSpec,
    DagSpec,
    TaskSpec,
)
from windlass_testing.installation import Installation
from windlass_testing.scripted import START

Windlass = Callable[..., Any]

ORDERS = AssetSpec(name="orders", uri="s3://shop/orders")
FOUND = AssetSpec(name="found", uri="", is_alias=True)
A, B = AssetCondition(asset="s3://shop/orders"), AssetCondition(asset="rates")
PRODUCER = DagSpec(dag_id="producer", tasks=(TaskSpec(task_id="load", outlets=(ORDERS, FOUND)),))


def consumer(condition: AssetCondition, dag_id: str = "consumer", **settings: Any) -> DagSpec:
    given = {"schedule": AssetScheduleSpec(condition=condition), "schedule_summary": "Asset", **settings}
    return DagSpec(dag_id=dag_id, tasks=(TaskSpec(task_id="t"),), **given)


BOTH = consumer(AssetCondition(all_of=(A, B)))


def test_the_assets_that_dags_mention_are_listed_with_both_ends(windlass: Windlass, here: Installation) -> None:
    here.add(PRODUCER, BOTH, consumer(AssetCondition(alias="found"), "aliased"))
    rows = {(row["uri"], row["is_alias"]): row for row in windlass("assets", "list", "--json").data}
    assert list(rows) == [("rates", False), ("s3://shop/orders", False), ("found", True)]
    orders = rows["s3://shop/orders", False]
    assert orders["name"] == "orders"
    assert (orders["producers"], orders["consumers"], orders["updated_at"]) == (["producer.load"], ["consumer"], None)
    assert rows["found", True]["consumers"] == ["aliased"]
    assert windlass("assets", "list").out.splitlines()[0].split()[:3] == ["uri", "name", "is_alias"]


@pytest.mark.parametrize("command", ["show", "details"])
def test_an_asset_is_shown_by_uri_or_name_with_what_its_consumers_lack(
    windlass: Windlass, here: Installation, command: str
) -> None:
    here.add(PRODUCER, BOTH)
    windlass("assets", "create-event", "orders")
    for name in ("orders", "s3://shop/orders"):
        found = windlass("assets", command, name, "--json").data
        assert found["waits"] == [{"dag_id": "consumer", "paused": False, "waits_for": "'rates'"}]
    assert "consumer  no      'rates'" in windlass("assets", "show", "orders").out


def test_an_unknown_asset_is_not_found_with_the_nearest_name(windlass: Windlass, here: Installation) -> None:
    here.add(PRODUCER, BOTH)
    for command in ("show", "create-event", "materialize"):
        done = windlass("assets", command, "rate")
        assert done.code == 4
        assert "asset 'rate' is not known. Did you mean 'rates'?" in done.err


def test_an_event_from_outside_names_its_author_and_makes_a_run(windlass: Windlass, here: Installation) -> None:
    here.add(consumer(B))
    created = windlass("assets", "create-event", "rates", "--extra", '{"eur": 1.1}', "--json")
    assert "no scheduler is running" in created.err
    assert created.data["extra"] == {"eur": 1.1}
    assert created.data["created_by"].startswith("cli:")
    assert created.data["consumed"] == {"consumer": None}
    here.settle()
    [run] = windlass("runs", "list", "consumer", "--json").data
    assert (run["run_type"], run["state"]) == ("asset_triggered", "success")
    [event] = windlass("assets", "events", "rates", "--json").data
    assert event["consumed"] == {"consumer": run["run_id"]}
    [same] = windlass("assets", "events", "--run", "consumer", run["run_id"], "--json").data
    assert same == event


def test_what_still_waits_is_marked_for_people(windlass: Windlass, here: Installation) -> None:
    here.add(BOTH)
    windlass("assets", "create-event", "rates")
    assert windlass("assets", "events").out.splitlines()[1].endswith("consumer (waits)")


def test_repeating_with_the_same_key_has_no_effect(windlass: Windlass, here: Installation) -> None:
    here.add(consumer(B))
    first = windlass("assets", "create-event", "rates", "--idempotency-key", "k", "--json").data
    assert windlass("assets", "create-event", "rates", "--idempotency-key", "k", "--json").data == first
    other = windlass("assets", "create-event", "rates", "--extra", '{"n": 1}', "--idempotency-key", "k")
    assert other.code == 1
    assert "was used for another command" in other.err


def test_through_an_alias_an_event_may_be_of_a_new_asset(windlass: Windlass, here: Installation) -> None:
    here.add(PRODUCER, consumer(AssetCondition(alias="found"), "aliased"))
    assert windlass("assets", "create-event", "s3://new", "--alias", "lost").code == 4
    assert windlass("assets", "create-event", "s3://new", "--alias", "found").code == 0
    here.settle()
    assert len(windlass("runs", "list", "aliased", "--json").data) == 1
    assert [row["uri"] for row in windlass("assets", "events", "found", "--json").data] == ["s3://new"]
    assert "s3://new" in {row["uri"] for row in windlass("assets", "list", "--json").data}
    alone = windlass("assets", "create-event", "found")
    assert alone.code == 2
    assert "'found' is an alias" in alone.err


def test_bad_extra_is_refused(windlass: Windlass, here: Installation) -> None:
    here.add(consumer(B))
    assert windlass("assets", "create-event", "rates", "--extra", "[1]").code == 2
    large = windlass("assets", "create-event", "rates", "--extra", f'{{"text": "{"x" * 70_000}"}}')
    assert large.code == 2
    assert "the limit is 65,536" in large.err


def test_nothing_matched_is_5(windlass: Windlass, here: Installation) -> None:
    here.add(consumer(B))
    assert windlass("assets", "events").code == 0
    assert windlass("assets", "events", "rates").code == 5


def test_materialize_runs_the_dag_that_produces_an_asset(windlass: Windlass, here: Installation) -> None:
    here.add(PRODUCER, BOTH)
    assert windlass("assets", "materialize", "orders", "--dry-run", "--json").data["dag_id"] == "producer"
    assert windlass("runs", "list", "--json").data == []
    assert windlass("assets", "materialize", "orders", "--json").data["run_type"] == "manual"
    nobody = windlass("assets", "materialize", "rates")
    assert nobody.code == 4
    assert "no task has 'rates' among its outlets; `windlass assets create-event`" in nobody.err
    here.add(DagSpec(dag_id="other", tasks=(TaskSpec(task_id="t", outlets=(ORDERS,)),)), file="other.py")
    several = windlass("assets", "materialize", "orders")
    assert several.code == 1
    assert "produced by other, producer; choose one with --dag-id" in several.err
    assert windlass("assets", "materialize", "orders", "--dag-id", "other", "--json").data["dag_id"] == "other"
    assert windlass("assets", "materialize", "orders", "--dag-id", "consumer").code == 4


# --- explain, next-execution


def test_explain_names_what_is_missing_and_the_cheapest_way(windlass: Windlass, here: Installation) -> None:
    here.add(PRODUCER, BOTH)
    out = windlass("explain", "consumer").out
    assert "it waits for an update of 's3://shop/orders' and 'rates'" in out
    assert "→ windlass assets materialize s3://shop/orders" in out
    assert "→ windlass assets create-event rates" in out
    windlass("assets", "create-event", "orders")
    here.settle()
    out = windlass("explain", "consumer").out
    assert "it waits for an update of 'rates'" in out
    assert "shop" not in out


def test_explain_takes_the_shorter_way_of_an_or(windlass: Windlass, here: Installation) -> None:
    c = AssetCondition(asset="c d")
    here.add(consumer(AssetCondition(any_of=(AssetCondition(all_of=(A, B)), c))))
    out = windlass("explain", "consumer").out
    assert "('s3://shop/orders' and 'rates') or 'c d'" in out
    assert out.count("→ windlass assets") == 1
    assert "→ windlass assets create-event 'c d'" in out


def test_explain_says_that_events_of_a_pause_do_not_count(windlass: Windlass, here: Installation) -> None:
    here.add(consumer(B), paused=True)
    windlass("assets", "create-event", "rates")
    windlass("dags", "unpause", "consumer")
    here.settle()
    assert "1 event(s) came while the DAG was paused: they call for no run, and go to the next one" in (
        windlass("explain", "consumer").out
    )


def test_explain_says_when_max_active_runs_holds_the_run_back(windlass: Windlass, here: Installation) -> None:
    here.add(consumer(B, max_active_runs=1))
    windlass("assets", "create-event", "rates")
    here.scheduler.step()
    here.scheduler.step()
    windlass("assets", "create-event", "rates")
    here.scheduler.step()
    out = windlass("explain", "consumer").out
    assert "its assets have been updated" in out
    assert "max_active_runs (1) is reached; one run takes all the events when one has ended" in out
    assert "as soon as max_active_runs allows" in windlass("dags", "next-execution", "consumer").out


def test_next_execution_says_what_is_waited_for(windlass: Windlass, here: Installation) -> None:
    here.add(BOTH)
    found = windlass("dags", "next-execution", "consumer", "--json").data
    assert found["run_after"] is None
    assert found["reason"] == "it waits for an update of 's3://shop/orders' and 'rates'"


def test_next_execution_of_asset_or_time_is_the_time_or_earlier(windlass: Windlass, here: Installation) -> None:
    schedule = AssetOrTimeSpec(condition=B, timetable=CronIntervalSpec(expression="0 0 * * *"))
    here.add(consumer(B, schedule=schedule, start_date=START))
    found = windlass("dags", "next-execution", "consumer", "--json").data
    assert found["run_after"].startswith("2026-03-03T00:00:00")
    assert found["reason"] == "or earlier, upon an update of 'rates'"
    assert "it waits for an update of 'rates'" in windlass("explain", "consumer").out
    assert "its next run is due at 2026-03-03" in windlass("explain", "consumer").out
