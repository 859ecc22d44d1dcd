"""A DAG that produces data, and DAGs that run when the data is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass import DAG, Asset, AssetAlias, task

Events = Mapping[Any, Any]

orders = Asset("orders", "s3://shop/orders")
rates = Asset("rates", "https://bank.example/rates")
extracts = AssetAlias("extracts")

with DAG("load_orders", schedule="@daily") as load_orders:

    @task(outlets=[orders])
    def load(outlet_events: Events) -> None:
        outlet_events[orders].extra["rows"] = 120

    @task(outlets=[extracts])
    def extract(ds: str, outlet_events: Events) -> None:
        outlet_events[extracts].add(Asset(f"s3://shop/extracts/{ds}"), extra={"day": ds})

    load() >> extract()

# All of a list are needed; `orders | rates` would be either.
with DAG("report", schedule=[orders, rates]) as report:

    @task
    def total(triggering_asset_events: Events) -> int:
        return sum(event.extra["rows"] for event in triggering_asset_events[orders])

    total()

with DAG("archive", schedule=extracts):

    @task
    def pack(triggering_asset_events: Events) -> list[str]:
        return [event.uri for event in triggering_asset_events[extracts]]

    pack()
