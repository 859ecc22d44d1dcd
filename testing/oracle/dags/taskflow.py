"""TaskFlow, XComs and templates: how values travel from task to task."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from portable import (
    DAG,
    BaseOperator,
    BashOperator,
    EmptyOperator,
    Param,
    PythonOperator,
    Variable,
    XComArg,
    dag,
    get_current_context,
    task,
)

LATER = {"at": "2024-03-07T08:00:00+00:00", "triggers": []}
SCENARIOS = {}


@task
def collect(value):
    return value


def echo(text):
    return text


# --- TaskFlow -----------------------------------------------------------------------------------------------------

with DAG("flow_multiple_outputs", schedule=None):

    @task(multiple_outputs=True)
    def explicit():
        return {"a": 1, "b": {"c": 2}}

    @task
    def inferred() -> dict[str, int]:
        return {"x": 3}

    @task(multiple_outputs=False)
    def refused() -> dict[str, int]:
        return {"x": 4}

    first = explicit()
    collect([first["a"], first["b"], inferred()["x"], refused()])

with DAG("flow_multiple_outputs_of_no_dict", schedule=None):

    @task(multiple_outputs=True)
    def wrong():
        return [1]

    wrong() >> EmptyOperator(task_id="below")

with DAG("flow_called_again", schedule=None):

    @task
    def name():
        return get_current_context()["task"].task_id

    collect([name(), name(), name.override(task_id="other")(), name()])

with DAG("flow_nested_arguments", schedule=None):

    @task
    def one():
        return 1

    @task
    def gather(*args, named=None, **rest):
        return {"args": list(args), "named": named, "rest": rest}

    gather(one(), [one(), {"deep": [one()]}], named=(one(), 2), more={"k": one()})

with DAG("flow_context", schedule=None):

    @task
    def by_name(ds, ti, params, run_id=None, unknown="default"):
        return [ds, ti.task_id, dict(params), unknown]

    @task
    def by_kwargs(**kwargs):
        return sorted(key for key in ("ds", "ti", "params", "task", "dag_run", "macros", "var") if key in kwargs)

    by_name()
    by_kwargs()

with DAG("flow_text_of_a_reference", schedule=None):

    @task
    def word():
        return "word"

    said = word()
    said >> BashOperator(task_id="bash", bash_command=f"echo {said}")

with DAG("flow_classic_to_taskflow", schedule=None):
    classic = PythonOperator(task_id="classic", python_callable=lambda: {"key": [1, 2]})
    collect(classic.output)
    PythonOperator(task_id="keyed", python_callable=lambda v: v, op_args=[XComArg(classic)])

with DAG("flow_no_push", schedule=None):

    @task(do_xcom_push=False)
    def quiet():
        return "unheard"

    @task
    def none():
        return None

    @task
    def pull(ti=None):
        return [ti.xcom_pull(task_ids="quiet"), ti.xcom_pull(task_ids="none")]

    [quiet(), none()] >> pull()


@dag(schedule=None, tags=["made"])
def flow_dag_decorator(size=3):
    collect(size)


flow_dag_decorator()

with DAG("flow_conditions", schedule=None):

    def always(context):
        return True

    @task.run_if(always)
    @task
    def runs():
        return 1

    @task.run_if(lambda context: context["run_id"] == "another")
    @task
    def runs_not():
        return 2

    @task.skip_if(always)
    @task
    def skips():
        return 3

    [runs(), runs_not()] >> EmptyOperator(task_id="below")
    skips() >> EmptyOperator(task_id="below_skipped", trigger_rule="none_failed")

with DAG("flow_pull", schedule=None):

    @task
    def push(ti=None):
        ti.xcom_push(key="a", value=[1])
        ti.xcom_push("b", {"c": None})
        return "returned"

    @task
    def pull(ti=None):
        return [
            ti.xcom_pull(task_ids="push"),
            ti.xcom_pull(task_ids="push", key="a"),
            ti.xcom_pull(task_ids=["push", "absent"]),
            ti.xcom_pull(task_ids=["push"], key="b"),
            ti.xcom_pull(task_ids="absent"),
        ]

    push() >> pull()

# --- XCom types ---------------------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float


VALUES = {
    "json": {"a": [1, 2.5, None, True, "x"], "b": {}},
    "text": "ünï",
    "big": 2**60,
    "datetime": datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "timedelta": timedelta(days=1, microseconds=5),
    "date": date(2024, 1, 2),
    "tuple": (1, (2, 3)),
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "decimal": Decimal("1.50"),
    "uuid": UUID(int=7),
    "bytes": b"\x00\xff",
    "path": Path("/x/y"),
    "time": time(1, 2, 3),
    "enum": Color.RED,
    "dataclass": Point(1, 2.0),
    "naive": datetime(2024, 1, 2, 3),  # noqa: DTZ001 - a naive one
    "nested": {"list": [date(2024, 1, 2), {"when": timedelta(1)}]},
}


class Unknown:
    """Of a type that no engine knows how to write."""


def make_unknown():
    return Unknown()


def types_of(value):
    """Return a value's type, and those inside it."""
    name = type(value).__name__
    if isinstance(value, dict):
        return {key: types_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [name, *(types_of(item) for item in value)]
    return name


for kind, value in VALUES.items():
    with DAG(f"xcom_{kind}", schedule=None):
        made = PythonOperator(task_id="make", python_callable=lambda value=value: value)

        @task
        def look(got, want=value):
            return [types_of(got), got == want, str(got)]

        look(made.output)

with DAG("xcom_unknown_type", schedule=None):
    PythonOperator(task_id="make", python_callable=make_unknown) >> EmptyOperator(task_id="below")

# --- Params and templates -----------------------------------------------------------------------------------------

with DAG(
    "params",
    schedule=None,
    params={"a": 1, "b": Param("two", type="string"), "c": Param(None, type=["null", "integer"])},
):

    @task(params={"a": 10, "d": "of the task"})
    def own(params=None):
        return dict(params)

    @task
    def of_the_dag(params=None):
        return dict(params)

    own()
    of_the_dag()
    BashOperator(task_id="bash", bash_command="echo {{ params.a }} {{ params.b }} {{ dag_run.conf }}")
SCENARIOS["params"] = {
    "triggers": [
        {"at": "2024-03-05T06:07:08+00:00", "logical_date": "2024-03-05T06:07:08+00:00"},
        {
            "at": "2024-03-05T07:00:00+00:00",
            "logical_date": "2024-03-05T07:00:00+00:00",
            "conf": {"a": 5, "c": 6, "new": [1]},
        },
    ]
}

with DAG("params_invalid_conf", schedule=None, params={"n": Param(1, type="integer", minimum=0)}):
    EmptyOperator(task_id="a")
SCENARIOS["params_invalid_conf"] = {
    "triggers": [{"at": "2024-03-05T06:07:08+00:00", "logical_date": "2024-03-05T06:07:08+00:00", "conf": {"n": -1}}]
}

with DAG("params_reference", schedule=None, params={"n": 3}) as referring:
    collect(referring.param("n"))

TEXTS = {
    "dates": "{{ ds }} {{ ds_nodash }} {{ ts }} {{ ts_nodash }} {{ ts_nodash_with_tz }} {{ logical_date }}",
    "interval": "{{ data_interval_start }} {{ data_interval_end }}",
    "run": "{{ dag.dag_id }} {{ dag_run.dag_id }} {{ task.task_id }} {{ ti.task_id }} {{ task_instance.map_index }}",
    "run_id": "{{ run_id }}",
    "key": "{{ task_instance_key_str }}",
    "try": "{{ ti.try_number }} {{ ti.max_tries }}",
    "macros": "{{ macros.ds_add(ds, 5) }} {{ macros.ds_format(ds, '%Y-%m-%d', '%d.%m.%Y') }}",
    "macros_of_time": "{{ macros.datetime(2024, 1, 1) }} {{ macros.timedelta(days=1) }}",
    "macros_of_modules": "{{ macros.json.dumps([1]) }} {{ macros.dateutil.parser.parse('2024-01-02') }}",
    "filters": "{{ logical_date | ds }} {{ logical_date | ds_nodash }}",
    "filters_of_time": "{{ logical_date | ts }} {{ logical_date | ts_nodash }}",
    "more_filters": "{{ logical_date | ts_nodash_with_tz }}",
    "var": "{{ var.value.get('absent', 'instead') }} {{ var.json.get('absent', [1]) }}",
    "conn": "{{ conn.get('absent', 'instead') }}",
    "empty": "{{ inlets }} {{ outlets }} {{ map_index_template }}",
    "calendar": "{{ logical_date.add(days=1) if logical_date.add is defined else 'not pendulum' }}",
    "run_type": "{{ dag_run.run_type }}",
    "old_names": "{{ execution_date | default('not there') }} {{ next_ds | default('not there') }}",
    "more_names": "{{ try_number | default('not there') }} {{ expanded_ti_count | default('not there') }}",
    "names_of_some_tasks": "{{ templates_dict | default('not there') }} {{ exception | default('not there') }}",
    "reschedules": "{{ task_reschedule_count | default('not there') }}",
}

with DAG("templates_of_a_manual_run", schedule=None):
    for name, text in TEXTS.items():
        PythonOperator(task_id=name, python_callable=echo, op_args=[text])

with DAG("templates_of_a_scheduled_run", schedule="@daily", start_date=datetime(2024, 3, 5, tzinfo=UTC), catchup=True):
    for name, text in TEXTS.items():
        PythonOperator(task_id=name, python_callable=echo, op_args=[text])
SCENARIOS["templates_of_a_scheduled_run"] = {"at": "2024-03-06T08:00:00+00:00", "triggers": []}

with DAG(
    "templates_of_the_run_before",
    schedule="@daily",
    start_date=datetime(2024, 3, 4, tzinfo=UTC),
    catchup=True,
    max_active_runs=1,
):

    @task
    def fail_on_the_fifth(ds=None):
        if ds == "2024-03-05":
            raise ValueError("on purpose")

    fail_on_the_fifth()
    for name in ("start", "end"):
        PythonOperator(task_id=name, python_callable=echo, op_args=[f"{{{{ prev_data_interval_{name}_success }}}}"])
SCENARIOS["templates_of_the_run_before"] = LATER

with DAG("templates_in_containers", schedule=None):

    class Fields(BaseOperator):
        template_fields = ("nested", "number", "text")

        def __init__(self, nested, number, text, **kwargs):
            super().__init__(**kwargs)
            self.nested, self.number, self.text = nested, number, text

        def execute(self, context):
            return [self.nested, self.number, self.text]

    Fields(
        task_id="fields",
        nested={"{{ ds }}": ["{{ ds }}", ("{{ ds_nodash }}", 1), {"deep": "{{ dag.dag_id }}"}]},
        number=5,
        text="{% for n in [1, 2] %}{{ n }};{% endfor %}",
    )
SCENARIOS["templates_in_containers"] = {"rendered": True}

with DAG("templates_native", schedule=None, render_template_as_native_obj=True):

    @task
    def data():
        return {"a": [1, 2]}

    data() >> PythonOperator(
        task_id="native",
        python_callable=lambda *args: [[type(arg).__name__, arg] for arg in args],
        op_args=["{{ ti.xcom_pull('data') }}", "{{ [1, 2] }}", "{{ 1 }}", "{{ ds }}", "{{ none }}", "plain 1"],
    )

with DAG(
    "templates_own_macros",
    schedule=None,
    user_defined_macros={"greet": lambda name: f"hello {name}", "answer": 42},
    user_defined_filters={"shout": lambda text: text.upper()},
):
    BashOperator(task_id="bash", bash_command="echo {{ greet('x') }} {{ answer }} {{ 'y' | shout }}")
SCENARIOS["templates_own_macros"] = {"rendered": True}

with DAG("templates_undefined", schedule=None):
    PythonOperator(task_id="absent", python_callable=echo, op_args=["{{ absent }}"])
    PythonOperator(task_id="attribute", python_callable=echo, op_args=["{{ params.absent }}"])

with DAG("templates_dict", schedule=None):
    PythonOperator(
        task_id="python",
        python_callable=lambda templates_dict: templates_dict,
        templates_dict={"day": "{{ ds }}", "plain": 1},
    )

with DAG("bash", schedule=None):
    BashOperator(task_id="last_line", bash_command="echo first; echo last")
    BashOperator(task_id="fails", bash_command="exit 3") >> EmptyOperator(task_id="below_failed")
    BashOperator(task_id="skips", bash_command="exit 99") >> EmptyOperator(task_id="below_skipped")
    BashOperator(task_id="skips_on_5", bash_command="exit 5", skip_on_exit_code=[4, 5])
    BashOperator(task_id="env", bash_command='echo "$DAY ${HOME:-no home}"', env={"DAY": "{{ ds }}"})
    BashOperator(task_id="silent", bash_command="true")
    BashOperator(task_id="folder", bash_command="pwd", cwd="/tmp")
SCENARIOS["bash"] = {"rendered": True}

with DAG("variables", schedule=None):

    @task
    def use():
        Variable.set("oracle", {"a": 1}, serialize_json=True)
        found = Variable.get("oracle", deserialize_json=True)
        return [found, Variable.get("oracle")]

    use() >> BashOperator(task_id="bash", bash_command="echo {{ var.json.oracle.a }} '{{ var.value.oracle }}'")
