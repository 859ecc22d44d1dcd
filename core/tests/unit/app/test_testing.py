"""`dag.test()` runs one run: the one that was asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from windlass import DAG, task


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
