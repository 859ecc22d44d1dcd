"""The trigger rules once more, written down from the table as plainly as possible, to check the fast ones against.

No counters, no caches: the states upstream of an instance are collected from the rows, and each rule is a line of
Python. It knows nothing of ``windlass.planning``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from windlass.spec import DagSpec, TaskSpec, TriggerRule

RUN, WAIT, SKIP, UPSTREAM_FAILED = "run", "wait", "skipped", "upstream_failed"

#: The states of a run's instances by task and map index.
Board = Mapping[str, Mapping[int, str]]

_FAILED = ("failed", "upstream_failed")
_DONE = ("success", "failed", "upstream_failed", "skipped", "removed")


def verdict(spec: DagSpec, board: Board, task: TaskSpec, map_index: int) -> str:
    """Return what the trigger rule says of an instance, given the states of its run."""
    states = [s for name in task.upstream for s in seen(spec, board, task, map_index, name)]
    if task.trigger_rule is TriggerRule.ALL_DONE_SETUP_SUCCESS:
        return _teardown(spec, board, task, map_index, states)
    return _rule(task.trigger_rule, [s for s in states if s != "removed"])


def seen(spec: DagSpec, board: Board, task: TaskSpec, map_index: int, upstream: str) -> list[str]:
    """Return the states of the instances of ``upstream`` that concern the instance ``map_index`` of ``task``."""
    instances = board.get(upstream, {})
    mine, theirs = spec.mapped_group_of(task.task_id), spec.mapped_group_of(upstream)
    if mine is None or mine is not theirs or map_index < 0:
        return list(instances.values())
    state = instances.get(map_index, instances.get(-1))
    return [] if state is None else [state]


def _rule(rule: TriggerRule, states: Sequence[str]) -> str:  # noqa: C901 - the table, line by line
    if not states or rule is TriggerRule.ALWAYS:
        return RUN
    done = all(s in _DONE for s in states)
    success = states.count("success")
    skipped = states.count("skipped")
    failed = sum(s in _FAILED for s in states)
    if rule is TriggerRule.ALL_SUCCESS:
        return UPSTREAM_FAILED if failed else SKIP if skipped else RUN if done else WAIT
    if rule is TriggerRule.ALL_FAILED:
        return SKIP if success or skipped else RUN if done else WAIT
    if rule is TriggerRule.ALL_DONE:
        return RUN if done else WAIT
    if rule is TriggerRule.ALL_SKIPPED:
        return SKIP if success or failed else RUN if done else WAIT
    if rule is TriggerRule.ONE_SUCCESS:
        return RUN if success else WAIT if not done else UPSTREAM_FAILED if failed else SKIP
    if rule is TriggerRule.ONE_FAILED:
        return RUN if failed else SKIP if done else WAIT
    if rule is TriggerRule.ONE_DONE:
        return RUN if success or "failed" in states else SKIP if done else WAIT
    if rule is TriggerRule.NONE_FAILED:
        return UPSTREAM_FAILED if failed else RUN if done else WAIT
    if rule is TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
        return UPSTREAM_FAILED if failed else WAIT if not done else RUN if success else SKIP
    if rule is TriggerRule.NONE_SKIPPED:
        return SKIP if skipped else RUN if done else WAIT
    if rule is TriggerRule.ALL_DONE_MIN_ONE_SUCCESS:
        return WAIT if not done else RUN if success else UPSTREAM_FAILED if failed else SKIP
    raise AssertionError(rule)


def _teardown(spec: DagSpec, board: Board, task: TaskSpec, map_index: int, states: Sequence[str]) -> str:
    between = [name for name in _ancestors(spec, task.task_id) if set(task.setups) & _ancestors(spec, name)]
    before = [*states, *(s for name in between for s in seen(spec, board, task, map_index, name))]
    if not all(s in _DONE for s in before):
        return WAIT
    setups = [s for name in task.setups for s in seen(spec, board, task, map_index, name) if s != "removed"]
    if not setups or "success" in setups:
        return RUN
    return UPSTREAM_FAILED if any(s in _FAILED for s in setups) else SKIP


def _ancestors(spec: DagSpec, task_id: str) -> set[str]:
    found: set[str] = set()
    waiting = list(spec.by_id[task_id].upstream)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += spec.by_id[name].upstream
    return found


def is_decided_against(
    spec: DagSpec, deciders: Iterable[tuple[str, int, Sequence[str]]], task_id: str, map_index: int
) -> bool:
    """Return whether a kept decision skips the instance; ``deciders`` are the successful ones with their targets."""
    for decider, index, targets in deciders:
        if task_id not in targets:
            continue
        mine, theirs = spec.mapped_group_of(task_id), spec.mapped_group_of(decider)
        if mine is None or mine is not theirs or index == map_index:
            return True
    return False
