"""Choosing a path, joining again, and a condition that stops everything behind it."""

from __future__ import annotations

from windlass import Param, dag, task


@dag(schedule=None, params={"rows": Param(120, type="integer", minimum=0)})
def branching(rows: int = 120) -> None:
    @task.short_circuit
    def has_rows(rows: int) -> bool:
        return rows > 0

    @task.branch
    def choose(rows: int) -> str:
        return "load_in_bulk" if rows > 100 else "load_one_by_one"

    @task
    def load_in_bulk() -> str:
        return "bulk"

    @task
    def load_one_by_one() -> str:
        return "single"

    @task(trigger_rule="none_failed_min_one_success")
    def report() -> str:
        return "loaded"

    has_rows(rows) >> choose(rows) >> [load_in_bulk(), load_one_by_one()] >> report()


branching()
