from __future__ import annotations

from datetime import UTC, datetime

import pytest

from windlass.errors import Conflict, DagNotFound, UsageError
from windlass.spec import CronIntervalSpec, DagSpec, ParamSpec, TaskSpec
from windlass_testing.installation import Installation

ETL = DagSpec(
    dag_id="etl",
    tasks=(
        TaskSpec(task_id="extract", owner="ann", operator="PythonOperator"),
        TaskSpec(task_id="load", upstream=("extract",), owner="bob"),
    ),
    schedule=CronIntervalSpec(expression="0 0 * * *"),
    schedule_summary="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=("finance", "daily"),
    params={"region": ParamSpec(value="eu")},
)


def dag(dag_id: str, **fields: object) -> DagSpec:
    return DagSpec(dag_id=dag_id, tasks=(TaskSpec(task_id="a"),), **fields)  # type: ignore[arg-type]


def test_the_list_is_by_id_and_comes_in_pages(here: Installation) -> None:
    here.add(dag("c"), dag("a"), dag("b"))
    first = here.control.dags.list(limit=2)
    assert [row.dag_id for row in first.items] == ["a", "b"]
    assert first.next is not None
    here.add(dag("aa"), file="other.py")  # a new row before the cursor moves nothing
    second = here.control.dags.list(limit=2, cursor=first.next)
    assert [row.dag_id for row in second.items] == ["c"]
    assert second.next is None


def test_a_row_shows_what_the_spec_says(here: Installation) -> None:
    here.add(ETL, paused=True)
    [row] = here.control.dags.list().items
    assert (row.schedule, row.owners, row.tags, row.paused) == ("@daily", ("ann", "bob"), ("finance", "daily"), True)


def test_tags_narrow_the_list(here: Installation) -> None:
    here.add(ETL, dag("other", tags=("daily",)))
    assert [row.dag_id for row in here.control.dags.list(tags=["daily", "finance"]).items] == ["etl"]


def test_a_stale_dag_is_listed_only_when_asked_for(here: Installation) -> None:
    here.add(ETL)
    here.add(file="dags.py")
    assert here.control.dags.list().items == ()
    assert [row.dag_id for row in here.control.dags.list(stale=True).items] == ["etl"]
    assert here.control.dags.details("etl").stale


def test_details_hold_params_and_the_next_run(here: Installation) -> None:
    here.add(ETL)
    details = here.control.dags.details("etl")
    assert details.params == {"region": "eu"}
    assert details.tasks == 2
    # Noon on 1 March, no run yet, no catchup: the latest complete day is due at once.
    assert details.next_run.logical_date == datetime(2026, 2, 28, tzinfo=UTC)
    assert details.next_run.run_after == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_dag_without_a_schedule_has_no_next_run_and_says_so(here: Installation) -> None:
    here.add(dag("manual"))
    following = here.control.dags.next_run("manual")
    assert following.run_after is None
    assert following.reason == "the schedule (None) wants no run"


def test_the_graph_has_edges_both_ways(here: Installation) -> None:
    here.add(ETL)
    extract, load = here.control.dags.graph("etl").tasks
    assert extract.downstream == ("load",)
    assert load.upstream == ("extract",)


def test_an_unknown_dag_is_an_error_with_the_nearest_names(here: Installation) -> None:
    here.add(dag("example_dag"))
    here.break_file("broken.py", "SyntaxError: invalid syntax")
    with pytest.raises(DagNotFound) as caught:
        here.control.dags.details("exmaple_dag")
    assert str(caught.value) == (
        "DAG 'exmaple_dag' is not known. Did you mean 'example_dag'? "
        "1 DAG file(s) could not be read: `windlass dags list-import-errors`. `windlass dags list` shows all"
    )


def test_what_is_not_visible_is_as_if_it_were_not_there(here: Installation) -> None:
    here.add(dag("public"), dag("publik"))

    def visible(dag_id: str) -> bool:
        return dag_id == "public"

    assert [row.dag_id for row in here.control.dags.list(visible=visible).items] == ["public"]
    with pytest.raises(DagNotFound) as caught:
        here.control.dags.details("publik", visible=visible)
    assert "'public'" in str(caught.value)
    with pytest.raises(DagNotFound) as caught:
        here.control.dags.details("publiq", visible=visible)
    assert str(caught.value) == "DAG 'publiq' is not known. Did you mean 'public'? `windlass dags list` shows all"


def test_pausing_is_told_once_and_wakes_the_scheduler(here: Installation) -> None:
    here.add(ETL)
    here.settle()
    assert here.control.dags.set_paused("etl", paused=True, actor="ann")
    assert not here.control.dags.set_paused("etl", paused=True, actor="ann")
    assert len(here.store.scheduler.signals()) == 1
    assert here.control.dags.details("etl").paused


def test_deleting_takes_the_runs_along(here: Installation) -> None:
    here.add(ETL)
    here.control.runs.trigger("etl", actor="ann")
    assert here.control.dags.count_runs("etl") == 1
    here.control.dags.delete("etl", actor="ann")
    with pytest.raises(DagNotFound):
        here.control.dags.details("etl")


def test_a_dag_with_a_running_task_is_not_deleted(here: Installation) -> None:
    here.add(dag("busy"))
    here.control.runs.trigger("busy", actor="ann")
    here.scheduler.step()
    here.scheduler.step()
    here.executor.claim()
    with pytest.raises(Conflict, match="'a' of DAG 'busy' is running"):
        here.control.dags.delete("busy", actor="ann")


def test_a_foreign_cursor_is_refused(here: Installation) -> None:
    with pytest.raises(UsageError, match="not one that this list gave out"):
        here.control.dags.list(cursor="nonsense")
