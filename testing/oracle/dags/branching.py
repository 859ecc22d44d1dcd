"""Branching, short circuits and the newest run: which tasks a decision skips."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portable import (
    DAG,
    BaseBranchOperator,
    BranchDateTimeOperator,
    BranchDayOfWeekOperator,
    BranchPythonOperator,
    EmptyOperator,
    LatestOnlyOperator,
    ShortCircuitOperator,
    TaskGroup,
    task,
    task_group,
)

SCENARIOS = {
    "latest_only_scheduled": {"at": "2024-03-05T12:00:00+00:00", "triggers": []},
}


def empties(*names, **arguments):
    return [EmptyOperator(task_id=name, **arguments) for name in names]


with DAG("branch_one_of_two", schedule=None):

    @task.branch
    def choose():
        return "left"

    left, right = empties("left", "right")
    choose() >> [left, right]
    left >> EmptyOperator(task_id="below_left")
    right >> EmptyOperator(task_id="below_right")

with DAG("branch_list", schedule=None):
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: ["a", "c"])
    choose >> empties("a", "b", "c")

for name, nothing in {"none": None, "empty": []}.items():
    with DAG(f"branch_{name}", schedule=None):
        choose = BranchPythonOperator(task_id="choose", python_callable=lambda nothing=nothing: nothing)
        a, b = empties("a", "b")
        choose >> [a, b] >> EmptyOperator(task_id="join", trigger_rule="none_failed")

with DAG("branch_unknown_task", schedule=None):
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "nowhere")
    choose >> empties("a", "b")

with DAG("branch_to_a_task_that_is_not_downstream", schedule=None):
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "aside")
    aside, a = empties("aside", "a")
    choose >> a

with DAG("branch_join_also_reachable", schedule=None):
    # The chosen branch leads to `join`, so `join` is not skipped though `choose` has an arrow to it.
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "a")
    a, b = empties("a", "b")
    join = EmptyOperator(task_id="join", trigger_rule="none_failed_min_one_success")
    choose >> [a, b, join]
    [a, b] >> join

with DAG("branch_join_with_default_rule", schedule=None):
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "a")
    a, b = empties("a", "b")
    choose >> [a, b] >> EmptyOperator(task_id="join")

with DAG("branch_skips_any_rule_directly", schedule=None):
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "a")
    a = EmptyOperator(task_id="a")
    others = [EmptyOperator(task_id=rule, trigger_rule=rule) for rule in ("all_done", "one_success", "none_failed")]
    choose >> [a, *others]

with DAG("branch_to_a_group", schedule=None):
    choose = BranchPythonOperator(task_id="choose", python_callable=lambda: "chosen")
    with TaskGroup("chosen") as chosen:
        first, second = empties("first", "second")
        first >> second
        EmptyOperator(task_id="other")
    with TaskGroup("unchosen") as unchosen:
        EmptyOperator(task_id="first") >> EmptyOperator(task_id="second")
    choose >> [chosen, unchosen]

with DAG("branch_after_branch", schedule=None):
    outer = BranchPythonOperator(task_id="outer", python_callable=lambda: "inner")
    inner = BranchPythonOperator(task_id="inner", python_callable=lambda: "b")
    a, b, c = empties("a", "b", "c")
    outer >> [inner, c]
    inner >> [a, b]
    [a, b, c] >> EmptyOperator(task_id="join", trigger_rule="one_success")


class Chooser(BaseBranchOperator):
    """A branch of one's own."""

    def choose_branch(self, context):
        return "odd" if context["logical_date"].day % 2 else "even"


with DAG("branch_class_of_ones_own", schedule=None):
    Chooser(task_id="choose") >> empties("odd", "even")

with DAG("branch_in_mapped_group", schedule=None):

    @task.branch
    def pick(item):
        return f"each.{item}"

    @task
    def see(item):
        return item

    @task_group
    def each(item):
        chosen = pick(item)
        chosen >> [see.override(task_id="x")(item), see.override(task_id="y")(item)]

    each.expand(item=["x", "y", "x"])

with DAG("branch_day_of_week", schedule=None):
    BranchDayOfWeekOperator(
        task_id="choose",
        week_day="Tuesday",
        use_task_logical_date=True,
        follow_task_ids_if_true="tuesday",
        follow_task_ids_if_false="other",
    ) >> empties("tuesday", "other")

with DAG("branch_date_time", schedule=None):
    BranchDateTimeOperator(
        task_id="choose",
        target_lower=datetime(2024, 3, 5, 6, tzinfo=UTC),
        target_upper=datetime(2024, 3, 5, 7, tzinfo=UTC),
        use_task_logical_date=True,
        follow_task_ids_if_true="within",
        follow_task_ids_if_false="outside",
    ) >> empties("within", "outside")

with DAG("short_circuit_false", schedule=None):
    # All descendants are skipped, whatever their rule.
    stop = ShortCircuitOperator(task_id="stop", python_callable=lambda: False)
    a, b = empties("a", "b")
    join = EmptyOperator(task_id="join", trigger_rule="all_done")
    other = EmptyOperator(task_id="other")
    stop >> a >> b >> join
    other >> join

with DAG("short_circuit_true", schedule=None):

    @task.short_circuit
    def go_on():
        return "truthy"

    go_on() >> empties("a", "b")

with DAG("short_circuit_direct_only", schedule=None):
    stop = ShortCircuitOperator(task_id="stop", python_callable=lambda: 0, ignore_downstream_trigger_rules=False)
    a = EmptyOperator(task_id="a")
    b = EmptyOperator(task_id="b", trigger_rule="all_done")
    stop >> a >> b >> EmptyOperator(task_id="c")

with DAG("short_circuit_spares_teardown", schedule=None):
    make = EmptyOperator(task_id="make").as_setup()
    stop = ShortCircuitOperator(task_id="stop", python_callable=lambda: False)
    work = EmptyOperator(task_id="work")
    make >> stop >> work >> EmptyOperator(task_id="remove").as_teardown(setups=make)

with DAG("latest_only_manual", schedule="@daily"):
    LatestOnlyOperator(task_id="latest") >> EmptyOperator(task_id="below")

with DAG("latest_only_scheduled", schedule="@daily", start_date=datetime(2024, 3, 2, tzinfo=UTC), catchup=True):
    latest = LatestOnlyOperator(task_id="latest")
    a, b = empties("a", "b")
    join = EmptyOperator(task_id="join", trigger_rule="all_done")
    latest >> a >> b >> join
    EmptyOperator(task_id="aside") >> join

with DAG("latest_only_delta", schedule=timedelta(hours=6), start_date=datetime(2024, 3, 4, tzinfo=UTC), catchup=True):
    LatestOnlyOperator(task_id="latest") >> EmptyOperator(task_id="below")
SCENARIOS["latest_only_delta"] = {"at": "2024-03-04T20:00:00+00:00", "triggers": []}
