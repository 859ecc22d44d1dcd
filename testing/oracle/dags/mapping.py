"""Mapping: how many instances, with which arguments, in which order, and what those below them get."""

from __future__ import annotations

from portable import (
    DAG,
    BashOperator,
    EmptyOperator,
    FailTask,
    PythonOperator,
    SkipTask,
    task,
    task_group,
)


@task
def numbers():
    return [1, 2, 3]


@task
def words():
    return ["a", "b"]


@task
def letters():
    return {"a": "x", "b": "y"}


@task
def nothing():
    return []


@task
def show(*values, **named):
    return [list(values), named] if values else named


@task
def collect(values):
    return list(values)


@task(trigger_rule="all_done")
def collect_anyway(values):
    return list(values)


@task
def pick(value):
    """Fail, skip, return nothing or the value."""
    if value == "fail":
        raise FailTask("on purpose")
    if value == "skip":
        raise SkipTask("on purpose")
    return None if value == "none" else value


def add(a, b=0):
    return a + b


with DAG("map_literal", schedule=None):
    collect(pick.expand(value=["a", "b", "c"]))

with DAG("map_result", schedule=None):
    collect(pick.expand(value=numbers()))

with DAG("map_length_one", schedule=None):
    collect(pick.expand(value=["a"]))

with DAG("map_dict", schedule=None):
    collect(pick.expand(value=letters()))

with DAG("map_cross_product", schedule=None):

    @task
    def pair(first, second):
        return [first, second]

    collect(pair.expand(first=numbers(), second=["a", "b"]))

with DAG("map_partial", schedule=None):

    @task
    def describe(color, size):
        return f"{color} {size}"

    describe.partial(color="red").expand(size=[1, 2])
    BashOperator.partial(task_id="bash", env={"COLOR": "red"}, append_env=True).expand(
        bash_command=["echo $COLOR 1", "echo $COLOR 2"]
    )

with DAG("map_expand_kwargs", schedule=None):

    @task
    def arguments():
        return [{"a": 1}, {"a": 2, "b": 3}]

    @task
    def plus(a, b=0):
        return a + b

    plus.expand_kwargs(arguments())
    plus.override(task_id="from_literal").expand_kwargs([{"a": 10, "b": 1}])
    PythonOperator.partial(task_id="classic", python_callable=add).expand_kwargs(
        [{"op_args": [1, 2]}, {"op_kwargs": {"a": 4}}]
    )

with DAG("map_empty", schedule=None):
    mapped = pick.expand(value=nothing())
    collect(mapped)
    mapped >> EmptyOperator(task_id="all_done", trigger_rule="all_done")
    mapped >> EmptyOperator(task_id="none_failed", trigger_rule="none_failed")

with DAG("map_empty_literal", schedule=None):
    pick.expand(value=[]) >> EmptyOperator(task_id="below")

with DAG("map_not_a_list", schedule=None):

    @task
    def text():
        return "abc"

    pick.expand(value=text())

with DAG("map_nothing_returned", schedule=None):

    @task
    def silent():
        pass

    pick.expand(value=silent())

with DAG("map_failed_upstream", schedule=None):

    @task
    def broken():
        raise FailTask("on purpose")

    pick.expand(value=broken()) >> EmptyOperator(task_id="below", trigger_rule="all_done")

with DAG("map_skipped_upstream", schedule=None):

    @task
    def skipped():
        raise SkipTask("on purpose")

    pick.expand(value=skipped()) >> EmptyOperator(task_id="below", trigger_rule="all_done")

with DAG("map_one_failed", schedule=None):
    mapped = pick.expand(value=["a", "fail", "c"])
    collect(mapped)
    collect_anyway(mapped)

with DAG("map_one_skipped", schedule=None):
    mapped = pick.expand(value=["a", "skip", "c"])
    collect(mapped)
    collect_anyway(mapped)

with DAG("map_one_none", schedule=None):
    collect(pick.expand(value=["a", "none", "c"]))

with DAG("map_of_mapped", schedule=None):

    @task
    def double(value):
        return value * 2

    collect(double.expand(value=double.override(task_id="first").expand(value=numbers())))

with DAG("map_function", schedule=None):

    def only_even(value):
        if value % 2:
            raise SkipTask("odd")
        return value * 10

    pick.expand(value=numbers().map(only_even))
    collect(numbers().map(lambda value: value + 1).map(str))

with DAG("map_zip", schedule=None):
    shorter = words()
    pick.expand(value=numbers().zip(shorter))
    pick.override(task_id="filled").expand(value=numbers().zip(shorter, fillvalue="-"))

with DAG("map_concat", schedule=None):
    pick.expand(value=numbers().concat(words()))

with DAG("map_index_template", schedule=None):

    @task(map_index_template="{{ name }}")
    def named(value):
        from portable import get_current_context

        get_current_context()["name"] = f"the {value}"
        return value

    named.expand(value=["a", "b"])

with DAG("map_pull", schedule=None):

    @task
    def pull(ti=None):
        return {
            "all": list(ti.xcom_pull(task_ids="pick")),
            "one": ti.xcom_pull(task_ids="pick", map_indexes=1),
            "some": list(ti.xcom_pull(task_ids="pick", map_indexes=[2, 0])),
            "list": ti.xcom_pull(task_ids=["numbers"]),
            "missing": ti.xcom_pull(task_ids="numbers", key="missing"),
            "default": ti.xcom_pull(task_ids="numbers", key="missing", default="instead"),
        }

    [pick.expand(value=["a", "b", "c"]), numbers()] >> pull()

with DAG("map_lazy_sequence", schedule=None):

    @task
    def look(values):
        return [len(values), values[0], values[-1], list(values[1:]), bool(values)]

    look(pick.expand(value=["a", "b", "c"]))

# --- Mapped groups ------------------------------------------------------------------------------------------------

with DAG("map_group", schedule=None):

    @task
    def plus(value, more):
        return value + more

    @task_group
    def each(value):
        return plus(pick(value), 10)

    collect(each.expand(value=numbers()))

with DAG("map_group_own_index", schedule=None):
    # An instance waits for its own index alone: one failure stops one row.
    @task_group
    def row(value):
        pick(value) >> EmptyOperator(task_id="second") >> EmptyOperator(task_id="third", trigger_rule="all_done")

    row.expand(value=["a", "fail", "skip"]) >> EmptyOperator(task_id="after", trigger_rule="none_skipped")

with DAG("map_group_empty", schedule=None):

    @task_group
    def row(value):
        pick(value) >> EmptyOperator(task_id="second", trigger_rule="all_done")

    row.expand(value=nothing()) >> EmptyOperator(task_id="after", trigger_rule="all_done")

with DAG("map_group_of_two", schedule=None):

    @task_group
    def cell(first, second):
        return show(first=first, second=second)

    cell.partial(first="a").expand(second=["x", "y"])
    cell.override(group_id="rows").expand_kwargs([{"first": 1, "second": 2}, {"first": 3, "second": 4}])

with DAG("map_inside_mapped_group", schedule=None):

    @task
    def upto(count):
        return list(range(count))

    @task
    def add_up(values):
        return sum(values)

    @task_group
    def each(count):
        add_up(upto(count))

    each.expand(count=[1, 3])
