"""RunPlan against an evaluator that keeps nothing: it recounts the whole run for every single decision.

The evaluator is written from the specification with lists of states, knows no counters, no queue and no bits, and must
come to the same decisions in the same order, whatever happened to the run before.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.planning.plan import Expand, Instance, Move, RunPlan
from windlass.spec import (
    ConcatLength,
    DagSpec,
    GroupSpec,
    LengthSpec,
    LiteralLength,
    MapSpec,
    TaskSpec,
    TriggerRule,
    XComLength,
    ZipLength,
)
from windlass.states import RunState, TaskState

S = TaskState
R = TriggerRule
Key = tuple[str, int]
Decision = tuple[str, str, int, str]

DONE = {S.SUCCESS, S.FAILED, S.SKIPPED, S.UPSTREAM_FAILED, S.REMOVED}
BROKEN = {S.FAILED, S.UPSTREAM_FAILED}


def rule_says(  # noqa: C901, PLR0912 - a table, row by row
    rule: R, ups: list[S], setups: list[S], between: list[S]
) -> str:
    """The table of the trigger rules, row by row."""
    if not ups and not setups and not between:
        return "run"
    done = all(state in DONE for state in [*ups, *setups, *between])
    alive = [state for state in ups if state is not S.REMOVED]
    failure = any(state in BROKEN for state in alive)
    success = S.SUCCESS in alive
    skip = S.SKIPPED in alive
    if rule is R.ALL_SUCCESS:
        if failure or skip:
            return "upstream_failed" if failure else "skipped"
        return "run" if done else "wait"
    if rule is R.ALL_FAILED:
        return "skipped" if success or skip else "run" if done else "wait"
    if rule is R.ALL_DONE:
        return "run" if done else "wait"
    if rule is R.ALL_SKIPPED:
        return "skipped" if success or failure else "run" if done else "wait"
    if rule is R.ONE_SUCCESS:
        return "run" if success else "wait" if not done else "upstream_failed" if failure else "skipped"
    if rule is R.ONE_FAILED:
        return "run" if failure else "skipped" if done else "wait"
    if rule is R.ONE_DONE:
        return "run" if success or S.FAILED in alive else "skipped" if done else "wait"
    if rule is R.NONE_FAILED:
        return "upstream_failed" if failure else "run" if done else "wait"
    if rule is R.NONE_FAILED_MIN_ONE_SUCCESS:
        return "upstream_failed" if failure else "wait" if not done else "run" if success else "skipped"
    if rule is R.NONE_SKIPPED:
        return "skipped" if skip else "run" if done else "wait"
    if rule is R.ALWAYS:
        return "run"
    if rule is R.ALL_DONE_MIN_ONE_SUCCESS:
        return "wait" if not done else "run" if success else "upstream_failed" if failure else "skipped"
    assert rule is R.ALL_DONE_SETUP_SUCCESS
    proof = [state for state in setups if state is not S.REMOVED]
    if not done:
        return "wait"
    if not proof or S.SUCCESS in proof:
        return "run"
    return "skipped" if all(state is S.SKIPPED for state in proof) else "upstream_failed"


class Recount:
    """A run as a dictionary of states; every question is answered by looking at all of it."""

    def __init__(self, spec: DagSpec, keys: list[Key]) -> None:
        self.spec = spec
        self.state: dict[Key, S] = dict.fromkeys(keys, S.NONE)
        self.skips: dict[Key, tuple[str, ...]] = {}
        self.length: dict[Key, int | None] = {}

    def update(self, key: Key, state: S, skips: tuple[str, ...], length: int | None) -> None:
        self.state[key], self.skips[key], self.length[key] = state, skips, length

    def decide(self) -> list[Decision]:
        decisions: list[Decision] = []
        while (step := next(self._possible(), None)) is not None:
            decisions += step
            for what, task_id, number, state in step:
                if what == "move":
                    self.update((task_id, number), S(state), (), None)
                else:
                    self.state.pop((task_id, -1), None)
                    for index in range(number):
                        self.state.setdefault((task_id, index), S.NONE)
        return decisions

    def _possible(self) -> Iterator[list[Decision]]:
        for task in self.spec.tasks:
            for index in self.indexes(task.task_id):
                found = self._judge(task, index)
                if found:
                    yield found

    def indexes(self, task_id: str) -> list[int]:
        return sorted(index for name, index in self.state if name == task_id)

    def _judge(self, task: TaskSpec, index: int) -> list[Decision]:
        state = self.state[task.task_id, index]
        if not task.is_teardown:
            failing = self.failing_fast() and state in {S.NONE, S.SCHEDULED, S.UP_FOR_RETRY, S.UP_FOR_RESCHEDULE}
            told = state in {S.NONE, S.SCHEDULED} and self.told_to_skip(task.task_id, index)
            if failing or told:
                return [("move", task.task_id, index, "skipped")]
        if state is not S.NONE:
            return []
        unit = self.unit(task.task_id)
        if unit is None:
            return self._by_rule(task, index)
        mapping, members, is_group = unit
        length = self.map_length(mapping)
        if index >= 0:
            return self._by_revision(task, index, length) or self._by_rule(task, index)
        if is_group and length == "pending":
            return []
        if is_group and length == 0:
            return [("move", task.task_id, index, "skipped")]
        if is_group and isinstance(length, int):
            return [("expand", t, length, "") for t in members if self.state.get((t, -1)) is S.NONE]
        decision = self._by_rule(task, index)
        if [d[3] for d in decision] != ["scheduled"]:
            return decision
        if isinstance(length, int) and length:
            return [("expand", task.task_id, length, "")]
        end = "upstream_failed" if length == "no list" else "skipped"
        return [] if length == "pending" else [("move", task.task_id, index, end)]

    def _by_rule(self, task: TaskSpec, index: int) -> list[Decision]:
        verdict = rule_says(task.trigger_rule, *self.sight(task, index))
        state = "scheduled" if verdict == "run" else verdict
        return [] if verdict == "wait" else [("move", task.task_id, index, state)]

    def _by_revision(self, task: TaskSpec, index: int, length: int | str) -> list[Decision]:
        if not isinstance(length, int):
            return []
        if index >= length:
            return [("move", task.task_id, index, "removed" if index else "skipped")]
        grows = len(self.indexes(task.task_id)) < length
        return [("expand", task.task_id, length, "")] if grows else []

    def sight(self, task: TaskSpec, index: int) -> tuple[list[S], list[S], list[S]]:
        ups = [s for name in task.upstream for s in self.seen(task.task_id, index, name)]
        if task.trigger_rule is not R.ALL_DONE_SETUP_SUCCESS:
            return ups, [], []
        setups = task.setups or tuple(name for name in task.upstream if self.spec.by_id[name].is_setup)
        between = {
            t.task_id
            for t in self.spec.tasks
            if self.leads_to(t.task_id, task.task_id) and any(self.leads_to(s, t.task_id) for s in setups)
        }
        return (
            ups,
            [s for name in setups for s in self.seen(task.task_id, index, name)],
            [s for name in between for s in self.seen(task.task_id, index, name)],
        )

    def seen(self, task_id: str, index: int, upstream: str) -> list[S]:
        group = self.spec.mapped_group_of(task_id)
        if group is not None and group == self.spec.mapped_group_of(upstream) and index >= 0:
            own = self.state.get((upstream, index), self.state.get((upstream, -1)))
            return [] if own is None else [own]
        return [state for (name, _), state in self.state.items() if name == upstream]

    def leads_to(self, above: str, below: str) -> bool:
        return any(above == name or self.leads_to(above, name) for name in self.spec.by_id[below].upstream)

    def failing_fast(self) -> bool:
        counting = {t.task_id for t in self.spec.tasks if not t.is_teardown or t.on_failure_fail_dagrun}
        return self.spec.fail_fast and any(s is S.FAILED and k[0] in counting for k, s in self.state.items())

    def told_to_skip(self, task_id: str, index: int) -> bool:
        group = self.spec.mapped_group_of(task_id)
        return any(
            task_id in targets
            and self.state.get(decider) is S.SUCCESS
            and (group is None or self.spec.mapped_group_of(decider[0]) != group or decider[1] == index)
            for decider, targets in self.skips.items()
        )

    def unit(self, task_id: str) -> tuple[MapSpec, list[str], bool] | None:
        group = self.spec.mapped_group_of(task_id)
        if group is not None and group.map is not None:
            ids = [t.task_id for t in self.spec.tasks if self.spec.mapped_group_of(t.task_id) == group]
            return group.map, ids, True
        mapping = self.spec.by_id[task_id].map
        return None if mapping is None else (mapping, [task_id], False)

    def map_length(self, mapping: MapSpec) -> int | str:
        product: int | str = 1
        for _, factor in mapping.factors:
            length = self.length_of(factor)
            product = self.worst(product, length) or int(product) * int(length)
        return product

    def length_of(self, spec: LengthSpec) -> int | str:
        if isinstance(spec, LiteralLength):
            return spec.length
        if isinstance(spec, XComLength):
            return self.result(spec.task_id)
        parts = [self.length_of(part) for part in spec.parts]
        if isinstance(spec, ConcatLength):
            return self.worst(*parts) or sum(int(part) for part in parts)
        numbers = sorted(int(part) for part in parts) if not self.worst(*parts) else []
        return self.worst(*parts) or numbers[-1 if spec.longest else 0]

    @staticmethod
    def worst(*lengths: int | str) -> str | None:
        return next((word for word in ("pending", "no result", "no list") if word in lengths), None)

    def result(self, task_id: str) -> int | str:
        states = {index: self.state[task_id, index] for index in self.indexes(task_id)}
        if any(state not in DONE for state in states.values()):
            return "pending"
        if S.SUCCESS not in states.values():
            return "no result"
        if -1 in states:
            length = self.length.get((task_id, -1))
            return "no list" if length is None else length
        return sum(state is not S.REMOVED for state in states.values())

    def run_state(self) -> RunState | None:
        if any(state not in DONE for state in self.state.values()):
            return None
        fails = {t.task_id: not t.is_teardown or t.on_failure_fail_dagrun for t in self.spec.tasks}
        present = {name for name, _ in self.state}
        below = {t: [d for d in self.spec.downstream[t] if d in present] for t in present}
        leaves = {t for t in present if fails[t] and not any(fails[d] for d in below[t])}
        leaves = leaves or {t for t in present if not below[t]}
        broken = any(state in BROKEN for (name, _), state in self.state.items() if name in leaves)
        return RunState.FAILED if broken else RunState.SUCCESS


class Pair:
    """A plan and the evaluator, fed with the same changes."""

    def __init__(self, spec: DagSpec, present: list[str] | None = None) -> None:
        keys = [(task.task_id, -1) for task in spec.tasks if present is None or task.task_id in present]
        self.plan = RunPlan(spec, [Instance(task_id=name, map_index=index) for name, index in reversed(keys)])
        self.model = Recount(spec, keys)

    def update(self, key: Key, state: S, skips: tuple[str, ...] = (), length: int | None = None) -> None:
        self.plan.update(*key, state, skip_targets=skips, result_length=length)
        self.model.update(key, state, skips, length)

    def check(self) -> None:
        decisions = [plain(decision) for decision in self.plan.decide()]
        assert decisions == self.model.decide()
        assert self.plan.decide() == []
        conclusion = self.plan.conclusion()
        assert (None if conclusion is None else conclusion.state) == self.model.run_state()
        assert self.plan.is_finished is DONE.issuperset(self.model.state.values())
        for (task_id, index), state in self.model.state.items():
            task = self.model.spec.by_id[task_id]
            satisfied = rule_says(task.trigger_rule, *self.model.sight(task, index)) == "run"
            satisfied &= task.is_teardown or not self.model.told_to_skip(task_id, index)
            assert self.plan.depends_satisfied(task_id, index) is satisfied
            if state is S.NONE:
                assert self.plan.blockers(task_id, index)


def plain(decision: Move | Expand) -> Decision:
    if isinstance(decision, Expand):
        return "expand", decision.task_id, decision.length, ""
    assert decision.reason
    return "move", decision.task_id, decision.map_index, decision.to


def small_dags() -> Iterator[list[tuple[str, ...]]]:
    """Every DAG of up to four tasks: the upstreams of each."""
    for size in range(1, 5):
        pairs = list(itertools.combinations(range(size), 2))
        for chosen in itertools.product([False, True], repeat=len(pairs)):
            edges = [pair for pair, there in zip(pairs, chosen, strict=True) if there]
            yield [tuple(f"t{a}" for a, b in edges if b == task) for task in range(size)]


@pytest.mark.parametrize("rule", list(TriggerRule))
def test_every_small_dag_is_decided_as_by_recounting(rule: TriggerRule) -> None:
    for number, upstreams in enumerate(small_dags()):
        for seed in range(5):
            rng = random.Random(f"{rule}-{number}-{seed}")
            tasks = [
                TaskSpec(
                    task_id=f"t{position}",
                    upstream=upstream,
                    trigger_rule=rule if position == len(upstreams) - 1 else rng.choice(list(R)),
                    is_setup=rng.random() < 0.4,
                    is_teardown=position == len(upstreams) - 1 and rule is R.ALL_DONE_SETUP_SUCCESS,
                )
                for position, upstream in enumerate(upstreams)
            ]
            pair = Pair(DagSpec(dag_id="d", tasks=tuple(tasks)))
            pair.check()
            for _ in range(10):
                pair.update((f"t{rng.randrange(len(tasks))}", -1), rng.choice(list(S)))
                pair.check()


@st.composite
def length_specs(draw: st.DrawFn, sources: list[str]) -> LengthSpec:
    """A literal or something over earlier results, a zip or concat of them at the most."""
    literal = st.integers(0, 3).map(LiteralLength)
    leaf: st.SearchStrategy[LengthSpec] = literal
    if sources:
        leaf = st.sampled_from(sources).map(lambda name: XComLength(task_id=name)) | literal
    parts = st.lists(leaf, min_size=1, max_size=2).map(tuple)
    zipped = st.builds(lambda p, longest: ZipLength(parts=p, longest=longest), parts, st.booleans())
    return draw(leaf | zipped | parts.map(lambda p: ConcatLength(parts=p)))


@st.composite
def map_specs(draw: st.DrawFn, sources: list[str]) -> MapSpec:
    factors = draw(st.lists(length_specs(sources), min_size=1, max_size=2))
    return MapSpec(factors=tuple((f"x{number}", factor) for number, factor in enumerate(factors)))


@st.composite
def dags(draw: st.DrawFn) -> DagSpec:
    """Up to eight tasks with all rules, setups, teardowns, mapped tasks and one mapped group of a run of them."""
    size = draw(st.integers(1, 8))
    names = [f"t{position}" for position in range(size)]
    first = draw(st.integers(0, min(size, 2)) | st.integers(0, size))
    group = range(first, draw(st.integers(first, size)))
    group_map = draw(map_specs(names[:first]))
    tasks = []
    for position, name in enumerate(names):
        upstream = set(draw(st.lists(st.sampled_from(names[:position]), max_size=3))) if position else set()
        mapping = None
        if position in group:
            if not upstream & {names[member] for member in group}:
                upstream |= group_map.sources()
        elif draw(st.integers(0, 3)) == 0:
            mapping = draw(map_specs(names[:position]))
            upstream |= mapping.sources() if draw(st.integers(0, 4)) else set()
        rule = draw(st.sampled_from(R))
        setups = tuple(sorted(n for n in upstream if draw(st.booleans()))) if rule is R.ALL_DONE_SETUP_SUCCESS else ()
        task = TaskSpec(
            task_id=name,
            upstream=tuple(sorted(upstream)),
            trigger_rule=rule,
            group="g" if position in group else None,
            map=mapping,
            setups=setups,
            is_setup=draw(st.integers(0, 3)) == 0,
            is_teardown=draw(st.integers(0, 3)) == 0,
            on_failure_fail_dagrun=draw(st.booleans()),
        )
        tasks.append(task)
    groups = (GroupSpec(group_id="g", map=group_map),) if group else ()
    return DagSpec(dag_id="d", tasks=tuple(tasks), groups=groups, fail_fast=draw(st.integers(0, 3)) == 0)


#: Which instance (modulo), its new state, whom it skips (bit mask), its result's length, whether to decide after it.
changes = st.tuples(
    st.integers(0, 50),
    st.sampled_from([S.SUCCESS, S.SUCCESS, S.SUCCESS, S.NONE, *S]),
    st.integers(0, 2**8) | st.just(0),
    st.none() | st.integers(0, 4),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(spec=dags(), script=st.lists(changes, max_size=25), absent=st.integers(0, 2**8) | st.just(0))
def test_every_history_is_decided_as_by_recounting(
    spec: DagSpec, script: list[tuple[int, S, int, int | None, bool]], absent: int
) -> None:
    present = [task.task_id for place, task in enumerate(spec.tasks) if not absent >> place & 1]
    pair = Pair(spec, present)
    pair.check()
    for which, state, skip_mask, length, decide in script:
        keys = sorted(pair.model.state)
        if not keys:
            break
        skips = tuple(task.task_id for place, task in enumerate(spec.tasks) if skip_mask >> place & 1)
        pair.update(keys[which % len(keys)], state, skips, length)
        if decide:
            pair.check()
    pair.check()


@settings(max_examples=60, deadline=None)
@given(spec=dags(), script=st.lists(changes, max_size=12, unique_by=lambda change: change[0]), data=st.data())
def test_the_order_of_changes_does_not_matter(
    spec: DagSpec, script: list[tuple[int, S, int, int | None, bool]], data: st.DataObject
) -> None:
    outcomes = []
    for changes_in_order in (script, data.draw(st.permutations(script))):
        plan = RunPlan(spec, [Instance(task_id=task.task_id) for task in spec.tasks])
        for which, state, _, length, _ in changes_in_order:
            if which < len(spec.tasks):
                plan.update(spec.tasks[which].task_id, -1, state, result_length=length)
        outcomes.append((plan.decide(), plan.conclusion()))
    assert outcomes[0] == outcomes[1]


@settings(max_examples=60, deadline=None)
@given(spec=dags(), script=st.lists(changes, max_size=15))
def test_a_plan_built_from_the_states_goes_on_like_the_one_that_led_there(
    spec: DagSpec, script: list[tuple[int, S, int, int | None, bool]]
) -> None:
    pair = Pair(spec)
    pair.check()
    for which, state, skip_mask, length, _ in script:
        keys = sorted(pair.model.state)
        skips = tuple(task.task_id for place, task in enumerate(spec.tasks) if skip_mask >> place & 1)
        pair.update(keys[which % len(keys)], state, skips, length)
        rows = [
            Instance(
                task_id=task_id,
                map_index=index,
                state=pair.model.state[task_id, index],
                skip_targets=pair.model.skips.get((task_id, index), ()),
                result_length=pair.model.length.get((task_id, index)),
            )
            for task_id, index in pair.model.state
        ]
        adopted = RunPlan(spec, rows)
        assert [plain(decision) for decision in adopted.decide()] == pair.model.decide()
        pair.plan.decide()
        assert adopted.conclusion() == pair.plan.conclusion()
