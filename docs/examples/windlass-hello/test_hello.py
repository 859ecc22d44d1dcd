from __future__ import annotations

from windlass_hello.greeting import HelloOperator

from windlass import DAG


def test_it_greets_in_the_tone_of_the_connection() -> None:
    with DAG("hello", schedule=None) as dag:
        HelloOperator(task_id="greet", name="{{ dag.dag_id }}")
    result = dag.test(connections={"hello_default": "hello://greet.example?tone=formal"})
    assert result.xcom("greet") == "Good day, hello (from https://greet.example)"
