"""The spec of a DAG: complete, canonical, the same in every process."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass import DAG, Asset, AssetAlias, Param, TaskGroup, chain, task
from windlass.errors import AuthoringError
from windlass.operators import EmptyOperator
from windlass.spec import AssetSpec, ParamSpec, TaskSpec, TriggerRule, decode_spec, encode_spec

_FILE = """
from __future__ import annotations
from datetime import UTC, datetime
from windlass import DAG, Asset, Label, Param, TaskGroup, task, task_group

with DAG(
    "everything", schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), tags={"b", "a", "c"},
    params={"p": Param(3, type="integer")}, default_args={"retries": 2},
) as dag:

    @task(outlets={Asset("x"), Asset("y"), Asset("z")}, executor_config={"s": {"q", "w", "e"}})
    def make() -> list[int]:
        return [1]

    @task
    def use(x, y=None) -> dict[str, int]:
        return {}

    with TaskGroup("g") as group:
        many = [make() for _ in range(20)]

    @task_group
    def each(v):
        return use(v)

    group >> Label("on") >> use.expand(x=make(), y=[1, 2])
    each.expand(v={"k": 1, "l": 2})
    use({"a": many, "b": set(many)})
"""


def _bytes(tmp_path: Path, seed: str) -> str:
    file = tmp_path / "dag.py"
    file.write_text(
        f"{_FILE}\nimport hashlib\nfrom windlass.spec import encode_spec\n"
        "print(hashlib.sha256(encode_spec(dag.to_spec(file='dag.py'))).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, str(file)], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_same_file_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    assert len({_bytes(tmp_path, seed) for seed in ("0", "1", "12345")}) == 1


def test_defaults_are_left_out() -> None:
    with DAG("d") as made:
        EmptyOperator(task_id="a", pool="default" + "_pool", retries=int("0"), trigger_rule="all" + "_success")
    assert encode_spec(made.to_spec()) == (
        b'{"dag_id":"d","tasks":[{"task_id":"a","operator":"EmptyOperator","ui_color":"#e8f7e4"}]}'
    )


def test_a_moving_clock_value_outside_the_graph_changes_nothing() -> None:
    def make() -> bytes:
        with DAG("d", user_defined_macros={"now": datetime.now(UTC)}) as made:
            EmptyOperator(task_id="a")
        return encode_spec(made.to_spec())

    assert make() == make()


names = st.text("abcdefgh", min_size=1, max_size=3)


@settings(deadline=None)
@given(
    ids=st.lists(names, unique=True, min_size=1, max_size=8),
    data=st.data(),
)
def test_a_spec_survives_its_bytes(ids: list[str], data: st.DataObject) -> None:
    schedule = data.draw(st.sampled_from([None, "@daily", "5 4 * * *"]))
    with DAG("d", tags=data.draw(st.lists(names)), schedule=schedule) as made:
        tasks = [
            EmptyOperator(
                task_id=task_id,
                retries=data.draw(st.integers(0, 5)),
                retry_delay=data.draw(st.floats(0, 1e6)),
                trigger_rule=data.draw(st.sampled_from(["all_success", "all_done", "none_failed"])),
                execution_timeout=data.draw(st.none() | st.timedeltas(timedelta(microseconds=1), timedelta(days=9))),
                params=data.draw(st.dictionaries(names, st.integers() | st.text() | st.booleans(), max_size=2)),
            )
            for task_id in ids
        ]
        for later, item in enumerate(tasks):
            for earlier in data.draw(st.sets(st.integers(0, max(0, later - 1)), max_size=3)):
                if earlier < later:
                    tasks[earlier] >> item
    spec = made.to_spec(file="a.py")
    assert decode_spec(encode_spec(spec)) == spec
    assert encode_spec(decode_spec(encode_spec(spec))) == encode_spec(spec)
    seen: set[str] = set()
    for emitted in spec.tasks:
        assert seen.issuperset(emitted.upstream)
        seen.add(emitted.task_id)


def test_every_argument_reaches_the_spec() -> None:
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Paris"))
    with DAG("d") as made, TaskGroup("g"):
        before = EmptyOperator(task_id="before")
        given = EmptyOperator(
            task_id="t", owner="me", retries=3, retry_delay=10, retry_exponential_backoff=True, max_retry_delay=60,
            start_date=start, end_date=start + timedelta(days=1), wait_for_downstream=True,
            ignore_first_depends_on_past=False, trigger_rule="all_done", params={"p": Param(1, type="integer")},
            pool="p", pool_slots=2, priority_weight=5, weight_rule="absolute", queue="q", executor="other",
            executor_config={"cpu": 1}, execution_timeout=5, resources={"ram": 2}, max_active_tis_per_dag=3,
            max_active_tis_per_dagrun=4, do_xcom_push=False, multiple_outputs=True, inlets=Asset("in"),
            outlets=[Asset("out", "s3://out", extra={"k": 1}), AssetAlias("alias")], doc_md="text",
            task_display_name="Shown", map_index_template="{{ x }}", on_success_callback=print,
            on_failure_callback=[print], on_retry_callback=print, on_skipped_callback=print, on_execute_callback=print,
        )  # fmt: skip
        before >> given
    assert made.to_spec().by_id["g.t"] == TaskSpec(
        task_id="g.t", operator="EmptyOperator", upstream=("g.before",), group="g", owner="me", display_name="Shown",
        trigger_rule=TriggerRule.ALL_DONE,
        retries=3, retry_delay=10.0, retry_backoff=2.0, max_retry_delay=60.0, execution_timeout=5.0,
        start_date=datetime(2025, 12, 31, 23, tzinfo=UTC), end_date=datetime(2026, 1, 1, 23, tzinfo=UTC),
        depends_on_past=True, wait_for_downstream=True, ignore_first_depends_on_past=False, pool="p", pool_slots=2,
        priority_weight=5, weight_rule="absolute", queue="q", executor="other", executor_config={"cpu": 1},
        resources={"ram": 2}, max_active_tis_per_dag=3, max_active_tis_per_dagrun=4, do_xcom_push=False,
        multiple_outputs=True, params={"p": ParamSpec(value=1, schema={"type": "integer"})},
        inlets=(AssetSpec(name="in", uri="in"),),
        outlets=(AssetSpec(name="out", uri="s3://out", extra={"k": 1}), AssetSpec(name="alias", uri="", is_alias=True)),
        map_index_template="{{ x }}", callbacks=("execute", "success", "failure", "retry", "skipped"), doc="text",
        ui_color="#e8f7e4",
    )  # fmt: skip


def test_what_is_not_json_is_named() -> None:
    with DAG("d") as made:
        EmptyOperator(task_id="a", executor_config={"f": print})
    with pytest.raises(AuthoringError, match="task 'a': executor_config must be JSON"):
        made.to_spec()


def test_a_wide_graph_is_emitted_in_reasonable_steps() -> None:
    with DAG("d") as made:
        chain(EmptyOperator(task_id="first"), [EmptyOperator(task_id=f"t{i}") for i in range(1000)])
    assert len(made.to_spec().tasks) == 1001


def test_a_task_decorator_is_documented_by_its_function() -> None:
    with DAG("d") as made:

        @task
        def work() -> None:
            """Say what it does."""

        work()
    assert made.to_spec().tasks[0].doc == "Say what it does."
