"""``windlass backfill`` and ``dags backfill`` over a real store and a real scheduler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from windlass.protocol import Outcome
from windlass.spec import CronIntervalSpec, CustomTimetableSpec, DagSpec, TaskSpec
from windlass_testing.installation import Installation
from windlass_testing.scripted import Result

Windlass = Callable[..., Any]

DAILY = DagSpec(
    dag_id="d",
    tasks=(TaskSpec(task_id="a"), TaskSpec(task_id="b", upstream=("a",))),
    schedule=CronIntervalSpec(expression="0 0 * * *"),
    max_active_runs=2,
)
MOON = CustomTimetableSpec(name="acme.Moon", data={})
FEBRUARY = ("--dag-id", "d", "--from-date", "2026-02-01", "--to-date", "2026-02-05")


@pytest.fixture(autouse=True)
def daily(here: Installation) -> None:
    here.add(DAILY, paused=True)


def test_a_dry_run_prints_the_runs_and_makes_none(here: Installation, windlass: Windlass) -> None:
    result = windlass("backfill", "create", *FEBRUARY, "--dry-run", "--json")
    assert result.code == 0
    assert [run["run_id"] for run in result.data] == [f"backfill__2026-02-0{day}T00:00:00+00:00" for day in range(1, 6)]
    assert {run["action"] for run in result.data} == {"create"}
    assert "5 run(s) to make; nothing was created" in result.err
    backwards = windlass("backfill", "create", *FEBRUARY, "--dry-run", "--run-backwards", "-o", "plain")
    assert backwards.out.splitlines()[1].startswith("create\tbackfill__2026-02-05")
    assert windlass("backfill", "list", "--json").data == []


def test_create_shows_the_backfill_and_list_and_show_how_far_it_is(here: Installation, windlass: Windlass) -> None:
    made = windlass("backfill", "create", *FEBRUARY, "--max-active-runs", "1", "--conf", '{"x": 1}', "--json")
    assert made.code == 0
    assert "no scheduler is running; nothing happens until `windlass standalone` is" in made.err
    assert (made.data["id"], made.data["state"], made.data["intervals"]) == (1, "running", 5)
    here.settle()
    assert windlass("backfill", "show", "1", "--json").data["runs"] == {
        "queued": 0,
        "running": 0,
        "success": 5,
        "failed": 0,
    }
    assert "runs             5 success" in windlass("backfill", "show", "1").out
    [line] = windlass("backfill", "list", "--dag-id", "d", "-o", "plain").out.splitlines()[1:]
    assert line.split("\t")[:6] == ["1", "d", "completed", "2026-02-01T00:00:00Z", "2026-02-05T00:00:00Z", "5/5"]
    runs = windlass("runs", "list", "d", "--backfill", "1", "--json").data
    assert [(run["run_type"], run["conf"], run["backfill_id"]) for run in runs] == [("backfill", {"x": 1}, 1)] * 5
    assert windlass("runs", "list", "--backfill", "2", "--json").data == []


def test_wait_waits_for_the_end_and_fails_with_a_run(here: Installation, windlass: Windlass) -> None:
    with here.serving():
        well = windlass("backfill", "create", *FEBRUARY, "--wait", "--json")
    assert (well.code, well.data["state"]) == (0, "completed")
    here.executor.script = lambda work, _: Result(Outcome.FAIL if "02-03" in work.run_id else Outcome.SUCCESS)
    with here.serving():
        badly = windlass("backfill", "create", *FEBRUARY, "--wait", "--reprocess", "completed", "-y", "--json")
    assert (badly.code, badly.data["runs"]["failed"]) == (1, 1)
    here.executor.script = lambda _work, _try: Result()
    again = windlass("backfill", "create", *FEBRUARY, "--reprocess", "failed", "--dry-run", "-o", "plain")
    assert [line.split("\t")[0] for line in again.out.splitlines()[1:]] == ["leave", "leave", "clear", "leave", "leave"]


def test_airflows_older_spelling_does_the_same(here: Installation, windlass: Windlass) -> None:
    with here.serving():
        assert windlass("dags", "backfill", "-s", "2026-02-01", "-e", "2026-02-02", "d", "--wait").code == 0
    assert windlass("backfill", "show", "1", "--json").data["runs"]["success"] == 2
    for flag, action in (("--reset-dagruns", "clear"), ("--rerun-failed-tasks", "leave")):
        shown = windlass("dags", "backfill", "-s", "2026-02-01", "-e", "2026-02-01", "d", flag, "--dry-run", "--json")
        assert [run["action"] for run in shown.data] == [action]


def test_what_clears_runs_or_makes_very_many_asks_first(here: Installation, windlass: Windlass) -> None:
    windlass("backfill", "create", *FEBRUARY)
    here.settle()
    clears = windlass("backfill", "create", *FEBRUARY, "--reprocess", "completed")
    assert clears.code == 2
    assert "Make 0 run(s) and clear 5 that exist? There is no terminal to answer on; pass -y to confirm" in clears.err
    many = windlass("backfill", "create", "--dag-id", "d", "--from-date", "2025-01-01", "--to-date", "2025-12-31")
    assert many.code == 2
    assert "Make 365 run(s)" in many.err


def test_what_has_all_its_runs_exits_5(here: Installation, windlass: Windlass) -> None:
    windlass("backfill", "create", *FEBRUARY)
    here.settle()
    result = windlass("backfill", "create", *FEBRUARY)
    assert result.code == 5
    assert "every one of the 5 intervals has its run; --reprocess makes them run again" in result.err


def test_only_some_tasks_are_named_and_run(here: Installation, windlass: Windlass) -> None:
    result = windlass("backfill", "create", *FEBRUARY, "-t", "^b$")
    assert "only these tasks run: b" in result.err
    here.settle()
    tasks = windlass("runs", "show", "d", "backfill__2026-02-01T00:00:00+00:00", "--json").data["tasks"]
    assert [(task["task_id"], task["state"]) for task in tasks] == [("b", "success")]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--dag-id", "e", *FEBRUARY[2:]), 4, "DAG 'e' is not known"),
        ((*FEBRUARY[:4], "--to-date", "2026-01-01"), 2, "is later than the last"),
        ((*FEBRUARY, "--max-active-runs", "0"), 2, "0 is not in the range x>=1"),
        ((*FEBRUARY, "--reprocess", "some"), 2, "'some' is not one of 'none', 'failed', 'completed'"),
        ((*FEBRUARY, "--conf", "[]"), 2, "an object such as"),
        ((*FEBRUARY, "-t", "(b"), 2, "task regex '(b' is not a regular expression"),
        ((*FEBRUARY[:4], "--to-date", "soon"), 2, "'soon' is not an ISO 8601 date"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    windlass: Windlass, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    result = windlass("backfill", "create", *arguments)
    assert (result.code, result.out) == (code, "")
    assert sentence in result.err


def test_cancel_says_what_it_ends_and_what_goes_on(here: Installation, windlass: Windlass) -> None:
    windlass("backfill", "create", *FEBRUARY)
    for _ in range(3):
        here.scheduler.step()
    dry = windlass("backfill", "cancel", "1", "--dry-run", "--json")
    assert dry.data["state"] == "running"
    assert "would fail 2 waiting run(s); 2 running one(s) would go on" in dry.err
    result = windlass("backfill", "cancel", "1", "--json")
    assert (result.code, result.data["state"]) == (0, "cancelling")
    assert "2 waiting run(s) have failed; 2 running one(s) go on to their end" in result.err
    here.settle()
    assert windlass("backfill", "show", "1", "--json").data["state"] == "cancelled"
    assert windlass("backfill", "cancel", "1").code == 0
    assert windlass("backfill", "cancel", "9").code == 4


# -- explain ----------------------------------------------------------------------------------------------------------


def test_explain_says_why_a_run_of_a_backfill_is_queued(here: Installation, windlass: Windlass) -> None:
    windlass("backfill", "create", *FEBRUARY, "--max-active-runs", "1")
    for _ in range(3):
        here.scheduler.step()
    cause = windlass("explain", "d", "backfill__2026-02-02T00:00:00+00:00", "--json").data
    facts = [inner["fact"] for inner in cause["causes"]]
    assert "max_active_runs (1) of backfill 1 is reached" in facts
    standing = (
        "backfill 1 has dealt with 2 of 5 intervals; 2 of its runs have not ended (1 may be active at once), and the "
        "next are made as these end"
    )
    assert standing in facts
    assert standing in [inner["fact"] for inner in windlass("explain", "d", "--json").data["causes"]]


def test_explain_does_not_blame_the_pause_for_what_a_backfill_waits_for(here: Installation, windlass: Windlass) -> None:
    windlass("pools", "set", "default_pool", "1")
    windlass("backfill", "create", *FEBRUARY)
    for _ in range(3):
        here.scheduler.step()
    causes = windlass("explain", "d", "backfill__2026-02-02T00:00:00+00:00", "a", "--json").data["causes"]
    assert [cause["fact"] for cause in causes] == [
        "no scheduler is running",
        "pool `default_pool` has 0 of 1 slots free",
    ]


def test_explain_a_cancelled_backfill_and_one_without_a_file(here: Installation, windlass: Windlass) -> None:
    windlass("backfill", "create", *FEBRUARY)
    for _ in range(3):
        here.scheduler.step()
    here.add()
    facts = [inner["fact"] for inner in windlass("explain", "d", "--json").data["causes"]]
    assert "backfill 1 has dealt with 4 of 5 intervals; no more runs are made while its DAG is in no file" in facts
    windlass("backfill", "cancel", "1")
    facts = [inner["fact"] for inner in windlass("explain", "d", "--json").data["causes"]]
    assert "backfill 1 has dealt with 4 of 5 intervals and was cancelled; 2 of its runs have not ended" in facts


def test_a_backfill_that_a_timetable_says_is_made_uncounted_and_waiting_ends_with_what_is_wrong(
    here: Installation, windlass: Windlass
) -> None:
    def fail(_question: object) -> None:
        raise ValueError("no moon")

    here.add(msgspec.structs.replace(DAILY, dag_id="moon", schedule=MOON), paused=True)
    dates = ("--dag-id", "moon", "--from-date", "2026-02-01", "--to-date", "2026-02-05")
    made = windlass("backfill", "create", *dates, "--json")
    assert (made.code, made.data["intervals"], made.data["error"]) == (0, None, None)
    assert "the timetable is asked for the intervals as the runs are made" in made.err
    assert "0/?" in windlass("backfill", "list", "-o", "plain").out
    windlass("backfill", "cancel", str(made.data["id"]))
    here.executor.timetable = fail
    with here.serving():
        waited = windlass("backfill", "create", *dates, "--wait", "--json")
    assert waited.code == 1
    assert "timetable 'acme.Moon' of DAG 'moon' raised ValueError: no moon" in waited.err
    windlass("backfill", "cancel", str(waited.data["id"]))
    again = windlass("backfill", "create", *dates, "--reprocess", "completed")
    assert again.code == 2  # without -y nobody was asked
