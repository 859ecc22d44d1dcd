"""The plan of one run: from states to decisions, at the cost of the edges that a change touches.

A plan is a cache over the run's rows: it is built from them, told of every change that is read from the store
(:meth:`RunPlan.update`), and asked what follows (:meth:`RunPlan.decide`). Its decisions are applied to itself at once,
so that a skip runs down the whole graph within one call; what the store then refuses is told back as an update, or
the plan is thrown away.

An instance is judged in this order: fail_fast, a kept decision to skip it, the length of its mapped task or group, its
trigger rule, its past. Teardowns are exempt from the first two: they run if their setup ran.

Invariants: after ``decide`` nothing more follows until the next change; only ``none`` becomes scheduled, and only when
its trigger rule holds on the states as they are; what is running or has ended is never moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from windlass.errors import TaskNotFound
from windlass.planning import explain, rules
from windlass.planning.board import JUDGED, Board
from windlass.planning.conclusion import concluded, deadlocked
from windlass.planning.counters import Node
from windlass.planning.decisions import Conclusion as Conclusion
from windlass.planning.decisions import Expand as Expand
from windlass.planning.decisions import Instance as Instance
from windlass.planning.decisions import Move as Move
from windlass.planning.decisions import label
from windlass.planning.mapping import Unknown
from windlass.planning.mapping import check_map_length as check_map_length
from windlass.planning.rules import Verdict
from windlass.planning.topology import Unit
from windlass.spec import DagSpec, TriggerRule
from windlass.states import TaskState

#: What is known of depends_on_past: True, False, or None for not yet.
PastAnswer = Callable[[str, int], bool | None]

_NOT_STARTED: Final = frozenset({TaskState.NONE, TaskState.SCHEDULED})
_STOPPABLE: Final = frozenset({TaskState.QUEUED, TaskState.RUNNING, TaskState.DEFERRED})
_VERDICT_STATE: Final = {Verdict.SKIP: TaskState.SKIPPED, Verdict.UPSTREAM_FAILED: TaskState.UPSTREAM_FAILED}
#: How many instances the reason of a deadlock names.
_BLOCKED_NAMED: Final = 5


class RunPlan:
    """Everything that can be decided about one run from the states of its task instances.

    ``instances`` are the run's rows; a task of the spec without one is no part of this run (a backfill of some tasks)
    and counts nowhere; an instance whose task the spec does not have is moved to ``removed``. ``past_ok`` answers
    depends_on_past from what the caller knows already; without it, or when it returns None, the instance shows up in
    :meth:`waiting_for_past` until :meth:`set_past`.
    """

    def __init__(self, spec: DagSpec, instances: Iterable[Instance], *, past_ok: PastAnswer | None = None) -> None:
        self._board: Final = Board(spec, instances)
        self._past_ok: Final = past_ok
        self._past: Final[dict[tuple[str, int], bool]] = {}
        self._waiting_for_past: Final[dict[tuple[str, int], None]] = {}
        self._decisions: list[Move | Expand] = []

    # -- what happened ------------------------------------------------------------------------------------------

    def update(
        self,
        task_id: str,
        map_index: int,
        state: TaskState,
        *,
        skip_targets: tuple[str, ...] = (),
        result_length: int | None = None,
    ) -> None:
        """Take over a change read from the store: the instance's state, kept decision and result as they are now.

        Raises:
            TaskNotFound: if the plan has no such instance; then another writer created it and the plan must be built
                anew.
        """
        node, instance = self._find(task_id, map_index)
        key = (task_id, map_index)
        if state is TaskState.NONE and instance.state is not TaskState.NONE:
            self._past.pop(key, None)  # it was cleared, and so may the run before have been
        self._waiting_for_past.pop(key, None)
        self._board.change(node, instance, state, skip_targets, result_length)

    def set_past(self, task_id: str, map_index: int, ok: bool) -> None:  # noqa: FBT001 - the answer is the point
        """Answer whether the previous run lets this instance run (depends_on_past, wait_for_downstream)."""
        node, _ = self._find(task_id, map_index)
        self._past[task_id, map_index] = ok
        if ok:
            self._board.push(node, map_index)

    # -- what follows -------------------------------------------------------------------------------------------

    def decide(self) -> list[Move | Expand]:
        """Return everything that follows from the states now, applied to the plan already, in topological order."""
        while (found := self._board.pop()) is not None:
            self._judge(*found)
        decisions, self._decisions = self._decisions, []
        return decisions

    def conclusion(self) -> Conclusion | None:
        """Return how the run ends, or None while anything may still happen."""
        board = self._board
        if not board.unfinished:
            return concluded(board.topology, board.nodes)
        if board.moving or board.has_changes or self._waiting_for_past:
            return None
        waiting = ((node.task_id, index) for node in board.at for index in node.waiting())
        blocked = {key: self.blockers(*key) for key in islice(waiting, _BLOCKED_NAMED)}
        return deadlocked(blocked, board.unfinished)

    @property
    def is_finished(self) -> bool:
        """Whether every instance is in a terminal state."""
        return not self._board.unfinished

    def waiting_for_past(self) -> list[tuple[str, int]]:
        """Return the instances that may run as soon as the previous run is proven to let them."""
        return list(self._waiting_for_past)

    def to_stop(self) -> list[tuple[str, int]]:
        """Return the instances that fail_fast wants stopped: queued, running or deferred, and no teardown."""
        if not self._board.is_failing_fast:
            return []
        return [
            (node.task_id, index)
            for node in self._board.at
            if not node.is_teardown
            for index, instance in node.instances.items()
            if instance.state in _STOPPABLE
        ]

    def blockers(self, task_id: str, map_index: int) -> list[str]:
        """Return why an instance has not been let go, one sentence each; none if it has."""
        return [obstacle.sentence for obstacle in self.obstacles(task_id, map_index)]

    def obstacles(self, task_id: str, map_index: int) -> list[explain.Obstacle]:
        """Return why an instance has not been let go, with the instances that hold it; nothing if it has."""
        node, instance = self._find(task_id, map_index)
        if node.task is None or instance.state is not TaskState.NONE:
            return []
        board = self._board
        found = []
        if rules.verdict(node.task.trigger_rule, node.seen(map_index)) is Verdict.WAIT:
            found.append(explain.waiting_rule(board.topology, board.nodes, node, map_index))
        unit = board.topology.unit_of[node.position]
        if unit is not None and map_index < 0 and board.length(unit) is Unknown.PENDING:
            found.append(explain.waiting_length(board.nodes, unit))
        if (task_id, map_index) in self._waiting_for_past:
            found.append(explain.waiting_past(node.task))
        return found

    def depends_satisfied(self, task_id: str, map_index: int) -> bool:
        """Return whether the trigger rule (and a kept decision) lets the instance run, on the states as they are."""
        node, _ = self._find(task_id, map_index)
        if node.task is None or (node.skipper(map_index) is not None and not node.is_teardown):
            return False
        return rules.verdict(node.task.trigger_rule, node.seen(map_index)) is Verdict.RUN

    def _find(self, task_id: str, map_index: int) -> tuple[Node, Instance]:
        node = self._board.nodes.get(task_id)
        instance = None if node is None else node.instances.get(map_index)
        if node is None or instance is None:
            name, dag_id = label(task_id, map_index), self._board.spec.dag_id
            raise TaskNotFound(
                f"the plan of DAG `{dag_id}` has no task instance `{name}`; build it anew from the store"
            )
        return node, instance

    # -- judging ------------------------------------------------------------------------------------------------

    def _judge(self, node: Node, instance: Instance) -> None:
        state, map_index = instance.state, instance.map_index
        self._waiting_for_past.pop((node.task_id, map_index), None)
        if node.task is None:
            if state in _NOT_STARTED:
                self._move(node, instance, TaskState.REMOVED, "the task is no longer in the DAG")
            return
        if not node.is_teardown:
            if self._board.is_failing_fast and state in JUDGED:
                self._move(node, instance, TaskState.SKIPPED, "fail_fast: another task of the run has failed")
                return
            skipper = node.skipper(map_index)
            if skipper is not None and state in _NOT_STARTED:
                self._move(node, instance, TaskState.SKIPPED, f"`{label(*skipper)}` decided to skip it")
                return
        if state is TaskState.NONE and self._fits_expansion(node, instance):
            self._apply_rule(node, node.task.trigger_rule, instance)

    def _apply_rule(self, node: Node, rule: TriggerRule, instance: Instance) -> None:
        map_index = instance.map_index
        verdict = rules.verdict(rule, node.seen(map_index))
        if verdict is Verdict.WAIT:
            return
        reason = explain.rule_reason(rule, tuple(node.counts(map_index)))
        if verdict is not Verdict.RUN:
            self._move(node, instance, _VERDICT_STATE[verdict], reason)
            return
        unit = self._board.topology.unit_of[node.position]
        if unit is not None and map_index < 0:
            self._expand_placeholder(node, instance, unit)
        elif self._past_allows(node, map_index):
            self._move(node, instance, TaskState.SCHEDULED, reason)

    def _past_allows(self, node: Node, map_index: int) -> bool:
        if node.task is None or not (node.task.depends_on_past or node.task.wait_for_downstream):
            return True
        key = (node.task_id, map_index)
        answer = self._past.get(key)
        if answer is None and self._past_ok is not None:
            answer = self._past_ok(*key)
        if not answer:
            self._waiting_for_past[key] = None
        return bool(answer)

    def _move(self, node: Node, instance: Instance, to: TaskState, reason: str) -> None:
        before = instance.state
        self._decisions.append(
            Move(task_id=node.task_id, map_index=instance.map_index, before=before, to=to, reason=reason)
        )
        self._board.change(node, instance, to)

    # -- expansion ----------------------------------------------------------------------------------------------

    def _fits_expansion(self, node: Node, instance: Instance) -> bool:
        """Bring the instance in line with the length of its mapped task or group; return whether its rule counts now.

        A placeholder of a mapped group waits until the length is decided, so that the group expands as a whole. An
        expanded task is revised when its source ran again: an index beyond the new length is removed, a longer list
        adds instances.
        """
        unit = self._board.topology.unit_of[node.position]
        if unit is None:
            return True
        length = self._board.length(unit)
        if instance.map_index < 0:
            return not unit.is_group or self._fits_group(node, instance, unit)
        if not isinstance(length, int):
            return True
        if instance.map_index >= length:
            target = TaskState.REMOVED if instance.map_index else TaskState.SKIPPED
            self._move(node, instance, target, f"`{unit.name}` is now expanded over {length} items")
            return False
        if len(node.instances) < length:
            self._expand([node], length)
        return True

    def _fits_group(self, node: Node, placeholder: Instance, unit: Unit) -> bool:
        """Expand the whole group if its length is known; return whether the placeholder's own rule counts instead."""
        match self._board.length(unit):
            case Unknown.PENDING:
                return False
            case Unknown():
                return True
            case 0:
                self._move(node, placeholder, TaskState.SKIPPED, f"`{unit.name}` is expanded over an empty list")
            case length:
                members = [self._board.at[position] for position in unit.tasks]
                self._expand([member for member in members if member.is_unexpanded], length)
        return False

    def _expand_placeholder(self, node: Node, placeholder: Instance, unit: Unit) -> None:
        """Expand a mapped task whose rule lets it run; end it (or a task of a mapped group) if there is no length."""
        match self._board.length(unit):
            case Unknown.PENDING:
                pass
            case Unknown.NO_LIST:
                reason = f"`{unit.name}` is expanded over a result that is neither a list nor a dict"
                self._move(node, placeholder, TaskState.UPSTREAM_FAILED, reason)
            case Unknown():
                reason = f"`{unit.name}` has nothing to be expanded over: a source was skipped or failed"
                self._move(node, placeholder, TaskState.SKIPPED, reason)
            case 0:
                self._move(node, placeholder, TaskState.SKIPPED, f"`{unit.name}` is expanded over an empty list")
            case length:
                self._expand([node], length)

    def _expand(self, nodes: list[Node], length: int) -> None:
        self._decisions.extend(Expand(task_id=node.task_id, length=length) for node in nodes)
        self._board.expand(nodes, length)
