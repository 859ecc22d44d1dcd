"""Everybody at once: schedulers, supervisors, a reaper and people who do not wait for each other.

Nothing here is in any order but that of the database's locks. Whatever comes of it, nobody is refused, no pool holds
more than it has, and the invariants hold at the end.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from windlass.app.clocks import SystemRng
from windlass.errors import RunExists, RunNotFound
from windlass.ports import Changes, NewRun
from windlass.protocol import AssetEvent, Outcome
from windlass.spec import AssetCondition, AssetScheduleSpec, TaskSpec
from windlass.states import RunState, RunType, TaskState
from windlass.store import open_store
from windlass.store.cleaning import Cleaning
from windlass_testing.hand_driven import HandDriven, result

S = TaskState
SLOTS = 2
SECONDS = 2.0
#: How often everybody acts at least, and how many seconds more there are for that.
ENOUGH = 15
PATIENCE = 40.0
RUNS = 4
OCCUPIED = "SELECT COUNT(*) FROM ti WHERE pool = 'two' AND state IN ('queued','running')"
PER_DAG = (
    "SELECT COUNT(*) FROM ti t JOIN run r ON r.id = t.run"
    " WHERE t.task_id = 'alone' AND t.state IN ('queued','running') AND r.dag_id = 'd'"
)


class Everybody:
    """Each actor has a store of its own, as a process has."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.seed = seed
        self.until = time.monotonic() + SECONDS
        self.failures: list[BaseException] = []
        self.done: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    def add(self, name: str, act: Callable[[HandDriven, random.Random], object]) -> None:
        """Have an actor do ``act`` again and again."""

        def work() -> None:
            chance = random.Random(f"{self.seed} {name}")
            store = open_store(self.url, clock=None, rng=SystemRng())
            engine = HandDriven(store, store.db.clock)
            try:
                while self._go_on():
                    act(engine, chance)
                    self.done[name] += 1
            except BaseException as error:  # noqa: BLE001 - told to the test
                self.failures.append(error)
            finally:
                store.close()

        self.done[name] = 0
        self._threads.append(threading.Thread(target=work, name=name))

    def _go_on(self) -> bool:
        """Return whether there is time left, or somebody has hardly come to act on a busy machine."""
        late = time.monotonic() - self.until
        return not self.failures and (late < 0 or (late < PATIENCE and min(self.done.values()) < ENOUGH))

    def run(self) -> None:
        """Let them all go, and wait for their end."""
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(60)


def tasks(engine: HandDriven, *states: TaskState) -> list[int]:
    names = ",".join(f"'{state.value}'" for state in states)
    return [row[0] for row in engine.store.db.rows(f"SELECT id FROM ti WHERE state IN ({names})")]  # noqa: S608


def schedule(engine: HandDriven, chance: random.Random) -> None:
    """Queue some of what may be, as a scheduler that owns these runs would; the other one does so too."""
    startable = (S.NONE, S.SCHEDULED, S.UP_FOR_RETRY)
    waiting = [ti for ti in engine.scheduler.tasks(tasks(engine, *startable)) if ti.state in startable]
    chosen = chance.sample(waiting, min(3, len(waiting)))
    runs = {facts.id: facts for facts in engine.scheduler.open_runs()}
    chosen = [ti for ti in chosen if ti.run in runs]
    if not chosen:
        return
    changes = Changes(generations={ti.run: runs[ti.run].generation for ti in chosen})
    for ti in chosen:
        part = engine.queueing(ti, **({"max_active_tis_per_dag": 1} if ti.task_id == "alone" else {}))
        changes.task_moves += part.task_moves
        changes.admissions += part.admissions
    engine.scheduler.commit(changes)


def supervise(engine: HandDriven, chance: random.Random) -> None:
    """Claim what is queued and report its end."""
    queued = engine.scheduler.queued()
    chance.shuffle(queued)
    claimed = [held for ti in queued[:3] if (held := engine.claim(ti)) is not None]
    reports = []
    for held in claimed:
        outcome = chance.choice([Outcome.SUCCESS, Outcome.SUCCESS, Outcome.FAIL])
        uris = [AssetEvent(uri=f"s3://{chance.randrange(3)}") for _ in range(2)]
        outlets = tuple(uris) if outcome is Outcome.SUCCESS else ()
        ending = engine.finish(outcome, outlets=outlets) if outlets else engine.finish(outcome)
        reports.append(engine.reporting(held, ending=ending, xcoms=(result("x"),)))
    engine.gateway.heartbeat([held.lease_id for held in claimed], "s1")
    engine.gateway.report(reports, "s1")


