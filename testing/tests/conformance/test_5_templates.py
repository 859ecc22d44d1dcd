"""SEMANTICS, section 5: templates: fields, files, containers, native values, errors; what is kept for people to see."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG, task
from windlass.operators import BaseOperator, Context
from windlass_testing.virtual import VirtualInstallation


class Show(BaseOperator):
    """An operator that returns its rendered fields."""

    template_fields = ("first", "second")
    template_ext = (".sql",)

    def __init__(self, *, first: Any = None, second: Any = None, third: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.second, self.third = first, second, third

    def execute(self, context: Context) -> list[Any]:
        return [self.first, self.second, self.third]


def shown(windlass: VirtualInstallation, *, dag: dict[str, Any] | None = None, **fields: Any) -> list[Any]:
    """Return the fields of an operator as it sees them when it runs."""
    with DAG("d", schedule=None, **(dag or {})) as made:
        Show(task_id="show", **fields)
    run = windlass.run(made, run_id="r")
    assert run.state == "success", windlass.log(run, "show")
    result: list[Any] = windlass.xcom(run, "show")
    return result


def error(windlass: VirtualInstallation, *, dag: dict[str, Any] | None = None, **fields: Any) -> str:
    """Return why an operator whose template is wrong failed."""
    with DAG("d", schedule=None, **(dag or {})) as made:
        Show(task_id="show", **fields)
    run = windlass.run(made)
    assert windlass.states(run) == {"show": "failed"}
    return windlass.reason(run, "show")


def test_only_template_fields_are_rendered(windlass: VirtualInstallation) -> None:
    template = "{{ run_id }}"
    assert shown(windlass, first=template, second="plain", third=template) == ["r", "plain", template]


def test_nested_containers_are_rendered_at_any_depth(windlass: VirtualInstallation) -> None:
    first = {"a": ["{{ run_id }}", ("{{ 1 + 1 }}",)], "{{ key }}": {"{{ run_id }}"}}
    assert shown(windlass, first=first)[0] == {"a": ["r", ("2",)], "{{ key }}": {"r"}}, "keys stay as they are"


def test_a_field_that_ends_in_a_template_ext_is_loaded_from_that_file(
    windlass: VirtualInstallation, tmp_path: Path
) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "query.sql").write_text("select '{{ run_id }}' {% include 'tail.sql' %}")
    (tmp_path / "sql" / "tail.sql").write_text("from {{ params.table }}")
    found = shown(
        windlass, first="query.sql", dag={"template_searchpath": str(tmp_path / "sql"), "params": {"table": "t"}}
    )
    assert found[0] == "select 'r' from t"


def test_a_file_that_is_not_there_names_the_folders(windlass: VirtualInstallation, tmp_path: Path) -> None:
    reason = error(windlass, first="query.sql", dag={"template_searchpath": [str(tmp_path)]})
    assert "'query.sql' was not found" in reason
    assert str(tmp_path) in reason


def test_native_rendering_gives_values_instead_of_text(windlass: VirtualInstallation) -> None:
    fields = {"first": "{{ [1, 2] }}", "second": "{{ params.size }}"}
    assert shown(windlass, **fields, dag={"params": {"size": 3}})[:2] == ["[1, 2]", "3"]
    native = {"params": {"size": 3}, "render_template_as_native_obj": True}
    with closing(VirtualInstallation(windlass.folder / "native")) as other:
        assert shown(other, **fields, dag=native)[:2] == [[1, 2], 3]


def test_user_macros_and_filters(windlass: VirtualInstallation) -> None:
    dag = {
        "user_defined_macros": {"greet": lambda name: f"hi {name}", "city": "Oslo"},
        "user_defined_filters": {"loud": lambda text: text.upper()},
    }
    assert shown(windlass, first="{{ greet(city) | loud }}", dag=dag)[0] == "HI OSLO"


def test_jinja_environment_kwargs_and_template_undefined(windlass: VirtualInstallation) -> None:
    import jinja2

    dag = {"jinja_environment_kwargs": {"variable_start_string": "<<", "variable_end_string": ">>"}}
    assert shown(windlass, first="{% if 1 %}<< run_id >>{% endif %}", dag=dag)[0] == "r"
    with closing(VirtualInstallation(windlass.folder / "lenient")) as lenient:
        assert shown(lenient, first="[{{ nothing }}]", dag={"template_undefined": jinja2.Undefined})[0] == "[]"


def test_an_undefined_name_is_an_error_that_names_field_task_and_name(windlass: VirtualInstallation) -> None:
    reason = error(windlass, second="{{ nothing }}")
    assert "'show'" in reason
    assert "'second'" in reason
    assert "'nothing' is undefined" in reason


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ ", "TemplateSyntaxError"),
        ("{{ ti.nothing }}", "no attribute 'nothing'"),
        ("{{ var.value.nothing }}", "variable"),
        ("{{ conn.nothing.host }}", "connection"),
        ("{{ ().__class__.__bases__ }}", "__class__"),
    ],
)
def test_every_mistake_in_a_template_is_told_in_one_line(
    windlass: VirtualInstallation, template: str, words: str
) -> None:
    assert words in error(windlass, first=template)


def test_what_another_task_returned_is_data_and_never_rendered(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        Show(task_id="show", first=task(task_id="make")(lambda: "{{ run_id }}")())
    assert windlass.xcom(windlass.run(dag), "show")[0] == "{{ run_id }}"


def test_an_xcom_is_pulled_in_a_template(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        made = task(task_id="make")(lambda: [1, 2])()
        Show(task_id="show", first="{{ ti.xcom_pull('make')[1] }}", second=f"got {made}")
        made >> dag.get_task("show")
    assert windlass.xcom(windlass.run(dag), "show")[:2] == ["2", "got [1, 2]"]


def test_ti_render_template_renders_what_the_task_gives_it(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        task(task_id="t")(lambda ti: ti.render_template(["{{ run_id }}"]))()
    assert windlass.xcom(windlass.run(dag, run_id="r"), "t") == ["r"]


# --- What is kept for people to see


def test_rendered_fields_are_kept_for_people_to_see(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        Show(task_id="show", first=["{{ run_id }}"], second=len)
    run = windlass.run(dag, run_id="r")
    assert windlass.rendered(run, "show") == {"first": ["r"], "second": "<len>"}


def test_rendered_fields_are_masked(windlass: VirtualInstallation) -> None:
    windlass.environ["WINDLASS_VAR_API_PASSWORD"] = "tulip-garden"
    windlass.environ["WINDLASS_CONN_DB"] = "postgres://u:rose-garden@db"
    with DAG("d", schedule=None) as dag:
        Show(task_id="show", first="{{ var.value.api_password }}!", second={"url": "{{ conn.db.password }}"})
    run = windlass.run(dag)
    assert windlass.rendered(run, "show") == {"first": "***!", "second": {"url": "***"}}
