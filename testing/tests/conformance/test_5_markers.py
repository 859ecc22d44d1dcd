"""SEMANTICS, section 5: clearing an ExternalTaskMarker clears what it marks in another DAG."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from testing.tests.conformance.steps import MONDAY, good

from windlass import DAG, task
from windlass.errors import AuthoringError, UsageError
from windlass.operators import ExternalTaskMarker
from windlass.states import TaskState
from windlass_testing.virtual import VirtualInstallation

DAY = timedelta(days=1)


def marker(dag_id: str = "report", task_id: str = "read", **arguments: Any) -> ExternalTaskMarker:
    return ExternalTaskMarker(
        **{"task_id": "marker", "external_dag_id": dag_id, "external_task_id": task_id, **arguments}
    )


def sales(*markers: Any, **arguments: Any) -> DAG:
    """``load >> marker``: the marker that is made of ``arguments``."""
    with DAG("sales", schedule=None) as dag:
        good.override(task_id="load")() >> marker(**arguments)
    return dag


def report() -> DAG:
    """``before >> read >> write``, of which ``read`` is marked."""
    with DAG("report", schedule=None) as dag:
        good.override(task_id="before")() >> good.override(task_id="read")() >> good.override(task_id="write")()
    return dag


def named(windlass: VirtualInstallation, dag_id: str, **options: Any) -> list[str]:
    """Return what a clear would take, as ``dag.task``."""
    return [f"{one.dag_id}.{one.task_id}" for one in windlass.control.tasks.select(dag_id, **options).tasks]


def test_the_marked_task_is_cleared_with_what_lies_downstream_of_it(windlass: VirtualInstallation) -> None:
    runs = [windlass.run(dag, logical_date=MONDAY) for dag in (sales(), report())]
    other = windlass.run("report", logical_date=MONDAY + DAY)
    windlass.clear(runs[0], "load", downstream=True)
    assert windlass.states(runs[1]) == {"before": "success", "read": "none", "write": "none"}
    assert set(windlass.states(other).values()) == {"success"}
    for run in runs:
        assert windlass.end_of(run).state == "success"
    tries = {name: windlass.task(runs[1], name).try_number for name in ("before", "read", "write")}
    assert tries == {"before": 1, "read": 2, "write": 2}


def test_a_clear_that_does_not_reach_the_marker_stays_in_its_dag(windlass: VirtualInstallation) -> None:
    for dag in (sales(), report()):
        windlass.run(dag, logical_date=MONDAY)
    assert named(windlass, "sales", task_regex="load") == ["sales.load"]
    assert named(windlass, "sales", task_regex="load", downstream=True) == [
        "sales.load", "sales.marker", "report.read", "report.write",
    ]  # fmt: skip


def test_the_states_that_are_asked_for_hold_in_the_other_dag_too(windlass: VirtualInstallation) -> None:
    for dag in (sales(), report()):
        windlass.run(dag, logical_date=MONDAY)
    states = [TaskState.FAILED]
    assert named(windlass, "sales", states=states) == []
    states = [TaskState.SUCCESS]
    assert len(named(windlass, "sales", states=states)) == 4


def test_templates_mean_what_the_last_attempt_has_rendered(windlass: VirtualInstallation) -> None:
    dag = sales(dag_id="{{ params.other }}", logical_date="{{ (logical_date + macros.timedelta(days=1)).isoformat() }}")
    windlass.add(report())
    later = windlass.run("report", logical_date=MONDAY + DAY)
    run = windlass.run(dag, logical_date=MONDAY, conf={"other": "report"})
    windlass.clear(run, "marker")
    assert windlass.states(later)["read"] == "none"


def test_a_marker_that_never_ran_means_what_it_says_without_a_template(windlass: VirtualInstallation) -> None:
    windlass.run(report(), logical_date=MONDAY)
    windlass.add(sales())
    windlass.trigger("sales", logical_date=MONDAY)
    assert named(windlass, "sales", task_regex="marker") == ["sales.marker", "report.read", "report.write"]


def test_one_that_never_ran_and_needs_rendering_is_named(windlass: VirtualInstallation) -> None:
    windlass.add(sales(external_task_id="{{ params.x }}"))
    windlass.trigger("sales", logical_date=MONDAY)
    selected = windlass.control.tasks.select("sales")
    assert selected.notes == (
        "what sales.marker marks is not cleared: it has never run, and its external_task_id is known only then",
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"external_dag_id": "nowhere"}, "DAG 'nowhere' is not known"),
        ({"external_task_id": "reads"}, "DAG 'report' has no task 'reads'"),
        ({"logical_date": "2026-04-01"}, "DAG 'report' has no run of 2026-04-01T00:00:00+00:00"),
        ({"logical_date": "tomorrow"}, "its logical_date 'tomorrow' is no date"),
    ],
)
def test_a_marker_that_leads_nowhere_is_named_and_the_rest_is_cleared(
    windlass: VirtualInstallation, arguments: dict[str, Any], why: str
) -> None:
    windlass.run(report(), logical_date=MONDAY)
    windlass.run(sales(**arguments), logical_date=MONDAY)
    selected = windlass.control.tasks.select("sales")
    assert [one.task_id for one in selected.tasks] == ["load", "marker"]
    [note] = selected.notes
    assert note.startswith("what sales.marker marks is not cleared: ")
    assert why in note


def test_a_dag_that_the_caller_may_not_see_is_as_if_it_were_not_there(windlass: VirtualInstallation) -> None:
    for dag in (sales(), report()):
        windlass.run(dag, logical_date=MONDAY)
    selected = windlass.control.tasks.select("sales", visible=lambda dag_id: dag_id == "sales")
    assert [one.dag_id for one in selected.tasks] == ["sales", "sales"]
    assert "'report' is not known" in selected.notes[0]


def test_every_instance_of_a_mapped_marker_marks_its_own(windlass: VirtualInstallation) -> None:
    with DAG("sales", schedule=None) as dag:
        ExternalTaskMarker.partial(task_id="marker", external_dag_id="report").expand(
            external_task_id=["before", "write"]
        )
    windlass.run(report(), logical_date=MONDAY)
    windlass.run(dag, logical_date=MONDAY)
    run = windlass.runs("sales")[0]
    found = windlass.control.tasks.select("sales", run_ids=[run.run_id], map_indexes=[1])
    assert [one.task_id for one in found.tasks] == ["marker", "write"]


# --- Chains


def ring(windlass: VirtualInstallation, length: int, *, closed: bool, **arguments: Any) -> None:
    """Run DAGs ``d0``, ``d1``, … of which each marks the next, and in a ring the last the first."""
    for number in range(length):
        with DAG(f"d{number}", schedule=None) as dag:
            first = good.override(task_id="first")()
            if closed or number + 1 < length:
                first >> marker(f"d{(number + 1) % length}", "first", **arguments)
        windlass.run(dag, logical_date=MONDAY)


def test_markers_are_followed_from_dag_to_dag(windlass: VirtualInstallation) -> None:
    ring(windlass, 3, closed=False)
    assert named(windlass, "d0", task_regex="marker") == [
        "d0.marker", "d1.first", "d1.marker", "d2.first",
    ]  # fmt: skip


def test_dags_that_mark_each_other_come_to_an_end(windlass: VirtualInstallation) -> None:
    ring(windlass, 2, closed=True)
    assert sorted(named(windlass, "d0", task_regex="marker")) == ["d0.first", "d0.marker", "d1.first", "d1.marker"]


def test_ten_markers_in_a_row_are_followed_and_no_more(windlass: VirtualInstallation) -> None:
    ring(windlass, 12, closed=False)
    assert len(named(windlass, "d1", task_regex="marker")) == 20
    with pytest.raises(UsageError, match=r"more than 10 ExternalTaskMarkers .* d0\.marker -> d1\.marker -> .*d10"):
        windlass.control.tasks.select("d0", task_regex="marker")


def test_the_first_marker_says_how_many(windlass: VirtualInstallation) -> None:
    ring(windlass, 3, closed=False, recursion_depth=1)
    with pytest.raises(UsageError, match=r"more than 1 .*: d0\.marker -> d1\.marker; raise the recursion_depth"):
        windlass.control.tasks.select("d0", task_regex="marker")


@pytest.mark.parametrize("depth", [0, -1, "x"])
def test_a_depth_is_a_number_from_one_on(depth: object) -> None:
    with DAG("d", schedule=None), pytest.raises(AuthoringError, match="recursion_depth must be a whole number"):
        marker(recursion_depth=depth)


def test_what_a_reference_says_is_known_when_it_has_run(windlass: VirtualInstallation) -> None:
    @task
    def which() -> str:
        return "write"

    with DAG("sales", schedule=None) as dag:
        marker(external_task_id=which())
    windlass.run(report(), logical_date=MONDAY)
    windlass.run(dag, logical_date=MONDAY)
    assert named(windlass, "sales", task_regex="marker") == ["sales.marker", "report.write"]
