"""SEMANTICS, section 5: every variable of the context, as templates and as functions see it.

The run is the scheduled one of Monday, 2 March 2026, of a daily DAG whose run of Sunday went well.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass import DAG, Asset, get_current_context, task
from windlass.control import RunRow
from windlass.operators import PythonOperator
from windlass_testing.virtual import VirtualInstallation

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RUN_ID = "scheduled__2026-03-02T00:00:00+00:00"


def monday(windlass: VirtualInstallation, **arguments: Any) -> RunRow:
    """Return the run of Monday of a DAG of one task ``t`` with these arguments."""
    with DAG("d", schedule="@daily", start_date=SUNDAY, end_date=SUNDAY + DAY, catchup=True, params={"p": 1}) as dag:
        PythonOperator(task_id="t", **{"python_callable": lambda: None, **arguments})
    windlass.add(dag)
    windlass.pass_time(2 * DAY)
    assert [str(run.state) for run in windlass.runs("d")] == ["success", "success"]
    return windlass.runs("d")[-1]


TEMPLATES = {
    "conn.db.host": "db.example",
    "conn.get('nobody', 'none')": "none",
    "dag.dag_id": "d",
    "dag_run.run_type": "scheduled",
    "dag_run.run_id": RUN_ID,
    "dag_run.conf": "{}",
    "dag_run.logical_date": "2026-03-02 00:00:00+00:00",
    "data_interval_start": "2026-03-02 00:00:00+00:00",
    "data_interval_end": "2026-03-03 00:00:00+00:00",
    "ds": "2026-03-02",
    "ds_nodash": "20260302",
    "ts": "2026-03-02T00:00:00+00:00",
    "ts_nodash": "20260302T000000",
    "ts_nodash_with_tz": "20260302T000000+0000",
    "logical_date": "2026-03-02 00:00:00+00:00",
    "execution_date": "2026-03-02 00:00:00+00:00",
    "prev_ds": "2026-03-01",
    "prev_ds_nodash": "20260301",
    "prev_execution_date": "2026-03-01 00:00:00+00:00",
    "prev_execution_date_success": "2026-03-01 00:00:00+00:00",
    "prev_data_interval_start_success": "2026-03-01 00:00:00+00:00",
    "prev_data_interval_end_success": "2026-03-02 00:00:00+00:00",
    "prev_start_date_success": "2026-03-02 00:00:00+00:00",
    "prev_end_date_success": "2026-03-02 00:00:00+00:00",
    "next_ds": "2026-03-03",
    "next_ds_nodash": "20260303",
    "next_execution_date": "2026-03-03 00:00:00+00:00",
    "expanded_ti_count": "None",
    "inlets": "[Asset(name='s3://in', uri='s3://in')]",
    "outlets": "[Asset(name='s3://out', uri='s3://out')]",
    "outlet_events is defined": "True",
    "inlet_events is defined": "True",
    "triggering_asset_events | length": "0",
    "triggering_dataset_events | length": "0",
    "macros.ds_add(ds, 5)": "2026-03-07",
    "macros.ds_add(ds, -2)": "2026-02-28",
    "macros.ds_format(ds, '%Y-%m-%d', '%d.%m.%y')": "02.03.26",
    "macros.datetime(2026, 1, 1).year": "2026",
    "logical_date + macros.timedelta(hours=1)": "2026-03-02 01:00:00+00:00",
    "macros.dateutil.parser.parse('2026-05-01').month": "5",
    "macros.time.strftime('%Y', (2026, 1, 1, 0, 0, 0, 0, 1, 0))": "2026",
    "macros.uuid.UUID(int=1)": "00000000-0000-0000-0000-000000000001",
    "0 <= macros.random() < 1": "True",
    "macros.json.dumps([1])": "[1]",
    "macros.math.floor(1.5)": "1",
    "map_index_template": "None",
    "params.p": "1",
    "run_id": RUN_ID,
    "task.task_id": "t",
    "ti.task_id": "t",
    "task_instance.try_number": "1",
    "task_instance_key_str": "d__t__20260302",
    "templates_dict['x'] is defined": "True",
    "try_number": "1",
    "var.value.city": "Oslo",
    "var.value.get('nothing', 'default')": "default",
    "var.json.list[1]": "2",
    "exception": "None",
    "reason": "None",
    "artifacts is defined": "True",
}


@pytest.fixture
def known(windlass: VirtualInstallation) -> VirtualInstallation:
    """Return the installation with a connection and two variables."""
    windlass.environ["WINDLASS_CONN_DB"] = "postgres://u:secret-word@db.example:5432/data"
    windlass.environ["WINDLASS_VAR_CITY"] = "Oslo"
    windlass.environ["WINDLASS_VAR_LIST"] = "[1, 2]"
    return windlass


def test_every_variable_renders_as_specified(known: VirtualInstallation) -> None:
    seen: dict[str, str] = {}
    monday(
        known,
        python_callable=lambda values: seen.update(values),  # noqa: PLW0108 - its parameter has a name
        op_kwargs={"values": {expression: f"{{{{ {expression} }}}}" for expression in TEMPLATES}},
        templates_dict={"x": 1},
        inlets=[Asset("s3://in")],
        outlets=[Asset("s3://out")],
    )
    assert {name: seen[name] for name in TEMPLATES} == TEMPLATES


def test_the_table_above_names_every_variable_of_the_context() -> None:
    from windlass.authoring.context_keys import CONTEXT_KEYS

    named = {expression.split(".")[0].split("[")[0].split(" ")[0] for expression in TEMPLATES} | {"macros"}
    assert set(CONTEXT_KEYS) - named == set()


def test_a_callable_gets_the_variables_that_it_names(known: VirtualInstallation) -> None:
    seen: list[Any] = []
    monday(known, python_callable=lambda ds, ti, own=7: seen.append((ds, ti.task_id, own)))
    assert seen[-1] == ("2026-03-02", "t", 7)


def test_with_kwargs_a_callable_gets_all_of_them(known: VirtualInstallation) -> None:
    from windlass.authoring.context_keys import CONTEXT_KEYS

    seen: list[set[str]] = []
    monday(known, python_callable=lambda **context: seen.append(set(context)))
    assert set(CONTEXT_KEYS) <= seen[-1]


def test_given_arguments_win_over_the_context(known: VirtualInstallation) -> None:
    seen: list[Any] = []
    monday(known, python_callable=lambda ds, run_id: seen.append((ds, run_id)), op_kwargs={"ds": "mine"})
    assert seen[-1] == ("mine", RUN_ID)


def test_get_current_context_is_the_context(known: VirtualInstallation) -> None:
    seen: list[str] = []
    monday(known, python_callable=lambda: seen.append(get_current_context()["ds"]))
    assert seen[-1] == "2026-03-02"


def test_datetimes_of_the_context_are_aware(known: VirtualInstallation) -> None:
    seen: list[bool] = []

    def look(**context: Any) -> None:
        seen.extend(value.tzinfo is not None for value in context.values() if isinstance(value, datetime))

    monday(known, python_callable=look)
    assert len(seen) > 10
    assert all(seen)


def test_the_first_run_has_no_previous_one(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:

        @task
        def look(prev_ds: Any, prev_execution_date: Any, prev_start_date_success: Any) -> list[Any]:
            return [prev_ds, prev_execution_date, prev_start_date_success]

        look()
    assert windlass.xcom(windlass.run(dag), "look") == [None, None, None]


def test_the_success_dates_look_past_a_run_that_failed(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:

        @task
        def look(ds: str, prev_ds: Any, prev_execution_date_success: Any) -> list[str]:
            if ds == "2026-03-02":
                raise ValueError("monday")
            return [str(prev_ds), str(prev_execution_date_success)]

        look()
    windlass.add(dag)
    runs = [windlass.run("d", logical_date=SUNDAY + day * DAY) for day in range(3)]
    assert windlass.xcom(runs[-1], "look") == ["2026-03-02", "2026-03-01 00:00:00+00:00"]


def test_idempotency_key_is_stable_until_a_clear_and_fencing_token_grows(windlass: VirtualInstallation) -> None:
    keys: list[tuple[str, int]] = []

    @task(retries=1)
    def look(ti: Any, try_number: int) -> None:
        keys.append((ti.idempotency_key, ti.fencing_token))
        if try_number == 1:
            raise ValueError("again")

    with DAG("d", schedule=None) as dag:
        look()
    run = windlass.run(dag)
    windlass.clear(run, "look")
    windlass.end_of(run)
    (first, a), (second, b), (third, c) = keys
    assert first == second != third
    assert a < b < c
