"""Whole runs, played to their end, against a model that knows no mapping.

The model is a game on a plain graph: tasks finish one by one, in some order, and after each one the table of trigger
rules and the sentences about branches, short circuits, setups and teardowns are applied to the states as they are. A
DAG with mapped tasks or a mapped group is *unrolled* for it into one task per instance, by the specification's words
"mapped upstreams count per expanded instance" and "index i waits only for its own i". The plan plays the DAG itself. In
every position both must have let the same instances go and have ended the same others in the same states.

All graphs of up to four tasks are played, with every task in turn deciding in every possible way under every rule; of
five tasks a sample.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import pytest

from windlass.planning.decisions import Expand, Instance
from windlass.planning.plan import RunPlan
from windlass.spec import DagSpec, GroupSpec, MapSpec, TaskSpec, TriggerRule, XComLength
from windlass.states import RunState, TaskState
from windlass_testing.simulate.branches import branch_skips, descendants

R = TriggerRule
SETUP_RULE: Final = R.ALL_DONE_SETUP_SUCCESS
RULES: Final = [rule for rule in R if rule is not SETUP_RULE]

# --- The model

#: What a task does when it runs: it ends well, fails, skips itself, or decides whom to skip.
OK: Final = "success"
FAIL: Final = "failed"
SKIP: Final = "skipped"
UPSTREAM_FAILED: Final = "upstream_failed"
WAIT: Final = "wait"
GO: Final = "go"


def all_or(bad: Callable[[Counter[str]], str | None]) -> Callable[[Counter[str], bool], str]:
    """A rule that runs when all are done, unless what is seen rules that out before."""
    return lambda seen, done: bad(seen) or (GO if done else WAIT)


def first_or(good: Callable[[Counter[str]], object], end: Callable[[Counter[str]], str]) -> Callable[..., str]:
    """A rule that runs at the first good one, and ends some other way when all are done without it."""
    return lambda seen, done: GO if good(seen) else end(seen) if done else WAIT


def last_or(end: Callable[[Counter[str]], str]) -> Callable[..., str]:
    """A rule that says nothing before all are done."""
    return lambda seen, done: end(seen) if done else WAIT


def broken(seen: Counter[str]) -> int:
    return seen[FAIL] + seen[UPSTREAM_FAILED]


TABLE: Final[dict[R, Callable[[Counter[str], bool], str]]] = {
    R.ALL_SUCCESS: all_or(lambda seen: UPSTREAM_FAILED if broken(seen) else SKIP if seen[SKIP] else None),
    R.ALL_FAILED: all_or(lambda seen: SKIP if seen[OK] or seen[SKIP] else None),
    R.ALL_DONE: all_or(lambda seen: None),
    R.ALL_SKIPPED: all_or(lambda seen: SKIP if seen[OK] or broken(seen) else None),
    R.ONE_SUCCESS: first_or(lambda seen: seen[OK], lambda seen: UPSTREAM_FAILED if broken(seen) else SKIP),
    R.ONE_FAILED: first_or(broken, lambda seen: SKIP),
    R.ONE_DONE: first_or(lambda seen: seen[OK] + seen[FAIL], lambda seen: SKIP),
    R.NONE_FAILED: all_or(lambda seen: UPSTREAM_FAILED if broken(seen) else None),
    R.NONE_FAILED_MIN_ONE_SUCCESS: lambda seen, done: (
        UPSTREAM_FAILED if broken(seen) else WAIT if not done else GO if seen[OK] else SKIP
    ),
    R.NONE_SKIPPED: all_or(lambda seen: SKIP if seen[SKIP] else None),
    R.ALWAYS: lambda seen, done: GO,
    R.ALL_DONE_MIN_ONE_SUCCESS: last_or(lambda seen: GO if seen[OK] else UPSTREAM_FAILED if broken(seen) else SKIP),
}


@dataclass(frozen=True)
class Piece:
    """A task of the model's plain graph."""

    ups: tuple[str, ...] = ()
    rule: R = R.ALL_SUCCESS
    #: Setups, if this is a teardown.
    setups: tuple[str, ...] = ()
    #: Nothing is decided about it before this one has ended (a mapped group), or it cannot run before (a mapped task).
    expanded_by: str = ""
    whole_group: bool = False
    #: There is nothing to be expanded over.
    is_empty: bool = False
    #: A task that ends as soon as it may run, however: "go" asks what the test lets it do.
    is_teardown: bool = False


