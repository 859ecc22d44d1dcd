"""Trigger rules: what becomes of a task below every mix of outcomes, and of the run whose leaves they are."""

from __future__ import annotations

from itertools import combinations

from portable import DAG, EmptyOperator, FailTask, SkipTask, TriggerRule, task

RULES = [
    "all_success",
    "all_failed",
    "all_done",
    "all_skipped",
    "one_success",
    "one_failed",
    "one_done",
    "none_failed",
    "none_failed_min_one_success",
    "none_skipped",
    "always",
    "all_done_min_one_success",
]
OUTCOMES = ["success", "failed", "skipped", "upstream"]


def outcomes(first="failed"):
    """Make one task for each way to end, and return them by that way; failures come first, or skips do."""

    @task(task_id="failed", trigger_rule="all_done")
    def fail():
        raise FailTask("on purpose")

    @task(task_id="skipped", trigger_rule="all_done")
    def skip():
        raise SkipTask("on purpose")

    success, upstream = EmptyOperator(task_id="success"), EmptyOperator(task_id="upstream")
    failed, skipped = fail(), skip()
    failed >> upstream
    # Some rules decide at the first outcome that settles it, so the order of outcomes is part of the question.
    upstream >> skipped if first == "failed" else skipped >> failed
    return {"success": success, "failed": failed, "skipped": skipped, "upstream": upstream}


def below_each_mix(ended, rule):
    """Make a task below each mix of outcomes, and a leaf that waits for them all."""
    leaf = EmptyOperator(task_id="leaf", trigger_rule=TriggerRule.ALL_DONE)
    for size in (1, 2, 3, 4):
        for mix in combinations(OUTCOMES, size):
            join = EmptyOperator(task_id="_".join(["below", *mix]), trigger_rule=rule)
            [ended[outcome] for outcome in mix] >> join
            join >> leaf


for rule in RULES:
    with DAG(f"rule_{rule}", schedule=None):
        below_each_mix(outcomes(), rule)

for rule in ["all_success", "none_failed", "none_failed_min_one_success", "all_done_min_one_success"]:
    with DAG(f"rule_{rule}_after_skips", schedule=None):
        below_each_mix(outcomes(first="skipped"), rule)


with DAG("rule_chain_of_skips", schedule=None):
    # A skip passes through tasks with the default rule, and stops at one that runs all the same.
    ended = outcomes()
    first, second = EmptyOperator(task_id="first"), EmptyOperator(task_id="second")
    third = EmptyOperator(task_id="third", trigger_rule="none_failed")
    fourth = EmptyOperator(task_id="fourth")
    ended["skipped"] >> first >> second >> third >> fourth

with DAG("rule_failure_behind_all_done", schedule=None):
    # The run's state comes from its leaves, so this one ends well.
    ended = outcomes()
    leaf = EmptyOperator(task_id="leaf", trigger_rule="all_done")
    list(ended.values()) >> leaf

with DAG("rule_failure_beside_the_leaf", schedule=None):
    ended = outcomes()
    ended["success"] >> EmptyOperator(task_id="leaf")

with DAG("rule_only_skips", schedule=None):

    @task
    def skip():
        raise SkipTask("on purpose")

    skip() >> EmptyOperator(task_id="below")

# One DAG for all rules below a mapped task of which one instance ends in each way, and below one that has none.
# All success is settled by the first instance that is none, so they go one by one: the failure, then the skip.
with DAG("rule_below_mapped", schedule=None, max_active_tasks=1):

    @task
    def end(how):
        if how == "failed":
            raise FailTask("on purpose")
        if how == "skipped":
            raise SkipTask("on purpose")
        return how

    mixed = end.expand(how=["success", "failed", "skipped"])
    good = end.override(task_id="good").expand(how=["success", "success"])
    none = end.override(task_id="none").expand(how=[])
    half = end.override(task_id="half").expand(how=["success", "skipped"])
    for name, above in {"mixed": mixed, "good": good, "none": none, "half": half}.items():
        for rule in RULES:
            above >> EmptyOperator(task_id=f"{rule}_of_{name}", trigger_rule=rule)
