"""What becomes of runs and tasks, written once more and as simply as possible, to compare the engine with.

It knows one DAG (:data:`UPSTREAM`), keeps a dictionary of states per run, and looks at all of it until nothing changes.
It imports nothing of Windlass. Seconds count from the beginning of the test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

#: Task -> the tasks it waits for. ``each`` is mapped over what ``first`` returns.
UPSTREAM = {
    "first": (),
    "each": ("first",),
    "join": ("each",),
    "alarm": ("first", "each"),
    "last": ("alarm",),
}
RULES = {"join": "none_failed_min_one_success", "alarm": "one_failed", "last": "all_done"}
LEAVES = ("join", "last")
RETRIES = {"first": 1}
RETRY_DELAY = 60
#: How long a task waits that defers: never until the very instant of a step, at which a trigger fires or does not yet.
DEFERRAL = 45
DURATION = {"first": 60, "each": 60}
MAX_ACTIVE_RUNS = 2

ENDED = {"success", "failed", "skipped", "upstream_failed"}
BROKEN = {"failed", "upstream_failed"}
Key = tuple[str, int]


@dataclass
class Task:
    """A task instance."""

    state: str = "none"
    tries: int = 0
    max_tries: int = 0
    #: When it has run, or may be tried again.
    due: int = 0
    #: The number of its try in the order of their beginnings: of those that end at one instant, the first ends first.
    begun: int = 0
    #: How many items it returned.
    length: int | None = None
    #: Whether the try that began last has left a result. A clear or a mark takes none away, but the next try does.
    has_result: bool = False
    #: Whether its try goes on after a deferral.
    resumes: bool = False


@dataclass
class Run:
    """A run: its script says how each try of each task ends, and how long the list is."""

    run_id: str
    script: dict[str, list[str]]
    length: int
    state: str = "queued"
    ending: str | None = None
    tasks: dict[Key, Task] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tasks = {(name, -1): Task(max_tries=RETRIES.get(name, 0)) for name in UPSTREAM}

    def of(self, names: Iterable[str]) -> list[Task]:
        """Return the instances of these tasks."""
        return [task for (name, _), task in self.tasks.items() if name in names]

    def states(self) -> dict[str, tuple[str, int]]:
        """Return state and tries by ``task`` or ``task[index]``."""
        return {
            name if index < 0 else f"{name}[{index}]": (task.state, task.tries)
            for (name, index), task in self.tasks.items()
        }


def verdict(name: str, up: list[str]) -> str:
    """Return what a task does that sees these states: run, wait, or the state it gets."""
    if not up:
        return "run"
    done, broken = all(state in ENDED for state in up), any(state in BROKEN for state in up)
    match RULES.get(name, "all_success"):
        case "all_success":
            skip = "skipped" in up
            return "upstream_failed" if broken else "skipped" if skip else "run" if done else "wait"
        case "none_failed_min_one_success":
            return "upstream_failed" if broken else "wait" if not done else "run" if "success" in up else "skipped"
        case "one_failed":
            return "run" if broken else "skipped" if done else "wait"
        case _:  # all_done
            return "run" if done else "wait"


class Model:
    """All runs of the DAG, oldest first, and the clock."""

    def __init__(self) -> None:
        self.now = 0
        self.begun = 0
        self.paused = False
        self.runs: list[Run] = []

    # --- What people do

    def clear(self, run: Run, names: Iterable[str]) -> None:
        """Let tasks run again; what runs is stopped first."""
        for name in names:
            self._reset(name, [task for task in run.of([name]) if task.state != "none"])
        run.state = "queued"
        run.ending = None

    def mark(self, run: Run, name: str, state: str) -> None:
        """End a task in a state; after a success, what failed for want of it runs again."""
        for task in run.of([name]):
            if task.state == "running":
                task.length = None
            task.state, task.resumes = state, False
        if state == "success":
            below = {name}
            for other, up in UPSTREAM.items():  # in topological order
                if below & set(up):
                    below.add(other)
            for other in below - {name}:
                self._reset(other, [task for task in run.of([other]) if task.state in BROKEN])
        if run.state in ("success", "failed"):
            run.state = "queued"

    def mark_run(self, run: Run, state: str) -> None:
        """End a run: failures become successes in a success, what is unfinished is skipped in a failure."""
        for task in run.of(UPSTREAM):
            task.resumes = False
            if task.state == "running":
                task.state, task.length = state, None
            elif task.state not in ENDED or (state == "success" and task.state in BROKEN):
                task.state = "success" if state == "success" else "skipped"
        run.state = state

    def _reset(self, name: str, tasks: list[Task]) -> None:
        for task in tasks:
            task.state, task.length, task.resumes = "none", None, False
            task.max_tries = task.tries + RETRIES.get(name, 0)

    def lose(self) -> None:
        """Kill every process: a try that is left begins at once."""
        for run in self.runs:
            for task in run.of(UPSTREAM):
                if task.state == "running":
                    self._fail(task, "bad", delay=0)

    # --- What follows

    def settle(self) -> None:
        """Do everything that can be done now."""
        while any([self._start_runs(), *(self._advance(run) for run in self.runs)]):
            pass

    def _start_runs(self) -> bool:
        room = MAX_ACTIVE_RUNS - sum(run.state == "running" for run in self.runs)
        waiting = [] if self.paused else [run for run in self.runs if run.state == "queued"][: max(0, room)]
        for run in waiting:
            run.state = "running"
        return bool(waiting)

    def _advance(self, run: Run) -> bool:
        before = (run.state, repr(run.tasks))
        for (name, index), task in sorted(run.tasks.items(), key=lambda item: item[1].begun):
            if task.state == "running" and task.due <= self.now:
                self._finish(run, name, index, task)
            elif task.state == "deferred" and task.due <= self.now:
                task.state, task.resumes = "scheduled", True
        if run.state == "running":
            for (name, index), task in list(run.tasks.items()):
                self._decide(run, name, index, task)
            if all(task.state in ENDED for task in run.of(UPSTREAM)):
                failed = any(task.state in BROKEN for task in run.of(LEAVES))
                run.state = "failed" if failed else "success"
        return before != (run.state, repr(run.tasks))

    def _decide(self, run: Run, name: str, index: int, task: Task) -> None:
        if task.state == "up_for_retry" and task.due <= self.now:
            task.state, task.tries = "scheduled", task.tries + 1
        if task.state == "none":
            what = verdict(name, [up.state for up in run.of(UPSTREAM[name])])
            if what == "run" and name == "each" and index < 0:
                self._expand(run, task)
            elif what == "run":
                task.state, task.tries = "scheduled", task.tries + 1
            elif what != "wait":
                task.state = what
        if task.state == "scheduled" and not self.paused:
            self.begun += 1
            task.state, task.due, task.begun = "running", self.now + DURATION.get(name, 0), self.begun
            task.has_result = False

    def _expand(self, run: Run, placeholder: Task) -> None:
        [first] = run.of(["first"])
        if first.length is None:
            placeholder.state = "upstream_failed"
        elif first.length == 0:
            placeholder.state = "skipped"
        else:
            del run.tasks["each", -1]
            instances = {("each", index): Task() for index in range(first.length)}
            instances["each", 0] = placeholder
            run.tasks |= instances

    def _finish(self, run: Run, name: str, index: int, task: Task) -> None:
        script = run.script.get(name if index < 0 else f"{name}{index}", [])
        outcome = script[task.tries - 1] if task.tries <= len(script) else "good"
        resumes, task.resumes = task.resumes, False
        if name == "each" and not run.tasks["first", -1].has_result:
            outcome = "bad"  # there is nothing to take its argument from
        if outcome == "defer" and not resumes:
            task.state, task.due = "deferred", self.now + DEFERRAL
        elif outcome in ("good", "defer"):
            task.state, task.has_result = "success", True
            task.length = run.length if name == "first" else None
        elif outcome == "skip":
            task.state = "skipped"
        else:
            self._fail(task, outcome, delay=RETRY_DELAY)

    def _fail(self, task: Task, outcome: str, *, delay: int) -> None:
        task.state = "up_for_retry" if outcome == "bad" and task.tries <= task.max_tries else "failed"
        task.due = self.now + delay
