"""Bash tasks in a DAG that runs: templates, results handed over, skips, and what stands in the log."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from windlass import DAG
from windlass_bash.decorators import bash_task
from windlass_bash.operators import BashOperator
from windlass_bash.sensors import BashSensor


def test_a_dag_of_bash_tasks(tmp_path: Path) -> None:
    script = tmp_path / "count.sh"
    script.write_text("# {{ ds }}\necho counting on {{ ds }}\necho $FACTOR\n")
    with DAG(
        "bash", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule="@daily", template_searchpath=str(tmp_path)
    ) as dag:
        wait = BashSensor(task_id="wait", bash_command="test -n '{{ run_id }}'")
        count = BashOperator(
            task_id="count", bash_command="count.sh", env={"FACTOR": "{{ 6 * 7 }}"}, cwd="{{ params.folder }}",
            params={"folder": str(tmp_path)},
        )  # fmt: skip
        wait >> count

        @bash_task
        def tell(number: str) -> str:
            return f"echo {number} on {{{{ ds }}}}"

        @bash_task
        def nothing() -> str:
            return "exit 99"

        tell(count.output)
        nothing()

    result = dag.test(logical_date=datetime(2026, 1, 2, tzinfo=UTC))
    assert result.states == {"wait": "success", "count": "success", "tell": "success", "nothing": "skipped"}
    assert result.xcom("count") == "42"
    assert result.xcom("tell") == "42 on 2026-01-02"


def test_a_failing_command_fails_its_task() -> None:
    with DAG("bash", start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        BashOperator(task_id="fails", bash_command="exit 7")
    result = dag.test()
    assert result.states == {"fails": "failed"}