class Game:
    """A run of plain tasks."""

    def __init__(self, pieces: dict[str, Piece]) -> None:
        self.pieces = pieces
        self.states: dict[str, str] = {}
        self.going: set[str] = set()
        self.skip_told: set[str] = set()
        self._settle()

    def finish(self, name: str, state: str, skips: set[str]) -> None:
        self.going.remove(name)
        self.states[name] = state
        if state == OK:
            self.skip_told |= skips
        self._settle()

    def _settle(self) -> None:
        looking = True
        while looking:
            looking = False
            for name in self.pieces:
                looking = self._look(name) or looking

    def _look(self, name: str) -> bool:
        """Let one task go or end it, if that follows now; return whether anything changed."""
        piece = self.pieces[name]
        if name in self.states:
            return False
        if name in self.skip_told and not piece.is_teardown:
            self.going.discard(name)
            self.states[name] = SKIP
            return True
        if name in self.going:
            return False
        known = not piece.expanded_by or self.states.get(piece.expanded_by) is not None
        if piece.whole_group and not known:
            return False
        if piece.whole_group and piece.is_empty:
            self.states[name] = SKIP
            return True
        says = self._verdict(piece)
        if says == GO:
            if not known:
                return False
            if not piece.is_empty:
                self.going.add(name)
                return True
            says = SKIP
        if says != WAIT:
            self.states[name] = says
        return says != WAIT

    def _verdict(self, piece: Piece) -> str:
        if not piece.ups:
            return GO
        done = all(up in self.states for up in piece.ups)
        seen = Counter(self.states[up] for up in piece.ups if up in self.states)
        if piece.rule is not SETUP_RULE:
            return TABLE[piece.rule](seen, done)
        if not done or not all(name in self.states for name in self._between(piece)):
            return WAIT
        ends = {self.states[setup] for setup in piece.setups}
        return GO if OK in ends else SKIP if ends == {SKIP} else UPSTREAM_FAILED

    def _between(self, piece: Piece) -> set[str]:
        """Everything on a way from a setup to this teardown."""
        above = self._above(piece.ups)
        return {name for name in above if set(piece.setups) & self._above(self.pieces[name].ups)}

    def _above(self, names: tuple[str, ...]) -> set[str]:
        return set(names).union(*(self._above(self.pieces[name].ups) for name in names))

    def end(self) -> RunState:
        """The run's state from its leaves; teardowns do not count and hide nobody."""
        counted = {name for name, piece in self.pieces.items() if not piece.is_teardown}
        hidden = {up for name in counted for up in self.pieces[name].ups}
        leaves = counted - hidden or self.pieces.keys() - {up for piece in self.pieces.values() for up in piece.ups}
        return (
            RunState.FAILED
            if any(self.states[name] in {FAIL, UPSTREAM_FAILED} for name in leaves)
            else RunState.SUCCESS
        )


# --- A play: the same run by the plan and by the model


@dataclass(frozen=True)
class Case:
    """A DAG, and what its tasks do. ``lengths`` are those of what is mapped over ``src``."""

    spec: DagSpec
    #: Task -> what it does; a tuple is the choice of a branch, "short" a short circuit that is falsy.
    does: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    length: int = 1

    def doing(self, task_id: str, index: int) -> str | tuple[str, ...]:
        return self.does.get(f"{task_id}[{index}]", self.does.get(task_id, OK))


def unrolled(case: Case) -> dict[str, Piece]:
    """One plain task per instance. A mapped task that has none stands there once, to be skipped."""
    spec = case.spec
    mapped = {task.task_id for task in spec.tasks if task.map or spec.mapped_group_of(task.task_id)}
    grouped = {task.task_id for task in spec.tasks if spec.mapped_group_of(task.task_id)}

    def names(task_id: str) -> list[str]:
        return [f"{task_id}[{index}]" for index in range(max(case.length, 1))] if task_id in mapped else [task_id]

    def seen(task_id: str, name: str, upstreams: tuple[str, ...]) -> tuple[str, ...]:
        found: list[str] = []
        for upstream in upstreams:
            same_group = task_id in grouped and upstream in grouped
            found += [up for up in names(upstream) if not same_group or up[len(upstream) :] == name[len(task_id) :]]
        return tuple(found)

    return {
        name: Piece(
            ups=seen(task.task_id, name, task.upstream),
            rule=task.trigger_rule,
            setups=seen(task.task_id, name, task.setups),
            expanded_by="src" if task.task_id in mapped else "",
            whole_group=task.task_id in grouped,
            is_empty=task.task_id in mapped and case.length == 0,
            is_teardown=task.is_teardown,
        )
        for task in spec.tasks
        for name in names(task.task_id)
    }


