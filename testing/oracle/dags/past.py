"""Runs that look at other runs, tasks that wait: the past, other DAGs, sensors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portable import (
    DAG,
    BaseSensorOperator,
    EmptyOperator,
    ExternalTaskSensor,
    PokeReturnValue,
    PythonOperator,
    PythonSensor,
    SkipTask,
    TriggerDagRunOperator,
    task,
)

START = datetime(2024, 3, 2, tzinfo=UTC)
AT = "2024-03-06T01:00:00+00:00"
SCENARIOS = {}


def fail_on(*days):
    def run(ds=None):
        if ds in days:
            raise ValueError("on purpose")

    return run


def skip_on(*days):
    def run(ds=None):
        if ds in days:
            raise SkipTask("on purpose")

    return run


def daily(dag_id, **arguments):
    SCENARIOS[dag_id] = {"at": AT, "triggers": []}
    return DAG(dag_id, schedule="@daily", start_date=START, catchup=True, max_active_runs=1, **arguments)


with daily("past_good", default_args={"depends_on_past": True}):
    EmptyOperator(task_id="a") >> EmptyOperator(task_id="b")

with daily("past_skipped", default_args={"depends_on_past": True}):
    # Skipped counts as success.
    PythonOperator(task_id="a", python_callable=skip_on("2024-03-03"))

with daily("past_failed"):
    # After the failure no run can move, so the schedule waits at max_active_runs.
    PythonOperator(task_id="a", python_callable=fail_on("2024-03-03"), depends_on_past=True)
    EmptyOperator(task_id="b")

with daily("past_wait_for_downstream"):
    a = EmptyOperator(task_id="a", wait_for_downstream=True)
    a >> PythonOperator(task_id="b", python_callable=fail_on("2024-03-03"))

with daily("past_ignore_first_no"):
    EmptyOperator(task_id="a", depends_on_past=True, ignore_first_depends_on_past=False)

with DAG("past_manual", schedule=None):
    # A DAG without a schedule looks at the run before, whatever its kind.
    @task(depends_on_past=True)
    def a(dag_run=None):
        if dag_run.conf.get("fail"):
            raise ValueError("on purpose")

    a()
SCENARIOS["past_manual"] = {
    "triggers": [
        {"at": "2024-03-05T01:00:00+00:00", "logical_date": "2024-03-05T01:00:00+00:00"},
        {"at": "2024-03-05T02:00:00+00:00", "logical_date": "2024-03-05T02:00:00+00:00", "conf": {"fail": True}},
        {"at": "2024-03-05T03:00:00+00:00", "logical_date": "2024-03-05T03:00:00+00:00"},
    ]
}

with DAG("past_manual_between_scheduled", schedule="@daily", start_date=START, catchup=True, max_active_runs=3):
    # With catchup the past is the last scheduled run: the failed manual one in between does not matter.
    @task(depends_on_past=True)
    def a(dag_run=None):
        if dag_run.run_type == "manual":
            raise ValueError("on purpose")

    a()
SCENARIOS["past_manual_between_scheduled"] = {
    "at": "2024-03-04T01:00:00+00:00",
    "until": "2024-03-06T01:00:00+00:00",
    "triggers": [{"at": "2024-03-04T12:00:00+00:00", "logical_date": "2024-03-03T12:00:00+00:00"}],
}

# --- Dates of tasks -----------------------------------------------------------------------------------------------

with daily("task_dates"):
    # A task begins later than its DAG, or ends earlier.
    EmptyOperator(task_id="late", start_date=datetime(2024, 3, 4, tzinfo=UTC))
    EmptyOperator(task_id="early", end_date=datetime(2024, 3, 3, tzinfo=UTC))
    EmptyOperator(task_id="always")

with daily("task_dates_between"):
    # A task in the middle begins later than its DAG.
    late = EmptyOperator(task_id="late", start_date=datetime(2024, 3, 4, tzinfo=UTC))
    EmptyOperator(task_id="first") >> late >> EmptyOperator(task_id="last")
    late >> EmptyOperator(task_id="anyway", trigger_rule="all_done")

# --- Timeouts and limits ------------------------------------------------------------------------------------------

with DAG("run_timeout", schedule=None, dagrun_timeout=timedelta(minutes=1)):
    fails = PythonOperator(task_id="a", python_callable=fail_on("2024-03-05"), retries=1, retry_delay=300)
    fails >> EmptyOperator(task_id="b")
    EmptyOperator(task_id="c")

# --- Other DAGs ---------------------------------------------------------------------------------------------------

with DAG("other_target", schedule=None):

    @task
    def read(dag_run=None):
        return dag_run.conf

    read()

with DAG("other_trigger", schedule=None):
    TriggerDagRunOperator(
        task_id="trigger",
        trigger_dag_id="other_target",
        trigger_run_id="from_{{ ds }}",
        logical_date="{{ logical_date }}",
        conf={"day": "{{ ds }}"},
    ) >> EmptyOperator(task_id="below")
SCENARIOS["other_trigger"] = {"also": ["other_target"]}

with DAG("other_trigger_of_nothing", schedule=None):
    TriggerDagRunOperator(task_id="trigger", trigger_dag_id="not_there") >> EmptyOperator(task_id="below")

with DAG("other_sensor", schedule="@daily", start_date=datetime(2024, 3, 4, tzinfo=UTC), catchup=True):
    for name, arguments in {
        "dag": {"external_dag_id": "past_source"},
        "task": {"external_dag_id": "past_source", "external_task_id": "a"},
        "tasks": {"external_dag_id": "past_source", "external_task_ids": ["a", "b"]},
        "hour_later": {"external_dag_id": "past_source", "execution_delta": timedelta(days=1)},
        "failed_allowed": {
            "external_dag_id": "past_source",
            "external_task_id": "b",
            "allowed_states": ["failed", "skipped"],
        },
    }.items():
        ExternalTaskSensor(
            task_id=name,
            mode="reschedule",
            poke_interval=60,
            timeout=300,
            soft_fail=True,
            check_existence=True,
            **arguments,
        )
SCENARIOS["other_sensor"] = {"at": "2024-03-05T01:00:00+00:00", "triggers": [], "also": ["past_source"]}

with DAG("past_source", schedule="@daily", start_date=datetime(2024, 3, 4, tzinfo=UTC), catchup=True):
    EmptyOperator(task_id="a")
    PythonOperator(task_id="b", python_callable=skip_on("2024-03-04"))

# --- Sensors ------------------------------------------------------------------------------------------------------

with DAG("sensor_at_once", schedule=None):
    PythonSensor(task_id="yes", python_callable=lambda: True) >> EmptyOperator(task_id="below")


class Counting(BaseSensorOperator):
    """Is content at the third poke, and returns something."""

    pokes = 0

    def poke(self, context):
        self.pokes += 1
        return PokeReturnValue(is_done=self.pokes == 3, xcom_value={"pokes": self.pokes})


with DAG("sensor_value", schedule=None):

    @task.sensor(poke_interval=0.01)
    def decorated():
        return PokeReturnValue(is_done=True, xcom_value=[1, 2])

    @task
    def use(value):
        return value

    use(decorated())
    Counting(task_id="third", poke_interval=0.01)

with DAG("sensor_reschedule", schedule=None):

    @task.sensor(mode="reschedule", poke_interval=60)
    def later(ti=None):
        return datetime.now(UTC) >= datetime(2024, 3, 5, 6, 10, tzinfo=UTC)

    later() >> EmptyOperator(task_id="below")

with DAG("sensor_timeout", schedule=None):
    for name, arguments in {
        "fails": {},
        "never_retried": {"retries": 2},
        "soft": {"soft_fail": True},
        "rescheduled": {"mode": "reschedule", "poke_interval": 60, "timeout": 200},
    }.items():
        PythonSensor(
            task_id=name,
            python_callable=lambda: False,
            **{"poke_interval": 0.01, "timeout": 0.03, **arguments},
        ) >> EmptyOperator(task_id=f"below_{name}")

with DAG("sensor_raises", schedule=None):

    def broken():
        raise ValueError("on purpose")

    def skipping():
        raise SkipTask("on purpose")

    PythonSensor(task_id="fails", python_callable=broken)
    PythonSensor(task_id="soft", python_callable=broken, soft_fail=True)
    PythonSensor(task_id="never", python_callable=broken, never_fail=True)
    PythonSensor(task_id="silent", python_callable=broken, silent_fail=True, poke_interval=0.01, timeout=0.03)
    PythonSensor(task_id="skips", python_callable=skipping)
