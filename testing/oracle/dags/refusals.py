"""What a DAG file may not say: each attempt is made while the file is read, and a task returns how it went."""

from __future__ import annotations

from datetime import UTC, datetime

from portable import DAG, EmptyOperator, TaskGroup, chain, judge, task

ATTEMPTS = {}


def attempt(build):
    """Let ``build`` fill a DAG that is never run, and remember whether it may."""
    made = DAG(f"attempt_{build.__name__}", schedule=None, auto_register=False)
    try:
        with made:
            build()
        judge(made)
    except Exception as error:  # noqa: BLE001 - whatever it is, the file was refused
        ATTEMPTS[build.__name__] = "refused"
        del error
    else:
        ATTEMPTS[build.__name__] = "accepted"


def two():
    return EmptyOperator(task_id="a"), EmptyOperator(task_id="b")


@task
def give(value=None):
    return value


@attempt
def cycle():
    a, b = two()
    a >> b >> a


@attempt
def itself():
    a, _ = two()
    a >> a


@attempt
def same_task_id_twice():
    EmptyOperator(task_id="a")
    EmptyOperator(task_id="a")


@attempt
def same_group_id_twice():
    with TaskGroup("g"):
        pass
    with TaskGroup("g"):
        pass


@attempt
def group_called_like_a_task():
    EmptyOperator(task_id="g")
    with TaskGroup("g"):
        pass


@attempt
def list_to_list():
    [*two()] >> [EmptyOperator(task_id="c")]


@attempt
def positional_argument():
    EmptyOperator("a")


@attempt
def unknown_argument():
    EmptyOperator(task_id="a", retires=3)


@attempt
def no_task_id():
    EmptyOperator()


@attempt
def task_id_with_a_space():
    EmptyOperator(task_id="a b")


@attempt
def task_id_too_long():
    EmptyOperator(task_id="a" * 251)


@attempt
def unknown_rule():
    EmptyOperator(task_id="a", trigger_rule="sometimes")


@attempt
def iterate_a_reference():
    list(give())


@attempt
def key_that_is_no_text():
    give()[0]


@attempt
def expand_without_arguments():
    give.expand()


@attempt
def expand_a_number():
    give.expand(value=5)


@attempt
def expand_what_is_partial():
    give.partial(value=1).expand(value=[1])


@attempt
def partial_unknown():
    give.partial(nonsense=1).expand(value=[1])


@attempt
def call_with_too_many_arguments():
    give(1, 2)


@attempt
def chain_of_different_lengths():
    a, b = two()
    chain([a, b], [EmptyOperator(task_id=name) for name in "cde"])


@attempt
def unknown_argument_of_a_dag():
    DAG("other", schedule=None, start_dat=datetime(2024, 1, 1, tzinfo=UTC), auto_register=False)


@attempt
def cron_out_of_range():
    judge(DAG("other", schedule="61 * * * *", start_date=datetime(2024, 1, 1, tzinfo=UTC), auto_register=False))


@attempt
def retries_that_are_text():
    EmptyOperator(task_id="a", retries="many")


@attempt
def pool_slots_of_zero():
    EmptyOperator(task_id="a", pool_slots=0)


@attempt
def teardown_without_setup():
    EmptyOperator(task_id="a").as_teardown()


@attempt
def setup_that_is_teardown():
    EmptyOperator(task_id="a").as_setup().as_teardown()


@attempt
def start_date_that_is_text():
    EmptyOperator(task_id="a", start_date="2024-01-01")


with DAG("refusals", schedule=None):

    @task(multiple_outputs=True)
    def attempts():
        return ATTEMPTS

    attempts()
