"""Which queued runs start, run timeouts, and pausing after failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass.planning.runs import (
    BackfillLimit,
    DagLimit,
    choose_runs,
    make_run_id,
    pauses_after_failures,
    timeout_due,
)
from windlass.ports import RunFacts
from windlass.states import RunState, RunType

START = datetime(2026, 3, 1, tzinfo=UTC)
OK, BAD = RunState.SUCCESS, RunState.FAILED


def run(number: int, day: int, dag_id: str = "d", backfill: int | None = None, kind: RunType | None = None) -> RunFacts:
    logical = START + timedelta(days=day)
    run_type = kind or (RunType.SCHEDULED if backfill is None else RunType.BACKFILL)
    return RunFacts(
        id=number,
        dag_id=dag_id,
        run_id=make_run_id(run_type, logical),
        run_type=run_type,
        state=RunState.QUEUED,
        logical_date=logical,
        data_interval_start=logical,
        data_interval_end=logical + timedelta(days=1),
        run_after=logical + timedelta(days=1),
        queued_at=START,
        start_date=None,
        end_date=None,
        spec_version="s",
        code_version="c",
        bundle="b",
        file="f.py",
        generation=0,
        backfill_id=backfill,
    )


def limits(most: int = 16, *, paused: bool = False) -> dict[str, DagLimit]:
    return {"d": DagLimit(max_active_runs=most, is_paused=paused), "e": DagLimit(max_active_runs=1)}


def test_runs_start_oldest_first_until_max_active_runs() -> None:
    choice = choose_runs([run(1, 9), run(2, 3), run(3, 5)], [run(9, 0)], limits(3), {})
    assert [started.id for started in choice.started] == [2, 3]
    assert choice.blocked == {1: "max_active_runs (3) of DAG `d` is reached"}


def test_a_full_dag_holds_up_no_other_dag() -> None:
    choice = choose_runs([run(1, 0), run(2, 5, "e")], [run(9, 0)], limits(1), {})
    assert [started.id for started in choice.started] == [2]


def test_minus_one_means_any_number() -> None:
    assert len(choose_runs([run(number, number) for number in range(50)], [], limits(-1), {}).started) == 50


@pytest.mark.parametrize("kind", [RunType.SCHEDULED, RunType.MANUAL, RunType.ASSET_TRIGGERED])
def test_a_paused_dag_starts_none_of_its_own_runs(kind: RunType) -> None:
    choice = choose_runs([run(1, 0, kind=kind)], [], limits(paused=True), {})
    assert choice.started == []
    assert choice.blocked == {1: "DAG `d` is paused; `windlass dags unpause d` starts its runs"}


def test_a_backfill_goes_on_while_its_dag_is_paused_or_full() -> None:
    backfills = {7: BackfillLimit(max_active_runs=2)}
    queued = [run(number, number, backfill=7) for number in (1, 2, 3)]
    for dags in (limits(paused=True), limits(0)):
        choice = choose_runs(queued, [run(9, 0)], dags, backfills)
        assert [started.id for started in choice.started] == [1, 2]
        assert choice.blocked == {3: "max_active_runs (2) of backfill 7 is reached"}


def test_backfill_runs_take_no_place_of_the_dags_own() -> None:
    backfills = {7: BackfillLimit(max_active_runs=2), 8: BackfillLimit(max_active_runs=1)}
    running = [run(9, 0, backfill=7), run(10, 1, backfill=7)]
    choice = choose_runs([run(1, 2), run(2, 3, backfill=7), run(3, 4, backfill=8)], running, limits(1), backfills)
    assert [started.id for started in choice.started] == [1, 3]


def test_a_backwards_backfill_starts_with_its_latest_run() -> None:
    backfills = {7: BackfillLimit(max_active_runs=1, backwards=True)}
    choice = choose_runs([run(1, 1, backfill=7), run(2, 2, backfill=7)], [], limits(), backfills)
    assert [started.id for started in choice.started] == [2]


def test_runs_of_what_is_not_known_stay_queued_and_say_so() -> None:
    choice = choose_runs([run(1, 0, "gone"), run(2, 0, backfill=4)], [], limits(), {})
    assert choice.started == []
    assert choice.blocked == {
        1: "DAG `gone` is not known; it may have been removed from its file",
        2: "backfill 4 is not known; it may have been cancelled",
    }


def test_the_order_of_the_queue_does_not_matter() -> None:
    queued = [run(number, 0) for number in (3, 1, 2)]
    assert choose_runs(queued, [], limits(2), {}) == choose_runs(queued[::-1], [], limits(2), {})


def test_a_timeout_counts_from_the_start_of_the_run() -> None:
    assert timeout_due(START, 90.0) == START + timedelta(seconds=90)
    assert timeout_due(None, 90.0) is None
    assert timeout_due(START, None) is None


@pytest.mark.parametrize(
    ("latest", "limit", "expected"),
    [
        ([BAD, BAD, OK], 2, True),
        ([BAD, OK, BAD], 2, False),
        ([OK, BAD, BAD], 2, False),
        ([BAD], 2, False),
        ([BAD, BAD], 0, False),
        ([], 1, False),
    ],
)
def test_enough_failures_in_a_row_pause_the_dag(latest: list[RunState], limit: int, expected: bool) -> None:
    assert pauses_after_failures(latest, limit) is expected


def test_a_run_id_names_the_type_and_the_logical_date() -> None:
    assert make_run_id(RunType.MANUAL, START) == "manual__2026-03-01T00:00:00+00:00"
