"""Two schedulers and one database: who works on what, what passes from one to the other, and what both count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.planning.sharing import holder_of
from windlass.ports import NewRun, RunFacts
from windlass.scheduler import Scheduler, SchedulerSettings
from windlass.spec import CronIntervalSpec, DagSpec, TaskSpec
from windlass.states import RunType
from windlass.store import ParsedFile, Store, open_store
from windlass.store.sharing import Leases
from windlass_testing.scripted import ScriptedExecutor
from windlass_testing.stores import SQLITE, emptied_url, over_each_kind

START = datetime(2026, 3, 1, 6, tzinfo=UTC)


class Host:
    """A scheduler and its executor in a home of their own."""

    def __init__(self, pair: Pair, home: str) -> None:
        self.home = home
        self.executor = ScriptedExecutor(pair.store.gateway, pair.clock)
        self.leases = Leases(pair.store.db, home)
        view = pair.store.scheduler_with(self.leases)
        rng = SeededRng(ord(home))
        # What is queued is not to be offered again by the reaper meanwhile.
        settings = SchedulerSettings(queued_timeout=600.0)
        self.scheduler = Scheduler(view, self.executor, pair.clock, rng, settings, self.leases)


class Pair:
    """Two hosts, ``a`` and ``b``."""

    def __init__(self, url: str | None) -> None:
        self.clock = VirtualClock(START)
        rng = SeededRng(2)
        self.store = Store.memory(self.clock, rng) if url is None else open_store(url, clock=self.clock, rng=rng)
        self.hosts = [Host(self, "a"), Host(self, "b")]

    def add(self, host: str, *tasks: TaskSpec, **fields: object) -> str:
        """Store a DAG that falls to a host, and return its id."""
        living = {name: name for name in "ab"}
        known = {dag.dag_id for dag in self.store.scheduler.dags()}
        number = 0
        while (dag_id := f"d{number}") in known or holder_of(dag_id, living) != host:
            number += 1
        spec = DagSpec(dag_id=dag_id, tasks=tasks or (TaskSpec(task_id="t"),), **fields)  # type: ignore[arg-type]
        parsed = ParsedFile(bundle="main", file=f"{dag_id}.py", code_version="code", specs=(spec,))
        self.store.dags.store_parse_results([parsed], paused=False)
        return dag_id

    def trigger(self, dag_id: str) -> RunFacts:
        now = self.clock.now()
        return self.store.runs.create(
            NewRun(
                dag_id=dag_id,
                run_type=RunType.MANUAL,
                logical_date=now,
                data_interval_start=now,
                data_interval_end=now,
                run_after=now,
                bump=True,
            )
        )

    def step(self, times: int = 6) -> None:
        """Let each take some steps, without any task being run."""
        for _ in range(times):
            for host in self.hosts:
                host.scheduler.step()

    def pass_time(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass, a second at a time, and what is running end at once."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            self.clock.advance(step)
            self.work()

    def work(self) -> None:
        """Let everything happen that can now."""
        for _ in range(20):
            self.step(1)
            for host in self.hosts:
                if host.executor.waiting:
                    host.executor.run_one()

    def state(self, run: RunFacts) -> str:
        found = self.store.scheduler.run(run.id)
        assert found is not None
        return str(found.state)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    over_each_kind(metafunc, "pair")


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    url = None if request.param == SQLITE else emptied_url(request.param, request)
    pair = Pair(url)
    yield pair
    pair.store.close()


def test_each_works_on_the_dags_that_fall_to_it(pair: Pair) -> None:
    pair.step()
    a, b = pair.add("a"), pair.add("b")
    runs = [pair.trigger(a), pair.trigger(b)]
    pair.work()
    assert [pair.state(run) for run in runs] == ["success", "success"]
    assert [len(host.executor.started) for host in pair.hosts] == [1, 1]


def test_a_slot_that_a_task_of_the_other_held_is_found_within_a_second(pair: Pair) -> None:
    pair.store.pools.set("one", 1)
    one = TaskSpec(task_id="t", pool="one")
    pair.step()
    runs = [pair.trigger(pair.add("a", one)), pair.trigger(pair.add("b", one))]
    pair.step()
    first, second = pair.hosts
    assert [len(host.executor.waiting) for host in pair.hosts] == [1, 0], "the slot is the first one's"
    taken = first.executor.claim()
    assert taken is not None
    pair.clock.advance(1)
    pair.step()
    assert not second.executor.waiting
    first.executor.finish(*taken, first.executor.script(taken[0], 1))
    assert second.scheduler.step() <= 1.0, "it looks again by itself"
    pair.clock.advance(1)
    pair.work()
    assert [pair.state(run) for run in runs] == ["success", "success"]


def test_a_pool_that_grows_is_noticed_by_both_soon(pair: Pair) -> None:
    pair.store.pools.set("none", 0)
    none = TaskSpec(task_id="t", pool="none")
    pair.step()
    runs = [pair.trigger(pair.add(host, none)) for host in "ab"]
    pair.work()
    pair.store.pools.set("none", 2)
    pair.pass_time(6)
    assert [pair.state(run) for run in runs] == ["success", "success"]


def test_one_that_leaves_hands_over_what_it_was_in_the_middle_of(pair: Pair) -> None:
    pair.step()
    dag = pair.add("b", TaskSpec(task_id="t"), TaskSpec(task_id="u", upstream=("t",)))
    run = pair.trigger(dag)
    pair.step()
    a, b = pair.hosts
    work, claimed = b.executor.claim() or pytest.fail("it was not queued")
    b.scheduler.leave()
    pair.hosts = [a]
    pair.clock.advance(1)
    pair.step()
    assert b.executor.finish(work, claimed, b.executor.script(work, 1)), "its supervisor goes on with what runs"
    pair.work()
    assert pair.state(run) == "success"
    assert a.executor.started == ["u"]


def test_one_that_dies_is_followed_when_its_lease_has_lapsed_and_what_it_had_queued_is_sent_again(pair: Pair) -> None:
    pair.step()
    run = pair.trigger(pair.add("b"))
    pair.step()
    a, b = pair.hosts
    assert len(b.executor.waiting) == 1
    pair.hosts = [a]
    pair.pass_time(39)
    assert pair.state(run) == "running", "a lease of a minute, renewed every third of it"
    pair.pass_time(35)
    assert pair.state(run) == "success"
    assert a.executor.started == ["t"]
    assert b.executor.claim() is None, "the ticket is good for one claim"


def test_one_that_was_asleep_meanwhile_decides_nothing_and_then_gets_its_share_again(pair: Pair) -> None:
    schedule = CronIntervalSpec(expression="* * * * *")
    pair.step()
    dag = pair.add("b", schedule=schedule, start_date=START, catchup=True, max_active_runs=1)
    pair.work()
    a, b = pair.hosts
    pair.hosts = [a]
    pair.pass_time(150)
    assert a.leases.held() == [dag]
    made = len(pair.store.scheduler.runs_at(dag, [START, START + timedelta(minutes=1)], []))
    assert made == 2
    pair.hosts = [a, b]
    pair.pass_time(6)
    assert (a.leases.held(), b.leases.held()) == ([], [dag])
    pair.pass_time(60)
    assert b.executor.started


def test_a_newcomer_gets_its_share_in_seconds(pair: Pair) -> None:
    a, b = pair.hosts
    pair.hosts = [a]
    pair.step()
    of_a, of_b = pair.add("a"), pair.add("b")
    pair.work()
    assert a.leases.held() == sorted([of_a, of_b])
    pair.hosts = [a, b]
    pair.pass_time(6)
    assert (a.leases.held(), b.leases.held()) == ([of_a], [of_b])
    run = pair.trigger(of_b)
    pair.work()
    assert pair.state(run) == "success"
    assert b.executor.started == ["t"]


def test_a_dag_that_is_deleted_and_comes_back_is_worked_on_again(pair: Pair) -> None:
    pair.step()
    dag = pair.add("b")
    pair.work()
    pair.store.dags.delete(dag)
    pair.work()
    assert pair.add("b") == dag
    run = pair.trigger(dag)
    pair.work()
    assert pair.state(run) == "success"


def test_every_dag_is_paused_by_a_command_wherever_it_is_worked_on(pair: Pair) -> None:
    pair.step()
    dags = [pair.add("a"), pair.add("b")]
    pair.work()
    for dag in dags:
        pair.store.dags.set_paused(dag, paused=True)
    runs = [pair.trigger(dag) for dag in dags]
    pair.work()
    assert [pair.state(run) for run in runs] == ["queued", "queued"]