def command(engine: HandDriven, chance: random.Random) -> None:
    """Clear, mark, end a run, trigger one, say that an asset was updated, delete what ended."""
    some = chance.sample(ids, min(2, len(ids))) if (ids := tasks(engine, *S)) else []
    match chance.randrange(6):
        case 0:
            engine.store.runs.clear(some, who="ann", key=f"{some}" if chance.random() < 0.2 else None)
        case 1:
            engine.store.runs.mark(some, chance.choice([S.SUCCESS, S.FAILED]), who="ann")
        case 2:
            run = chance.choice(engine.store.queries.runs("d").items)
            with suppress(RunNotFound):  # cleaned away meanwhile
                engine.store.runs.mark_run(
                    "d", run.run_id, chance.choice([RunState.SUCCESS, RunState.FAILED]), who="ann"
                )
        case 3:
            now = engine.clock.now()
            new = NewRun(
                dag_id="d",
                run_type=RunType.MANUAL,
                logical_date=now,
                data_interval_start=now,
                data_interval_end=now,
                run_after=now,
                bump=True,
            )
            if engine.count("run") < 2 * RUNS:
                engine.store.runs.create(new)
        case 4:
            engine.store.assets.create_event(f"s3://{chance.randrange(3)}", extra={}, who="ann")
        case 5:
            Cleaning(engine.store.db, lambda _: None).runs(engine.clock.now())


def parse(engine: HandDriven, chance: random.Random) -> None:
    """Store another version of the DAG that listens to assets, and create the run that their events call for."""
    names = chance.sample([f"s3://{n}" for n in range(3)], 2)
    condition = AssetCondition(any_of=tuple(AssetCondition(asset=name) for name in names))
    engine.dag("t", dag_id="fed", file="fed.py", schedule=AssetScheduleSpec(condition=condition))
    waiting = engine.scheduler.waiting_events("fed")
    if waiting:
        instants = sorted(event.at for event in waiting)
        engine.scheduler.create_run(
            NewRun(
                dag_id="fed",
                run_type=RunType.ASSET_TRIGGERED,
                logical_date=instants[-1],
                data_interval_start=instants[0],
                data_interval_end=instants[-1],
                run_after=instants[-1],
                bump=True,
                asset_events=tuple(event.id for event in waiting),
            )
        )


def reap(engine: HandDriven, chance: random.Random) -> None:
    """Declare a supervisor dead that lives, which is the worst that can happen to its reports."""
    engine.gateway.recover("s1")
    engine.scheduler.reap(queued_timeout=0.05)
    time.sleep(0.02)


@pytest.fixture
def crowd(url: str) -> Iterator[tuple[Everybody, HandDriven]]:
    with ExitStack() as stack:
        store = open_store(url, clock=None, rng=SystemRng())
        stack.callback(store.close)
        engine = HandDriven(store, store.db.clock)
        every = ("success", "failure", "retry", "skipped")
        engine.store.pools.set("two", SLOTS)
        engine.dag(*(TaskSpec(task_id=t, retries=1, pool="two", callbacks=every) for t in ("a", "b", "alone")))
        engine.dag("t", dag_id="fed", file="fed.py")
        for day in range(1, RUNS + 1):
            engine.new_run(day=day, run_type=RunType.MANUAL)
        yield Everybody(url, seed=1), engine


@pytest.mark.timeout(90)
def test_whoever_writes_at_the_same_time_nobody_is_refused_and_every_promise_holds(
    crowd: tuple[Everybody, HandDriven],
) -> None:
    everybody, engine = crowd
    most: list[tuple[int, int]] = []

    def look(watcher: HandDriven, _: random.Random) -> None:
        pool, alone = (watcher.store.db.rows(sql)[0][0] for sql in (OCCUPIED, PER_DAG))
        most.append((pool, alone))

    for name in ("scheduler 1", "scheduler 2"):
        everybody.add(name, schedule)
    for name in ("supervisor 1", "supervisor 2"):
        everybody.add(name, supervise)
    everybody.add("people", command)
    everybody.add("more people", command)
    everybody.add("files", parse)
    everybody.add("reaper", reap)
    everybody.add("watcher", look)

    everybody.run()

    assert everybody.failures == []
    assert min(everybody.done.values()) >= ENOUGH, everybody.done
    assert max(pool for pool, _ in most) <= SLOTS
    assert max(alone for _, alone in most) <= 1
    assert engine.violations() == []
    assert engine.count("transition", "to_state = 'running'") > 3


@pytest.mark.timeout(90)
def test_of_many_that_create_the_same_run_at_once_one_does(url: str) -> None:
    everybody = Everybody(url, seed=2)
    with closing(open_store(url, clock=None, rng=SystemRng())) as store:
        HandDriven(store, store.db.clock).dag("a")
    outcomes: list[str] = []

    def create(engine: HandDriven, _: random.Random) -> None:
        try:
            now = engine.clock.now().replace(microsecond=0)
            new = NewRun(
                dag_id="d",
                run_type=RunType.MANUAL,
                run_id="mine",
                logical_date=now,
                data_interval_start=now,
                data_interval_end=now,
                run_after=now,
            )
            engine.store.runs.create(new)
            outcomes.append("made")
        except RunExists:
            outcomes.append("exists")

    everybody.until = time.monotonic() + 0.5
    for number in range(6):
        everybody.add(f"creator {number}", create)
    everybody.run()
    assert everybody.failures == []
    assert outcomes.count("made") == 1
