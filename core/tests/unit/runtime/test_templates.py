"""Templates: the context, the sandbox, files, native values, and errors that name things."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type, and authors' values any
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from windlass import DAG, BaseOperator
from windlass.authoring.context_keys import CONTEXT_KEYS
from windlass.operators import EmptyOperator, PythonOperator
from windlass.protocol import Query, Variable
from windlass.runtime import context as context_module
from windlass.runtime.templates import SHOWN, is_template, needs_jinja


class Echo(BaseOperator):
    template_fields = ("text", "more")
    template_ext = (".sql",)

    def __init__(self, *, text: Any = None, more: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.more = more

    def execute(self, context: Any) -> Any:
        return self.text


def render(lab: Any, text: object, **arguments: Any) -> Any:
    with DAG("d", **arguments) as dag:
        Echo(task_id="t", text=text)
    return lab.value(dag, "t")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ ds }} {{ ds_nodash }}", "2026-03-01 20260301"),
        ("{{ ts }}", "2026-03-01T00:00:00+00:00"),
        ("{{ ts_nodash }} {{ ts_nodash_with_tz }}", "20260301T000000 20260301T000000+0000"),
        ("{{ logical_date == execution_date == data_interval_start }}", "True"),
        ("{{ data_interval_end | ds }} {{ next_ds }}", "2026-03-02 2026-03-02"),
        ("{{ dag.dag_id }} {{ task.task_id }} {{ ti.task_id }} {{ run_id }}", "d t t r"),
        ("{{ dag_run.run_type }} {{ dag_run.conf }}", "scheduled {}"),
        ("{{ task_instance_key_str }}", "d__t__20260301"),
        ("{{ try_number }} {{ ti.idempotency_key }} {{ ti.fencing_token }}", "1 key 3"),
        ("{{ macros.ds_add(ds, 5) }} {{ macros.ds_add(ds, -1) }}", "2026-03-06 2026-02-28"),
        ("{{ macros.ds_format(ds, '%Y-%m-%d', '%d.%m.%y') }}", "01.03.26"),
        ("{{ macros.datetime(2026, 1, 2).day }} {{ macros.timedelta(days=1).days }}", "2 1"),
        ("{{ macros.json.dumps([1]) }} {{ macros.dateutil.parser.parse('2026').year }}", "[1] 2026"),
        ("{{ params.p }}", "5"),
        ("{% for x in [1, 2] %}{{ x }}{% endfor %}{# gone #}", "12"),
        ("{{ expanded_ti_count }} {{ exception }} {{ reason }}", "None None None"),
        ("no template at all", "no template at all"),
    ],
)
def test_the_context(lab: Any, template: str, text: str) -> None:
    assert render(lab, template, params={"p": 5}) == text


def test_every_key_has_a_value_and_is_known_to_authors(lab: Any, dag: DAG) -> None:
    PythonOperator(task_id="t", python_callable=lambda **context: sorted(context))
    assert set(lab.value(dag, "t")) == CONTEXT_KEYS == set(context_module._MAKERS)


def test_a_light_task_asks_nothing(lab: Any, dag: DAG) -> None:
    PythonOperator(task_id="t", python_callable=lambda ds, ti, dag_run, params: 1)
    lab.value(dag, "t")
    assert lab.session.asked == []


def test_the_previous_run(lab: Any) -> None:
    lab.session.rows["previous"] = [{"logical_date": "2026-02-28T00:00:00+00:00", "start_date": None}]
    assert render(lab, "{{ prev_ds }} {{ prev_execution_date_success | ds }} {{ prev_start_date_success }}") == (
        "2026-02-28 2026-02-28 None"
    )
    assert sum(isinstance(verb, Query) for verb in lab.session.asked) == 2


def test_variables_and_connections(lab: Any) -> None:
    lab.session.variables.update(name="v", data='{"k": [1]}')
    lab.session.connections["db"] = {"conn_type": "postgres", "host": "h"}
    template = "{{ var.value.name }} {{ var.json.data.k[0] }} {{ var.value.get('gone', 'd') }} {{ conn.db.host }}"
    assert render(lab, template) == "v 1 d h"
    assert [verb.key for verb in lab.session.asked if isinstance(verb, Variable)] == ["name", "data", "gone"]


class TestErrors:
    def fail(self, lab: Any, text: object) -> str:
        with DAG("d") as dag:
            Echo(task_id="t", text=text)
        return str(lab.finish(dag, "t").reason)

    def test_an_undefined_name(self, lab: Any) -> None:
        assert "task 't', template field 'text': 'nope' is undefined" in self.fail(lab, ["{{ nope }}"])

    def test_an_undefined_attribute(self, lab: Any) -> None:
        assert "has no attribute 'nope'" in self.fail(lab, "{{ dag.nope }}")

    def test_bad_syntax(self, lab: Any) -> None:
        assert "template field 'text': TemplateSyntaxError" in self.fail(lab, "{{ 1 + }}")

    def test_a_missing_file_names_the_folders(self, lab: Any) -> None:
        reason = self.fail(lab, "gone.sql")
        assert "file 'gone.sql' was not found; looked in" in reason
        assert str(Path(__file__).parent) in reason

    @pytest.mark.parametrize(
        "text", ["{{ ''.__class__.__mro__ }}", "{{ dag.__init__.__globals__ }}", "{{ ti.__dict__ }}"]
    )
    def test_the_sandbox(self, lab: Any, text: str) -> None:
        assert "is unsafe" in self.fail(lab, text) or "is undefined" in self.fail(lab, text)

    def test_an_undefined_variable(self, lab: Any) -> None:
        assert "variable `gone` is not defined" in self.fail(lab, "{{ var.value.gone }}")


def test_containers_at_any_depth(lab: Any) -> None:
    given = {"k": [("{{ run_id }}", {"{{ 1 + 1 }}"}), 5, None]}
    assert render(lab, given) == {"k": [("r", {"2"}), 5, None]}


def test_the_keys_of_a_dict_are_left_as_they_are(lab: Any) -> None:
    assert render(lab, {"{{ ds }}": "{{ ds }}"}) == {"{{ ds }}": "2026-03-01"}


def test_objects_with_fields_of_their_own(lab: Any) -> None:
    class Query:
        template_fields = ("sql",)
        sql = "{{ ds }}"

    original = Query()
    with DAG("d") as dag:
        PythonOperator(task_id="t", python_callable=lambda q: q.sql, op_args=[original])
    assert lab.value(dag, "t") == "2026-03-01"
    assert original.sql == "{{ ds }}"


def test_native_values(lab: Any) -> None:
    assert render(lab, "{{ [1, ti.try_number] }}", render_template_as_native_obj=True) == [1, 1]
    assert render(lab, "{{ logical_date }}", render_template_as_native_obj=True).year == 2026


def test_macros_and_filters_of_the_dag(lab: Any) -> None:
    arguments = {"user_defined_macros": {"twice": lambda x: x * 2}, "user_defined_filters": {"shout": str.upper}}
    assert render(lab, "{{ twice('a') | shout }}", **arguments) == "AA"


def test_options_of_the_environment(lab: Any) -> None:
    import jinja2

    assert render(lab, "<{{ nope }}>", template_undefined=jinja2.Undefined) == "<>"
    assert render(lab, "<< ds >>{{ x", jinja_environment_kwargs={
        "variable_start_string": "<<", "variable_end_string": ">>"
    }) == "2026-03-01{{ x"  # fmt: skip


def test_files_are_found_beside_the_dag_and_on_the_search_path(lab: Any, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("select '{{ ds }}'{% include 'part.sql' %}")
    (tmp_path / "part.sql").write_text(" -- {{ run_id }}")
    assert render(lab, "q.sql", template_searchpath=str(tmp_path)) == "select '2026-03-01' -- r"
    with DAG("d") as dag:
        Echo(task_id="t", text="q.sql")
    dag.fileloc = str(tmp_path / "dag.py")
    assert lab.value(dag, "t") == "select '2026-03-01' -- r"


def test_what_a_result_holds_is_not_rendered(lab: Any, dag: DAG) -> None:
    first = EmptyOperator(task_id="first")
    Echo(task_id="t", text=first.output)
    lab.give("first", "{{ 7 * 7 }}")
    assert lab.value(dag, "t") == "{{ 7 * 7 }}"


def test_rendered_fields_are_shown(lab: Any, dag: DAG) -> None:
    Echo(task_id="t", text=["{{ ds }}", print, {1: Path("/x")}], more="x" * (SHOWN + 1))
    lab.finish(dag, "t")
    assert lab.rendered == {
        "text": ["2026-03-01", "<print>", {"1": "/x"}],
        "more": f"<text of {SHOWN + 1} characters, too long to show>",
    }


def test_dag_params_resolve_in_arguments(lab: Any) -> None:
    from windlass import dag as dag_decorator

    @dag_decorator
    def d(day: str = "monday") -> None:
        Echo(task_id="t", text=[day])
        Echo(task_id="f", text=f"on {day}")

    made = d()
    assert lab.value(made, "t", conf={"day": "friday"}) == ["friday"]
    assert lab.value(made, "f") == "on monday"


@pytest.mark.parametrize(
    ("value", "answer"),
    [("{{ x }}", True), ("{% x %}", True), ("{# x #}", True), ("{x}", False), (["{{ x }}"], True), (5, False)],
)
def test_what_counts_as_a_template(value: object, answer: bool) -> None:
    assert is_template(value) is answer


def test_jinja_is_needed_only_where_a_template_is() -> None:
    with DAG("plain") as plain:
        Echo(task_id="t", text="x")
    with DAG("mapped") as mapped:
        Echo.partial(task_id="t").expand(text=["{{ ds }}"])
    with DAG("file") as file:
        Echo(task_id="t", text="q.sql")
    assert [needs_jinja(made) for made in (plain, mapped, file)] == [False, True, True]