def reached(spec: DagSpec, task_id: str) -> set[str]:
    below = {task.task_id for task in spec.tasks if task_id in task.upstream}
    return below.union(*(reached(spec, name) for name in below))


def told(case: Case, task_id: str, index: int) -> tuple[set[str], tuple[str, ...]]:
    """Whom a decision skips, in the model's words and in the engine's."""
    spec, does = case.spec, case.doing(task_id, index)
    teardowns = {task.task_id for task in spec.tasks if task.is_teardown}
    if does == "short":
        mine = reached(spec, task_id) - teardowns
        theirs = tuple(sorted(name for name in descendants(spec, task_id) if not spec.by_id[name].is_teardown))
    elif isinstance(does, tuple):
        direct = {task.task_id for task in spec.tasks if task_id in task.upstream}
        kept = set(does).union(*(reached(spec, name) for name in does))
        mine, theirs = direct - kept - teardowns, branch_skips(spec, task_id, does)
    else:
        return set(), ()
    group = spec.mapped_group_of(task_id)
    unrolled_names = unrolled(case)
    found = set()
    for target in mine:
        own = group is not None and spec.mapped_group_of(target) == group
        found |= {
            name
            for name in unrolled_names
            if name.partition("[")[0] == target and (not own or name == f"{target}[{index}]")
        }
    return found, theirs


