"""SEMANTICS, section 3: manual runs: logical date, data interval, conf."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from testing.tests.conformance.steps import good

from windlass import DAG, Param, task
from windlass.errors import DagNotFound, ParamInvalid
from windlass_testing.virtual import START, VirtualInstallation

DAY = timedelta(days=1)


def dag(schedule: Any = None, **options: Any) -> DAG:
    with DAG("d", schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=UTC), **options) as made:
        good()
    return made


def test_the_logical_date_is_the_instant_of_the_trigger(windlass: VirtualInstallation) -> None:
    assert windlass.run(dag()).logical_date == START


def test_a_date_that_is_taken_moves_on_by_microseconds_until_it_is_free(windlass: VirtualInstallation) -> None:
    windlass.add(dag())
    dates = [windlass.trigger("d").logical_date - START for _ in range(3)]
    assert dates == [timedelta(microseconds=number) for number in range(3)]


@pytest.mark.parametrize(
    ("schedule", "start", "end"),
    [
        ("@daily", datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (timedelta(hours=6), START - timedelta(hours=6), START),
        (None, START, START),
    ],
    ids=["cron: the last complete period", "timedelta: up to the trigger", "none: the instant"],
)
def test_the_data_interval_of_a_manual_run(
    windlass: VirtualInstallation, schedule: Any, start: datetime, end: datetime
) -> None:
    windlass.add(dag(schedule), paused=True)
    shown = windlass.control.runs.preview("d")
    run = windlass.trigger("d")
    assert (run.data_interval_start, run.data_interval_end) == (start, end)
    assert (shown.data_interval_start, shown.data_interval_end) == (start, end)


def test_scheduled_and_manual_runs_live_side_by_side(windlass: VirtualInstallation) -> None:
    windlass.add(dag("@daily"))
    windlass.settle()
    windlass.run("d")
    windlass.pass_time(DAY)
    assert [(str(run.run_type), run.logical_date) for run in windlass.runs("d")] == [
        ("scheduled", datetime(2026, 2, 28, tzinfo=UTC)),
        ("scheduled", datetime(2026, 3, 1, tzinfo=UTC)),
        ("manual", START),
    ]
    assert {str(run.state) for run in windlass.runs("d")} == {"success"}


def test_conf_overrides_params_and_reaches_the_task(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, params={"size": 1, "colour": "red"}) as made:
        task(task_id="t")(lambda params, dag_run: [dict(params), dag_run.conf])()
    run = windlass.run(made, conf={"size": 2, "more": True})
    params = {"size": 2, "colour": "red", "more": True}  # what only the conf has is a param of the run as well
    assert windlass.xcom(run, "t") == [params, {"size": 2, "more": True}]


def test_conf_is_checked_against_the_params(windlass: VirtualInstallation) -> None:
    windlass.add(dag(params={"size": Param(1, type="integer", minimum=1)}))
    with pytest.raises(ParamInvalid, match="size"):
        windlass.trigger("d", conf={"size": 0})
    assert windlass.runs("d") == []


def test_a_run_of_an_unknown_dag_names_the_nearest(windlass: VirtualInstallation) -> None:
    with DAG("weather", schedule=None) as made:
        good()
    windlass.add(made)
    with pytest.raises(DagNotFound, match="weather"):
        windlass.trigger("weathr")
