from __future__ import annotations

from windlass_first.operators import SayOperator
from windlass_first.plugin import windlass_provider

from windlass import DAG
from windlass_testing import RunDag


def test_it_says_what_it_is_told(run_dag: RunDag) -> None:
    with DAG("greetings", schedule=None) as dag:
        SayOperator(task_id="say", words="hello from {{ dag.dag_id }}")
    assert run_dag(dag).xcom("say") == "hello from greetings"


def test_its_manifest_names_it() -> None:
    assert windlass_provider().operators == {"SayOperator": f"{SayOperator.__module__}:SayOperator"}
