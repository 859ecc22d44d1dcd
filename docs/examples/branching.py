"""Choosing a path, joining again, and a condition that stops everything behind it."""

from __future__ import annotations

from typing import Any

from windlass import Param, dag, task


@dag(schedule=None, params={"rows": Param(120, type="integer", minimum=0)})
def branching() -> None:
    @task.short_circuit
    def has_rows(params: dict[str, Any]) -> bool:
        return bool(params["rows"])

    @task.branch
    def choose(params: dict[str, Any]) -> str:
        return "load_in_bulk" if params["rows"] > 100 else "load_one_by_one"

    @task
    def load_in_bulk() -> str:
        return "bulk"

    @task
    def load_one_by_one() -> str:
        return "single"

    @task(trigger_rule="none_failed_min_one_success")
    def report() -> str:
        return "loaded"

    has_rows() >> choose() >> [load_in_bulk(), load_one_by_one()] >> report()


branching()
