"""Retries, failures that end a run early, setups and teardowns, groups, default arguments."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta

from portable import (
    DAG,
    BaseOperator,
    BashOperator,
    EmptyOperator,
    FailTask,
    PythonOperator,
    SkipTask,
    TaskGroup,
    chain,
    chain_linear,
    cross_downstream,
    setup,
    task,
    task_group,
    teardown,
)

SCENARIOS = {}


def fail():
    raise ValueError("on purpose")


def nothing():
    pass


# --- Retries ------------------------------------------------------------------------------------------------------

with DAG("retry_then_success", schedule=None):

    @task(retries=2, retry_delay=timedelta(minutes=5))
    def third_time(ti=None):
        ti.xcom_push("tried", ti.try_number)
        if ti.try_number < 3:
            raise ValueError("on purpose")
        return f"try {ti.try_number} of {ti.max_tries + 1}"

    third_time() >> EmptyOperator(task_id="below")

with DAG("retry_exhausted", schedule=None):
    PythonOperator(task_id="fails", python_callable=fail, retries=2, retry_delay=1) >> EmptyOperator(task_id="below")

with DAG("retry_wipes_xcoms", schedule=None):

    @task(retries=1, retry_delay=1)
    def pushes(ti=None):
        seen = ti.xcom_pull(task_ids="pushes", key="first")
        if ti.try_number == 1:
            ti.xcom_push("first", 1)
            raise ValueError("on purpose")
        return {"seen": seen}

    pushes()

with DAG("retry_not_for_fail_exception", schedule=None):

    @task(retries=3)
    def gives_up():
        raise FailTask("on purpose")

    gives_up()

with DAG("retry_then_skip", schedule=None):

    @task(retries=1, retry_delay=1)
    def skips(ti=None):
        if ti.try_number == 2:
            raise SkipTask("on purpose")
        raise ValueError("on purpose")

    skips() >> EmptyOperator(task_id="below")

with DAG("retry_backoff", schedule=None):
    PythonOperator(
        task_id="fails",
        python_callable=fail,
        retries=3,
        retry_delay=timedelta(seconds=2),
        retry_exponential_backoff=True,
        max_retry_delay=timedelta(seconds=5),
    )

with DAG("retry_of_mapped", schedule=None):

    @task(retries=1, retry_delay=1)
    def odd_fails(number, ti=None):
        if number % 2 and ti.try_number == 1:
            raise ValueError("on purpose")
        return [number, ti.try_number, ti.map_index]

    odd_fails.expand(number=[0, 1, 2, 3])

with DAG("timeout_of_a_task", schedule=None):
    PythonOperator(task_id="slow", python_callable=lambda: time.sleep(20), execution_timeout=timedelta(seconds=1))
SCENARIOS["timeout_of_a_task"] = {"processes": True}

with DAG("exit_code_of_the_process", schedule=None):
    PythonOperator(task_id="exits", python_callable=lambda: sys.exit(3)) >> EmptyOperator(task_id="below")

with DAG("fail_fast", schedule=None, fail_fast=True):
    failed = PythonOperator(task_id="fails", python_callable=fail)
    failed >> EmptyOperator(task_id="below")
    slow = EmptyOperator(task_id="before", trigger_rule="all_success")
    PythonOperator(task_id="retries", python_callable=fail, retries=1) >> slow >> EmptyOperator(task_id="after")

# --- Setup and teardown -------------------------------------------------------------------------------------------


def block(dag_id, make=None, work=None, remove=None, **arguments):
    """A setup, a task and a teardown, each of which may fail or skip."""
    with DAG(dag_id, schedule=None):
        makes = PythonOperator(task_id="make", python_callable=make or nothing)
        works = PythonOperator(task_id="work", python_callable=work or nothing)
        removes = PythonOperator(task_id="remove", python_callable=remove or nothing)
        makes.as_setup() >> works >> removes.as_teardown(setups=makes, **arguments)
        works >> EmptyOperator(task_id="after")


def skip():
    raise SkipTask("on purpose")


block("teardown_after_success")
block("teardown_after_failure", work=fail)
block("teardown_after_failed_setup", make=fail)
block("teardown_after_skipped_setup", make=skip)
block("teardown_fails", remove=fail)
block("teardown_fails_the_run", remove=fail, on_failure_fail_dagrun=True)

with DAG("teardown_decorators", schedule=None):

    @setup
    def make():
        return "cluster"

    @task
    def work(where):
        return f"worked at {where}"

    @teardown
    def remove(where):
        return f"removed {where}"

    made = make()
    with made >> remove(made):
        work(made)

with DAG("teardown_of_two_setups", schedule=None):
    # One of two setups ended well, which is enough.
    good = EmptyOperator(task_id="good").as_setup()
    bad = PythonOperator(task_id="bad", python_callable=fail).as_setup()
    [good, bad] >> EmptyOperator(task_id="work") >> EmptyOperator(task_id="remove").as_teardown(setups=[good, bad])

with DAG("teardown_in_a_group", schedule=None):
    # What comes after the group does not wait for the teardown in it, so its failure stops nobody.
    with TaskGroup("group") as group:
        makes = EmptyOperator(task_id="make").as_setup()
        removes = PythonOperator(task_id="remove", python_callable=fail)
        makes >> EmptyOperator(task_id="work") >> removes.as_teardown(setups=makes)
    group >> EmptyOperator(task_id="after")

with DAG("teardown_is_the_only_task", schedule=None):
    PythonOperator(task_id="remove", python_callable=fail).as_teardown()

with DAG("fail_fast_spares_teardown", schedule=None, fail_fast=True):
    makes = EmptyOperator(task_id="make").as_setup()
    works = PythonOperator(task_id="work", python_callable=fail)
    makes >> works >> EmptyOperator(task_id="more") >> EmptyOperator(task_id="remove").as_teardown(setups=makes)

# --- Groups and arrows --------------------------------------------------------------------------------------------

with DAG("group_after_group", schedule=None):
    with TaskGroup("one") as one:
        EmptyOperator(task_id="a") >> EmptyOperator(task_id="b")
        PythonOperator(task_id="c", python_callable=fail)
    with TaskGroup("two") as two:
        EmptyOperator(task_id="a") >> EmptyOperator(task_id="b")
        EmptyOperator(task_id="c", trigger_rule="all_done")
    one >> two

with DAG("group_ids", schedule=None), TaskGroup("outer"):
    EmptyOperator(task_id="a")
    with TaskGroup("inner"):
        EmptyOperator(task_id="a")
        with TaskGroup("bare", prefix_group_id=False):
            EmptyOperator(task_id="free")
    with TaskGroup("inner", add_suffix_on_collision=True):
        EmptyOperator(task_id="a")

with DAG("group_decorator", schedule=None):

    @task
    def number(value):
        return value

    @task_group(default_args={"retries": 1})
    def double(value):
        return number(number(value))

    @task
    def total(values):
        return sum(values)

    total([double(1), double(2), double.override(group_id="other")(3)])

with DAG("arrows", schedule=None):
    a, b, c, d, e, f, g, h = (EmptyOperator(task_id=name) for name in "abcdefgh")
    chain(a, [b, c], [d, e], f)
    chain_linear(f, [g, h])
    fails = PythonOperator(task_id="fails", python_callable=fail)
    cross_downstream([fails, c], [EmptyOperator(task_id="x"), EmptyOperator(task_id="y")])

# --- Default arguments --------------------------------------------------------------------------------------------


class Report(BaseOperator):
    """Returns what it was made with."""

    def __init__(self, color="none", **kwargs):
        super().__init__(**kwargs)
        self.color = color

    def execute(self, context):
        return [self.color, self.owner, self.retries, self.retry_delay.total_seconds(), self.pool_slots]


with DAG(
    "default_args",
    schedule=None,
    default_args={
        "color": "of the DAG",
        "owner": "dag",
        "retries": 1,
        "retry_delay": timedelta(seconds=7),
        "unknown_to_all": True,
    },
):
    Report(task_id="plain")
    Report(task_id="own", color="own", owner="own", retries=5)
    with TaskGroup("group", default_args={"color": "of the group", "retries": 2}):
        Report(task_id="plain")
        Report(task_id="own", color="own")
        with TaskGroup("inner", default_args={"retries": 3}):
            Report(task_id="plain")
    BashOperator(task_id="bash", bash_command="echo {{ task.retries }} {{ task.owner }}")

with DAG(
    "default_args_of_dates",
    schedule="@daily",
    default_args={"start_date": datetime(2024, 3, 3, tzinfo=UTC)},
    catchup=True,
):
    EmptyOperator(task_id="a")
SCENARIOS["default_args_of_dates"] = {"triggers": []}
