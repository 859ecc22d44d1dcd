"""SEMANTICS, section 4: XComs pushed, pulled, wiped, spilled; artifacts."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from testing.tests.conformance.steps import MONDAY, good

from windlass import DAG, task
from windlass.operators import EmptyOperator
from windlass_testing.virtual import VirtualInstallation


def pull(*args: Any, **options: Any) -> Any:
    """Return a task, ``pull``, that pulls like this and returns what it got."""

    @task(task_id="pull")
    def pulling(ti: Any) -> Any:
        return ti.xcom_pull(*args, **options)

    return pulling()


def test_a_pushed_value_is_pulled_by_task_and_key(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:

        @task
        def push(ti: Any) -> None:
            ti.xcom_push("colour", "red")

        push() >> pull(task_ids="push", key="colour")
    assert windlass.xcom(windlass.run(dag), "pull") == "red"


def test_what_a_task_returns_is_its_return_value(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good() >> pull("good")
    run = windlass.run(dag)
    assert (windlass.xcom(run, "good"), windlass.xcom(run, "pull")) == ("good", "good")


def test_none_and_do_xcom_push_false_leave_nothing(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(task_id="quiet", do_xcom_push=False)()
        task(task_id="none")(lambda: None)()
    windlass.run(dag)
    assert windlass.store.db.rows("SELECT name FROM xcom") == []


def test_multiple_outputs_leave_each_key_and_the_whole(windlass: VirtualInstallation) -> None:
    @task
    def both() -> dict[str, int]:
        return {"a": 1, "b": 2}

    with DAG("d", schedule=None) as dag:
        result = both()
        task(task_id="use")(lambda a, b: a + b)(result["a"], result["b"])
    run = windlass.run(dag)
    assert [windlass.xcom(run, "both", key) for key in ("a", "b", "return_value")] == [1, 2, {"a": 1, "b": 2}]
    assert windlass.xcom(run, "use") == 3


def test_a_try_starts_with_the_tasks_xcoms_wiped(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:

        @task(retries=1)
        def flaky(ti: Any, try_number: int) -> list[Any]:
            seen = ti.xcom_pull(key="left")
            ti.xcom_push("left", try_number)
            if try_number == 1:
                # Asking for an own XCom sends it on its way, before the failure.
                assert ti.xcom_pull(key="left") == 1
                raise ValueError("again")
            return [seen, ti.xcom_pull(key="left")]

        flaky()
    assert windlass.xcom(windlass.run(dag), "flaky") == [None, 2]


def test_a_clear_wipes_too_when_the_task_starts_again(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        task(task_id="t")(lambda try_number: "first" if try_number == 1 else None)()
    run = windlass.run(dag)
    assert windlass.xcom(run, "t") == "first"
    windlass.clear(run, "t")
    assert windlass.xcom(windlass.end_of(run), "t") is None


def test_a_list_of_ids_gives_a_list_in_that_order(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        tasks = [task(task_id=name)(lambda name=name: name)() for name in "abc"]
        tasks >> pull(["c", "a", "nobody", "b"])
    assert windlass.xcom(windlass.run(dag), "pull") == ["c", "a", None, "b"]


@pytest.mark.parametrize("length", [1, 3])
def test_a_mapped_source_gives_a_list_by_map_index_also_of_length_one(
    windlass: VirtualInstallation, length: int
) -> None:
    with DAG("d", schedule=None) as dag:
        each = task(task_id="each")(lambda x: x * 10).expand(x=list(range(length)))
        each >> task(task_id="pull")(lambda ti: list(ti.xcom_pull("each")))()
    assert windlass.xcom(windlass.run(dag), "pull") == [number * 10 for number in range(length)]


@pytest.mark.parametrize(("indexes", "value"), [(1, 10), ([2, 0], [20, 0])])
def test_map_indexes_pick_one_or_some(windlass: VirtualInstallation, indexes: Any, value: Any) -> None:
    with DAG("d", schedule=None) as dag:
        task(task_id="each")(lambda x: x * 10).expand(x=[0, 1, 2]) >> pull("each", map_indexes=indexes)
    assert windlass.xcom(windlass.run(dag), "pull") == value


def test_the_default_is_honoured(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        EmptyOperator(task_id="quiet") >> pull("quiet", default="nothing")
    assert windlass.xcom(windlass.run(dag), "pull") == "nothing"


def test_another_dags_run_of_the_same_id_is_read_by_dag_id(windlass: VirtualInstallation) -> None:
    with DAG("e", schedule=None) as other:
        task(task_id="t")(lambda: "theirs")()
    with DAG("d", schedule=None) as dag:
        pull("t", dag_id="e")
    windlass.run(other, run_id="same")
    assert windlass.xcom(windlass.run(dag, run_id="same"), "pull") == "theirs"


@pytest.mark.parametrize(("prior", "value"), [(True, "monday"), (False, None)])
def test_include_prior_dates_looks_back_to_the_newest_run_that_has_it(
    windlass: VirtualInstallation, prior: bool, value: str | None
) -> None:
    with DAG("d", schedule=None) as dag:

        @task
        def sometimes(dag_run: Any) -> str | None:
            return str(dag_run.conf["say"]) if "say" in dag_run.conf else None

        sometimes() >> pull("sometimes", include_prior_dates=prior)
    windlass.add(dag)
    windlass.run("d", logical_date=MONDAY - timedelta(days=1), conf={"say": "sunday"})
    windlass.run("d", logical_date=MONDAY, conf={"say": "monday"})
    windlass.run("d", logical_date=MONDAY + timedelta(days=2), conf={"say": "wednesday"})
    run = windlass.run("d", logical_date=MONDAY + timedelta(days=1))
    assert windlass.xcom(run, "pull") == value


# --- Large values and files


@pytest.mark.parametrize(("size", "spilled"), [(60_000, False), (70_000, True)])
def test_a_value_above_the_threshold_spills_and_is_read_back_transparently(
    windlass: VirtualInstallation, size: int, spilled: bool
) -> None:
    with DAG("d", schedule=None) as dag:
        large = task(task_id="large")(lambda: "x" * size)()
        task(task_id="use")(lambda text: [len(text), text[0]])(large)
    run = windlass.run(dag)
    facts = windlass.control.tasks.find("d", run.run_id, "large")
    [row] = windlass.store.queries.xcoms(facts.id)
    assert (row.artifact is not None) is spilled
    assert windlass.xcom(run, "use") == [size, "x"]


def test_spilled_values_are_addressed_by_their_content(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        for name in "ab":
            task(task_id=name)(lambda: "x" * 100_000)()
    windlass.run(dag)
    assert len(list((windlass.folder / "artifacts").iterdir())) == 1


def test_an_artifact_hands_a_file_over_between_tasks(windlass: VirtualInstallation, tmp_path: Path) -> None:
    with DAG("d", schedule=None) as dag:

        @task
        def write(artifacts: Any) -> Any:
            path = tmp_path / "report.csv"
            path.write_text("a,b\n1,2\n")
            artifact = artifacts.put(path)
            path.unlink()
            return artifact

        @task
        def read(artifact: Any, artifacts: Any) -> str:
            with artifacts.open(artifact) as file:
                return str(file.read().decode())

        read(write())
    assert windlass.xcom(windlass.run(dag), "read") == "a,b\n1,2\n"
