"""SEMANTICS, section 3: timetables and priority strategies of plugins."""

# ruff: noqa: ANN401 - operators as the strategies see them
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from testing.tests.conformance.steps import good

from windlass import DAG, Asset
from windlass.backends import PriorityWeightStrategy
from windlass.control import BackfillRequest, BackfillRow
from windlass.errors import AuthoringError
from windlass.interfaces.provider import Provider
from windlass.operators import EmptyOperator
from windlass.registry.catalog import Catalog
from windlass.registry.lookup import Registry
from windlass.timetables import AssetOrTimeSchedule, DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass_testing.virtual import START, VirtualInstallation

HOUR = timedelta(hours=1)


class Every(Timetable):
    """Cuts time into pieces of some hours from ``earliest`` on; a manual run covers the hour before it."""

    def __init__(self, hours: int) -> None:
        self.hours = hours

    @property
    def summary(self) -> str:
        return f"every {self.hours} hours"

    def serialize(self) -> dict[str, Any]:
        return {"hours": self.hours}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        return cls(**data)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        last = last_automated_data_interval
        start = restriction.earliest if last is None else last.end
        if start is None or (restriction.latest is not None and start > restriction.latest):
            return None
        end = start + self.hours * HOUR
        return DagRunInfo(end, DataInterval(start, end))

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        return DataInterval(run_after - HOUR, run_after)


class Fanout(PriorityWeightStrategy):
    """Ten for each direct downstream task."""

    def get_weight(self, task: Any) -> int:
        return 10 * len(task.downstream_task_ids)


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a provider that brings both."""
    provider = Provider(
        name="acme",
        timetables={"acme.every": f"{__name__}:Every"},
        priority_weight_strategies={"acme.fanout": f"{__name__}:Fanout"},
    )
    registry = Registry(lambda: Catalog((provider,), ()))
    monkeypatch.setattr("windlass.registry.registry", lambda: registry)
    monkeypatch.setattr("windlass.registry.lookup", registry.lookup)


def dag(timetable: Timetable, **options: Any) -> DAG:
    with DAG("d", schedule=timetable, start_date=START, **options) as made:
        good()
    return made


def test_a_timetable_of_a_plugin_makes_the_runs_that_it_wants(windlass: VirtualInstallation, acme: None) -> None:
    windlass.add(dag(Every(5), catchup=True, end_date=START + 9 * HOUR))
    windlass.pass_time(timedelta(days=1))
    runs = [(start - START, end - START) for start, end in windlass.intervals("d")]
    assert runs == [(0 * HOUR, 5 * HOUR), (5 * HOUR, 10 * HOUR)]
    assert windlass.runs("d")[0].queued_at == START + 5 * HOUR


def test_a_timetable_of_a_plugin_says_the_interval_of_manual_runs(windlass: VirtualInstallation, acme: None) -> None:
    at = datetime(2026, 1, 1, 6, tzinfo=UTC)
    windlass.run(dag(Every(5)), logical_date=at)
    assert windlass.intervals("d") == [(at - HOUR, at)]


def backfill(windlass: VirtualInstallation, hours: int, **options: Any) -> BackfillRow:
    """Fill so many hours before the start, and let everything run."""
    request = BackfillRequest(dag_id="d", from_date=START - hours * HOUR, to_date=START - HOUR, **options)
    row = windlass.control.backfills.create(request, actor="ann")
    windlass.settle()
    return windlass.control.backfills.get(row.id)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_backfill_has_the_intervals_that_the_timetable_says(
    windlass: VirtualInstallation, acme: None, *, backwards: bool
) -> None:
    windlass.add(dag(Every(5)), paused=True)
    row = backfill(windlass, 23, backwards=backwards)
    assert (row.state, row.intervals, row.dealt, row.runs["success"]) == ("completed", 4, 4, 4)
    runs = [(start - START, end - START) for start, end in windlass.intervals("d")]
    assert runs == [(n * HOUR, (n + 5) * HOUR) for n in (-23, -18, -13, -8)]  # that from -3 is not complete


def test_a_timetable_that_fails_is_one_error_of_the_backfill(windlass: VirtualInstallation) -> None:
    class Standing(Every):
        def next_dagrun_info(self, **_: Any) -> DagRunInfo | None:
            return DagRunInfo.exact(START - 2 * HOUR)

    windlass.add(dag(Standing(5)), paused=True)
    row = backfill(windlass, 23)
    assert (row.state, row.intervals, row.dealt) == ("running", None, 0)
    assert "Standing' of DAG 'd' answered with a run for " in (row.error or "")
    assert not windlass.runs("d")


def test_a_timetable_of_a_plugin_may_stand_beside_assets(windlass: VirtualInstallation, acme: None) -> None:
    either = AssetOrTimeSchedule(timetable=Every(5), assets=[Asset("s3://orders")])
    with DAG("d", schedule=either, start_date=START, catchup=True) as made:
        good()
    windlass.add(made)
    windlass.pass_time(timedelta(hours=6))
    windlass.control.assets.create_event("s3://orders", actor="ann")
    windlass.settle()
    assert [run.run_type for run in windlass.runs("d")] == ["scheduled", "asset_triggered"]
    assert windlass.intervals("d")[0] == (START, START + 5 * HOUR)


def test_a_timetable_may_be_of_the_dag_folders_own_code(windlass: VirtualInstallation) -> None:
    windlass.add(dag(Every(5), catchup=True))
    windlass.pass_time(timedelta(hours=5))
    assert len(windlass.runs("d")) == 1


def test_a_timetable_that_loses_a_parameter_is_an_import_error(windlass: VirtualInstallation) -> None:
    class Forgetful(Every):
        def serialize(self) -> dict[str, Any]:
            return {"hours": self.hours + 1}

    with pytest.raises(AuthoringError, match="does not survive"):
        windlass.add(dag(Forgetful(5)))


@pytest.mark.parametrize("rule", [Fanout, Fanout(), "acme.fanout"], ids=["class", "instance", "name"])
def test_a_priority_strategy_of_a_plugin_decides_what_starts_first(
    windlass: VirtualInstallation, acme: None, rule: Any
) -> None:
    windlass.worker.parallelism = 1
    with DAG("d", schedule=None) as made:
        EmptyOperator(task_id="lonely", priority_weight=9, weight_rule="absolute")
        EmptyOperator(task_id="head", weight_rule=rule) >> EmptyOperator(task_id="tail")
    windlass.run(made)
    assert windlass.started() == ["head", "lonely", "tail"]
