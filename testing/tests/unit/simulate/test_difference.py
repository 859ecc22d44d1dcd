"""Two simulations side by side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from windlass.spec import CronIntervalSpec, DagSpec, TaskSpec
from windlass_testing.simulate.difference import Difference, compare
from windlass_testing.simulate.outcome import Simulation
from windlass_testing.simulate.world import simulate

FROM = datetime(2026, 3, 1, tzinfo=UTC)


def dag(dag_id: str = "d", minutes: str = "0", pool: str = "default_pool", **fields: Any) -> DagSpec:
    return DagSpec(
        dag_id=dag_id,
        tasks=(TaskSpec(task_id="a", pool=pool), TaskSpec(task_id="b", pool=pool)),
        schedule=CronIntervalSpec(expression=f"{minutes} * * * *"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        **fields,
    )


def run(*specs: DagSpec, **options: Any) -> Simulation:
    return simulate(specs, FROM, FROM + timedelta(hours=2), **options)


def changes(found: Difference) -> list[tuple[str, int, str]]:
    return [(row.dag_id, row.logical_date.hour, row.change) for row in found.runs]


def test_what_is_equal_makes_no_difference() -> None:
    found = compare(run(dag()), run(dag()))
    assert (found.dags, found.runs, found.waits, found.pools) == ((), (), (), ())
    assert found.summary == "no difference"
    assert found.before == found.after


def test_dags_come_and_go() -> None:
    found = compare(run(dag("old"), dag("same")), run(dag("same"), dag("new")))
    assert [(row.dag_id, row.change) for row in found.dags] == [("new", "added"), ("old", "removed")]
    assert [(row.before is None, row.after is None) for row in found.dags] == [(True, False), (False, True)]
    assert changes(found) == [("old", 23, "removed"), ("old", 0, "removed"), ("new", 23, "added"), ("new", 0, "added")]
    assert found.summary == "runs: 2 added, 2 removed, 0 changed"


def test_a_changed_schedule_moves_runs() -> None:
    found = compare(run(dag(minutes="0")), run(dag(minutes="0,30")))
    # 23:00 to 0:00 is two intervals now, and the run of 0:00 is due at 0:30 already.
    assert changes(found) == [
        ("d", 23, "removed"),
        ("d", 0, "changed"),
        ("d", 23, "added"),
        ("d", 0, "added"),
        ("d", 1, "added"),
    ]
    [row] = found.dags
    assert row.before is not None
    assert row.after is not None
    assert (row.before.runs, row.after.runs) == (2, 4)


def test_a_smaller_pool_shows_in_runs_waits_and_pools() -> None:
    spec = dag(pool="p")
    found = compare(run(spec, pools={"p": 2}), run(spec, pools={"p": 1}))
    assert changes(found) == [("d", 23, "changed"), ("d", 0, "changed")]
    first = found.runs[0]
    assert first.start_before == first.start_after == FROM
    assert (first.end_before, first.end_after) == (FROM + timedelta(minutes=1), FROM + timedelta(minutes=2))
    [wait] = found.waits
    assert (wait.task_id, wait.reason, wait.pool, wait.total_before, wait.total_after) == ("b", "pool", "p", 0.0, 120.0)
    pools = {row.name: row for row in found.pools}
    assert pools["p"].before is not None
    assert pools["p"].after is not None
    assert (pools["p"].before.slots, pools["p"].after.slots) == (2, 1)
    assert (found.before.tasks_waited, found.after.tasks_waited) == (0, 120.0)


def test_notes_say_which_side_they_are_about() -> None:
    slow = dag(max_active_runs=1, catchup=True)
    found = compare(run(slow, parallelism=1), run(slow, parallelism=1))
    assert found.notes == ()
    late = simulate([slow], FROM, FROM + timedelta(hours=2), pools={"default_pool": 0})
    assert compare(run(slow), late).notes[0].startswith("after: DAG 'd' is behind at the end")
