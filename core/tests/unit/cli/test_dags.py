"""``windlass dags`` and ``windlass runs`` over a real store."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from windlass.spec import CronIntervalSpec, DagSpec, ParamSpec, TaskSpec
from windlass_testing.installation import Installation

Windlass = Callable[..., Any]

ETL = DagSpec(
    dag_id="etl",
    tasks=(
        TaskSpec(task_id="extract", operator="PythonOperator"),
        TaskSpec(task_id="load", upstream=("extract",), operator="PythonOperator"),
    ),
    schedule=CronIntervalSpec(expression="0 0 * * *"),
    schedule_summary="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_an_empty_installation_lists_nothing(windlass: Windlass) -> None:
    assert windlass("dags", "list", "-o", "json").data == []


def test_list_is_a_table_for_people_and_data_for_programs(here: Installation, windlass: Windlass) -> None:
    here.add(ETL, paused=True)
    assert windlass("dags", "list").out == (
        "dag_id  schedule  paused  owners    file\netl     @daily    yes     windlass  dags.py\n"
    )
    assert windlass("dags", "list", "--json").data[0]["schedule"] == "@daily"
    assert windlass("dags", "list", "-o", "plain").out.splitlines()[1] == "etl\t@daily\tyes\twindlass\tdags.py"


def test_the_default_of_o_comes_from_the_configuration(
    here: Installation, windlass: Windlass, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.add(ETL)
    monkeypatch.setenv("WINDLASS__CLI__OUTPUT", "json")
    assert windlass("dags", "list").data[0]["dag_id"] == "etl"
    assert windlass("dags", "list", "-o", "plain").out.startswith("dag_id\t")


def test_a_tag_that_nothing_has_exits_5(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    assert windlass("dags", "list", "--tag", "nothing").code == 5


def test_a_long_list_says_how_to_go_on(here: Installation, windlass: Windlass) -> None:
    here.add(*(DagSpec(dag_id=name) for name in "abc"))
    first = windlass("dags", "list", "--limit", "2", "-o", "json")
    assert [row["dag_id"] for row in first.data] == ["a", "b"]
    cursor = first.err.split("--cursor ")[1].split()[0]
    assert [row["dag_id"] for row in windlass("dags", "list", "--cursor", cursor, "-o", "json").data] == ["c"]


def test_show_details_and_next_execution(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    assert "load     PythonOperator  all_success   extract" in windlass("dags", "show", "etl").out
    assert windlass("dags", "show", "etl", "--json").data["tasks"][0]["downstream"] == ["load"]
    assert windlass("dags", "details", "etl", "--json").data["timezone"] == "UTC"
    assert windlass("dags", "next-execution", "etl", "--json").data == {
        "dag_id": "etl",
        "run_after": "2026-03-01T00:00:00.000000+00:00",
        "logical_date": "2026-02-28T00:00:00.000000+00:00",
        "data_interval_start": "2026-02-28T00:00:00.000000+00:00",
        "data_interval_end": "2026-03-01T00:00:00.000000+00:00",
        "reason": None,
    }


def test_an_unknown_dag_exits_4_with_a_hint(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    result = windlass("dags", "details", "elt")
    assert (result.code, result.out) == (4, "")
    assert "error: DAG 'elt' is not known. Did you mean 'etl'?" in result.err
    assert json.loads(windlass("dags", "details", "elt", "--json").err)["code"] == "not-found"


# -- triggering -------------------------------------------------------------------------------------------------------


def test_trigger_prints_exactly_this(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    result = windlass("dags", "trigger", "etl", "-o", "json")
    assert result.code == 0
    assert result.data == {
        "dag_id": "etl",
        "run_id": "manual__2026-03-01T12:00:00+00:00",
        "run_type": "manual",
        "logical_date": "2026-03-01T12:00:00.000000+00:00",
        "data_interval_start": "2026-02-28T00:00:00.000000+00:00",
        "data_interval_end": "2026-03-01T00:00:00.000000+00:00",
        "state": "queued",
    }


def test_trigger_tells_what_keeps_the_run_from_starting(here: Installation, windlass: Windlass) -> None:
    here.add(ETL, paused=True)
    result = windlass("dags", "trigger", "etl", "--json")
    assert result.data["state"] == "queued"
    assert "DAG 'etl' is paused; its runs stay queued until `windlass dags unpause etl`" in result.err


def test_two_triggers_of_one_instant_are_two_runs(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    windlass("dags", "trigger", "etl")
    again = windlass("dags", "trigger", "etl", "--json").data
    assert again["logical_date"] == "2026-03-01T12:00:00.000001+00:00"


def test_an_explicit_logical_date_that_exists_exits_1_naming_the_run(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    assert windlass("dags", "trigger", "etl", "-e", "2026-02-01", "-r", "first").code == 0
    result = windlass("dags", "trigger", "etl", "--logical-date", "2026-02-01")
    assert result.code == 1
    assert "'first'" in result.err


def test_conf_is_checked_against_the_params(here: Installation, windlass: Windlass) -> None:
    schema = {"type": "integer", "minimum": 1}
    here.add(DagSpec(dag_id="p", params={"n": ParamSpec(value=1, schema=schema), "must": ParamSpec(has_value=False)}))
    missing = windlass("dags", "trigger", "p")
    assert missing.code == 2
    assert "param 'must' of DAG 'p' has no default; give a value with --conf" in missing.err
    wrong = windlass("dags", "trigger", "p", "--conf", '{"must": 1, "n": 0}')
    assert wrong.code == 2
    assert (
        "param 'n' of DAG 'p' does not fit its schema: 0 is less than the minimum of 1 (value from conf)" in wrong.err
    )
    fine = windlass("dags", "trigger", "p", "--conf", '{"must": 1, "other": [1]}', "--json")
    assert fine.code == 0
    run = windlass("runs", "show", "p", fine.data["run_id"], "--json").data
    assert run["conf"] == {"must": 1, "other": [1]}


def test_a_dry_run_creates_nothing(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    result = windlass("dags", "trigger", "etl", "--dry-run", "--json")
    assert result.data["data_interval_end"] == "2026-03-01T00:00:00.000000+00:00"
    assert windlass("runs", "list", "--json").data == []


@pytest.mark.parametrize("run_id", ["", " x", "a\nb", "x" * 251])
def test_a_run_id_that_cannot_be_is_refused(here: Installation, windlass: Windlass, run_id: str) -> None:
    here.add(ETL)
    assert windlass("dags", "trigger", "etl", "--run-id", run_id).code == 2


@pytest.mark.parametrize(("ending", "code"), [("success", 0), ("failed", 1)])
def test_wait_exits_by_the_runs_end(here: Installation, windlass: Windlass, ending: str, code: int) -> None:
    here.add(ETL)

    def mark_soon() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            runs = here.control.runs.list().items
            if runs:
                here.control.runs.mark("etl", runs[0].run_id, type(runs[0].state)(ending), actor="ann")
                return
            time.sleep(0.005)

    marker = threading.Thread(target=mark_soon)
    marker.start()
    result = windlass("dags", "trigger", "etl", "--wait", "-o", "json")
    marker.join()
    assert (result.code, result.data["state"]) == (code, ending)


# -- runs -------------------------------------------------------------------------------------------------------------


def test_runs_show_has_exactly_the_fields_that_scripts_read(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    run_id = windlass("dags", "trigger", "etl", "-r", "mine", "--json").data["run_id"]
    here.settle()
    shown = windlass("runs", "show", "etl", run_id, "-o", "json").data
    assert shown["state"] == "success"
    assert shown["queued_at"] == "2026-03-01T12:00:00.000000+00:00"
    assert set(shown) == {
        "dag_id", "run_id", "run_type", "logical_date", "data_interval_start", "data_interval_end", "state",
        "queued_at", "start_date", "end_date", "conf", "tasks",
    }  # fmt: skip
    assert [task["task_id"] for task in shown["tasks"]] == ["extract", "load"]
    assert shown["tasks"][0] == {
        "task_id": "extract",
        "map_index": -1,
        "state": "success",
        "try_number": 1,
        "queued_at": "2026-03-01T12:00:00.000000+00:00",
        "start_date": "2026-03-01T12:00:00.000000+00:00",
        "end_date": "2026-03-01T12:00:00.000000+00:00",
        "duration": 0.0,
        "pid": 1,
        "hostname": "h",
    }


def test_runs_list_filters_by_dag_and_state(here: Installation, windlass: Windlass) -> None:
    here.add(ETL, DagSpec(dag_id="other"))
    windlass("dags", "trigger", "etl", "-r", "one")
    windlass("dags", "trigger", "other", "-r", "two")
    assert [run["run_id"] for run in windlass("runs", "list", "etl", "--json").data] == ["one"]
    assert windlass("runs", "list", "--state", "failed", "--json").data == []
    assert windlass("runs", "list", "nope").code == 4


def test_state_is_one_word(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    windlass("dags", "trigger", "etl", "-r", "mine")
    assert windlass("dags", "state", "etl", "mine").out == "queued\n"
    result = windlass("dags", "state", "etl", "mien")
    assert result.code == 4
    assert "DAG 'etl' has no run 'mien'. Did you mean 'mine'?" in result.err


# -- switching and deleting ---------------------------------------------------------------------------------------


def test_pause_and_unpause(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    assert windlass("dags", "pause", "etl").err == "DAG 'etl' is paused\n"
    assert windlass("dags", "pause", "etl").err == "DAG 'etl' was paused already\n"
    assert windlass("dags", "unpause", "etl").err == "DAG 'etl' is unpaused\n"


def test_delete_asks_and_without_a_terminal_refuses(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    refused = windlass("dags", "delete", "etl")
    assert refused.code == 2
    assert "There is no terminal to answer on; pass -y to confirm" in refused.err
    assert windlass("dags", "delete", "etl", "--dry-run").err == "would delete DAG 'etl' with 0 run(s)\n"
    assert windlass("dags", "delete", "etl", "-y").code == 0
    assert windlass("dags", "details", "etl").code == 4


# -- files --------------------------------------------------------------------------------------------------------


def test_import_errors_are_printed_and_exit_1(here: Installation, windlass: Windlass) -> None:
    assert windlass("dags", "list-import-errors").code == 0
    here.break_file("bad.py", "bad.py:3: NameError: name 'x' is not defined")
    result = windlass("dags", "list-import-errors")
    assert result.code == 1
    assert result.out == "bad.py (main)\nbad.py:3: NameError: name 'x' is not defined\n\n"
    assert "1 DAG file(s) could not be read" in windlass("dags", "list").err


def test_report_and_reparse(here: Installation, windlass: Windlass) -> None:
    here.add(ETL)
    [row] = windlass("dags", "report", "--json").data
    assert (row["file"], row["dags"], row["duration"], row["errors"]) == ("dags.py", ["etl"], 0.25, 0)
    assert windlass("dags", "reparse", "dags.py").err == "1 file(s) will be parsed again by the running server\n"
    assert here.store.dags.parsed_files()[0].inputs is None
    assert windlass("dags", "reparse", "dag.py").code == 4