class Play:
    """One run, by both."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.game = Game(unrolled(case))
        self.states: dict[tuple[str, int], TaskState] = {(task.task_id, -1): TaskState.NONE for task in case.spec.tasks}
        self.plan = RunPlan(case.spec, [Instance(task_id=name, map_index=index) for name, index in self.states])
        self._follow()

    def play(self, rng: random.Random) -> None:
        """Let tasks finish in the order that ``rng`` chooses, to the end; compare after each."""
        self._compare()
        while self.game.going:
            name = rng.choice(sorted(self.game.going))
            task_id, _, rest = name.partition("[")
            self._finish(task_id, int(rest[:-1]) if rest else -1, name)
            self._compare()
        conclusion = self.plan.conclusion()
        assert conclusion is not None, self.states
        assert (conclusion.state, self.plan.is_finished) == (self.game.end(), True), self.states

    def _finish(self, task_id: str, index: int, name: str) -> None:
        does = self.case.doing(task_id, index)
        state = does if does in {FAIL, SKIP} else OK
        mine, theirs = told(self.case, task_id, index)
        self.game.finish(name, str(state), mine if state == OK else set())
        self.states[task_id, index] = TaskState(state)
        self.plan.update(
            task_id,
            index,
            TaskState(state),
            skip_targets=theirs if state == OK else (),
            result_length=self.case.length if task_id == "src" else None,
        )
        self._follow()

    def _follow(self) -> None:
        for decision in self.plan.decide():
            if isinstance(decision, Expand):
                assert self.states.pop((decision.task_id, -1)) is TaskState.NONE
                for index in range(decision.length):
                    self.states[decision.task_id, index] = TaskState.NONE
            else:
                self.states[decision.task_id, decision.map_index] = decision.to

    def _compare(self) -> None:
        wanted = {
            name: TaskState.SCHEDULED if name in self.game.going else TaskState(self.game.states.get(name, "none"))
            for name in self.game.pieces
        }
        found = {name: self._state_of(name) for name in wanted}
        assert found == wanted, (self.case, self.states)

    def _state_of(self, name: str) -> TaskState:
        """An instance's state; before the expansion its task's placeholder speaks for it."""
        task_id, _, rest = name.partition("[")
        index = int(rest[:-1]) if rest else -1
        return self.states[task_id, index] if (task_id, index) in self.states else self.states[task_id, -1]


# --- The graphs


def graphs(size: int) -> list[list[tuple[int, ...]]]:
    """Every graph of ``size`` tasks in topological order: the upstreams of each."""
    pairs = list(itertools.combinations(range(size), 2))
    found = []
    for chosen in itertools.product([False, True], repeat=len(pairs)):
        edges = [pair for pair, there in zip(pairs, chosen, strict=True) if there]
        found.append([tuple(a for a, b in edges if b == task) for task in range(size)])
    return found


SMALL: Final = [graph for size in range(1, 5) for graph in graphs(size)]


def tasks_of(graph: list[tuple[int, ...]], rules: list[R]) -> list[TaskSpec]:
    return [
        TaskSpec(task_id=f"t{number}", upstream=tuple(f"t{up}" for up in ups), trigger_rule=rules[number])
        for number, ups in enumerate(graph)
    ]


def plain(graph: list[tuple[int, ...]], rules: list[R]) -> DagSpec:
    return DagSpec(dag_id="d", tasks=tuple(tasks_of(graph, rules)))


def decisions(spec: DagSpec, task_id: str) -> Iterator[str | tuple[str, ...]]:
    """Every way in which a task can decide: each choice among its direct downstreams, and to stop all of it."""
    direct = spec.downstream[task_id]
    for size in range(len(direct) + 1):
        yield from itertools.combinations(direct, size)
    if direct:
        yield "short"


def anything(rng: random.Random, spec: DagSpec, task_id: str) -> str | tuple[str, ...]:
    return rng.choice([OK, OK, OK, FAIL, SKIP, *decisions(spec, task_id)])


# --- Plain DAGs


@pytest.mark.parametrize("rule", RULES)
def test_every_decision_in_every_small_dag_under_every_rule(rule: R) -> None:
    plays = 0
    for graph in SMALL:
        spec = plain(graph, [rule] * len(graph))
        for task in spec.tasks:
            for decision in decisions(spec, task.task_id):
                for seed in range(2):
                    Play(Case(spec, {task.task_id: decision})).play(random.Random(seed))
                    plays += 1
    assert plays == 1_422


def test_any_rules_and_ends_in_every_small_dag() -> None:
    for number, graph in enumerate(SMALL):
        for seed in range(60):
            rng = random.Random(f"{number}-{seed}")
            spec = plain(graph, [rng.choice(RULES) for _ in graph])
            does = {task.task_id: anything(rng, spec, task.task_id) for task in spec.tasks}
            Play(Case(spec, does)).play(rng)


def test_any_rules_and_ends_in_a_sample_of_dags_of_five() -> None:
    rng = random.Random(5)
    for graph in rng.sample(graphs(5), 300):
        for _ in range(8):
            spec = plain(graph, [rng.choice(RULES) for _ in graph])
            does = {task.task_id: anything(rng, spec, task.task_id) for task in spec.tasks}
            Play(Case(spec, does)).play(rng)


def with_teardown(graph: list[tuple[int, ...]], rules: list[R], setups: list[int]) -> DagSpec:
    """The graph, with a teardown for ``setups`` below the tasks that nothing follows."""
    tasks = tasks_of(graph, rules)
    tasks = [replace_setup(task, task.task_id in {f"t{number}" for number in setups}) for task in tasks]
    followed = {up for ups in graph for up in ups}
    ends = {f"t{number}" for number in range(len(graph)) if number not in followed}
    names = tuple(f"t{number}" for number in setups)
    teardown = TaskSpec(
        task_id="down",
        upstream=tuple(sorted(ends | set(names))),
        trigger_rule=SETUP_RULE,
        is_teardown=True,
        setups=names,
    )
    return DagSpec(dag_id="d", tasks=(*tasks, teardown))


def replace_setup(task: TaskSpec, is_setup: bool) -> TaskSpec:
    return TaskSpec(task_id=task.task_id, upstream=task.upstream, trigger_rule=task.trigger_rule, is_setup=is_setup)


@pytest.mark.parametrize("count", [1, 2])
def test_setups_and_teardowns_around_every_small_dag(count: int) -> None:
    for number, graph in enumerate(SMALL):
        for setups in itertools.combinations(range(len(graph)), count):
            for seed in range(8):
                rng = random.Random(f"{number}-{setups}-{seed}")
                spec = with_teardown(graph, [rng.choice(RULES) for _ in graph], list(setups))
                does = {task.task_id: anything(rng, spec, task.task_id) for task in spec.tasks[:-1]}
                does["down"] = rng.choice([OK, FAIL])
                Play(Case(spec, does)).play(rng)


# --- Mapping

OVER_SRC: Final = MapSpec(factors=(("x", XComLength(task_id="src")),))


def in_a_mapped_group(graph: list[tuple[int, ...]], rules: list[R], teardown: bool = False) -> DagSpec:
    """A source, the graph as a group that is mapped over it, and a task after the group."""
    inner = with_teardown(graph, rules, [0]).tasks if teardown else tuple(tasks_of(graph, rules))
    members = tuple(
        TaskSpec(
            task_id=task.task_id,
            upstream=task.upstream or ("src",),
            trigger_rule=task.trigger_rule,
            group="g",
            is_setup=task.is_setup,
            is_teardown=task.is_teardown,
            setups=task.setups,
        )
        for task in inner
    )
    followed = {up for ups in graph for up in ups}
    ends = tuple(f"t{number}" for number in range(len(graph)) if number not in followed)
    after = TaskSpec(task_id="after", upstream=ends, trigger_rule=rules[-1])
    groups = (GroupSpec(group_id="g", map=OVER_SRC),)
    return DagSpec(dag_id="d", tasks=(TaskSpec(task_id="src"), *members, after), groups=groups)


def per_index(rng: random.Random, spec: DagSpec, length: int) -> dict[str, str | tuple[str, ...]]:
    """Each instance does something of its own; a decision within the group is one about the group."""
    does: dict[str, str | tuple[str, ...]] = {}
    for task in spec.tasks:
        for index in range(length) if task.group or task.map else [-1]:
            name = f"{task.task_id}[{index}]" if index >= 0 else task.task_id
            leads_out = "after" in spec.downstream[task.task_id]
            choices = [OK, OK, FAIL, SKIP] if leads_out else [OK, FAIL, SKIP, *decisions(spec, task.task_id)]
            does[name] = rng.choice([choice for choice in choices if choice != "short" or task.group is None])
    does["src"] = OK
    return does


@pytest.mark.parametrize("length", [0, 1, 2, 3])
@pytest.mark.parametrize("teardown", [False, True])
def test_a_mapped_group_is_as_many_copies_of_its_graph(length: int, teardown: bool) -> None:
    for number, graph in enumerate(SMALL):
        for seed in range(6):
            rng = random.Random(f"{number}-{length}-{seed}")
            spec = in_a_mapped_group(graph, [rng.choice(RULES) for _ in graph], teardown)
            Play(Case(spec, per_index(rng, spec, length), length)).play(rng)


@pytest.mark.parametrize("rule", RULES)
def test_every_decision_inside_a_mapped_group_concerns_its_own_index(rule: R) -> None:
    for graph in [graph for size in range(1, 4) for graph in graphs(size)]:
        spec = in_a_mapped_group(graph, [rule] * len(graph))
        for task in spec.tasks:
            if task.group is None or "after" in spec.downstream[task.task_id]:
                continue
            for decision in decisions(spec, task.task_id):
                if decision != "short":
                    does = {f"{task.task_id}[0]": decision}
                    Play(Case(spec, does, 2)).play(random.Random(0))


def with_mapped_tasks(rng: random.Random, graph: list[tuple[int, ...]]) -> DagSpec:
    """The graph below a source, with some of its tasks mapped over that."""
    tasks = []
    for task in tasks_of(graph, [rng.choice(RULES) for _ in graph]):
        mapping = OVER_SRC if rng.random() < 0.5 else None
        upstream = task.upstream if task.upstream and mapping is None else (*task.upstream, "src")
        tasks.append(TaskSpec(task_id=task.task_id, upstream=upstream, trigger_rule=task.trigger_rule, map=mapping))
    return DagSpec(dag_id="d", tasks=(TaskSpec(task_id="src"), *tasks))


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_mapped_tasks_count_by_their_instances_in_every_small_dag(length: int) -> None:
    for number, graph in enumerate(SMALL):
        for seed in range(12):
            rng = random.Random(f"{number}-{length}-{seed}")
            spec = with_mapped_tasks(rng, graph)
            does: dict[str, str | tuple[str, ...]] = {}
            for task in spec.tasks[1:]:
                if task.map is None:
                    does[task.task_id] = anything(rng, spec, task.task_id)
                for index in range(length) if task.map is not None else ():
                    does[f"{task.task_id}[{index}]"] = rng.choice([OK, OK, FAIL, SKIP])
            Play(Case(spec, does, length)).play(rng)


def test_the_model_notices_a_rule_that_is_wrong() -> None:
    """The game itself is tried: with one row of its table changed it disagrees with the plan."""
    spec = plain([(), (), (0, 1)], [R.ONE_FAILED] * 3)
    play = Play(Case(spec, {"t0": FAIL}))
    play.game.pieces["t2"] = replace(play.game.pieces["t2"], rule=R.ALL_SUCCESS)
    with pytest.raises(AssertionError):
        play.play(random.Random(1))
