"""One seed, one run: put the world together, let it go wrong, calm it down, and see whether everything ends."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from windlass.app.clocks import SeededRng
from windlass.planning.calendar import is_asked
from windlass.ports import NewRun, Workload, WorkloadKind
from windlass.protocol.timetables import decode_question
from windlass.scheduler import SchedulerSettings
from windlass.spec import DagSpec
from windlass.states import RunType
from windlass.store import ParsedFile, Store
from windlass.store.database import Database, Params, Row
from windlass.store.specs import Specs
from windlass_testing.simulation.assets import Updates, consumers
from windlass_testing.simulation.dags import POOLS, random_dag
from windlass_testing.simulation.executor import LossyExecutor
from windlass_testing.simulation.faults import Faults
from windlass_testing.simulation.filling import Filler
from windlass_testing.simulation.interference import Interference
from windlass_testing.simulation.liveness import Liveness
from windlass_testing.simulation.observer import Observer
from windlass_testing.simulation.people import Operator
from windlass_testing.simulation.processes import Behaviour, Register
from windlass_testing.simulation.scheduler import Bells, SchedulerHost
from windlass_testing.simulation.supervisor import SupervisorHost
from windlass_testing.simulation.timetables import Answering, grid_seconds, with_time
from windlass_testing.simulation.world import InvariantBroken, World


@dataclass(frozen=True)
class Result:
    """What came of a seed."""

    seed: int
    steps: int
    commits: int
    virtual_seconds: float
    trace_hash: str
    faults: tuple[str, ...]
    trace: tuple[str, ...]
    broken: str | None = None

    @property
    def line(self) -> str:
        """The seed in one line."""
        return (
            f"seed {self.seed}, step {self.steps}, at {self.virtual_seconds:.3f} s: {self.broken or 'everything held'}"
        )


def simulate(seed: int, *, keep_trace: bool = False) -> Result:
    """Run one seed and return what came of it. Planted bugs are whatever is patched meanwhile."""
    world = World(seed, keep_trace=keep_trace)
    simulation = _Simulation(seed, world)
    broken = None
    with _quiet():
        try:
            simulation.run()
        except InvariantBroken as error:
            broken = str(error)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is a finding
            broken = f"0 no error: {type(error).__name__}: {error}"
            world.note(broken)
        finally:
            simulation.close()
    return Result(
        seed=seed,
        steps=world.steps,
        commits=simulation.observer.commits,
        virtual_seconds=world.time,
        trace_hash=world.trace_hash,
        faults=tuple(simulation.faults.names()),
        trace=tuple(world.trace),
        broken=broken,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the engine's warnings about injected faults to ourselves."""
    logger = logging.getLogger("windlass")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


_QUESTION: Final = "SELECT question FROM timetable_question WHERE ticket = :ticket"


class _Simulation:
    def __init__(self, seed: int, world: World) -> None:
        self._world = world
        self._seed = seed
        # What exists is drawn apart from what happens, so that a change of the one keeps the other.
        source = random.Random(f"shape {seed}")  # noqa: S311 - repeatable
        self.faults = Faults.drawn(source)
        self._specs: dict[str, DagSpec] = {}
        for number in range(source.choice((1, 1, 2))):
            # What it has to do with time is drawn apart, which keeps the shapes that seeds are known for.
            apart = random.Random(f"time {seed} {number}")  # noqa: S311 - repeatable
            spec = with_time(apart, random_dag(source, f"dag{number}"))
            self._specs[spec.dag_id] = spec
        fed = consumers(random.Random(f"assets {seed}"))  # noqa: S311 - repeatable
        self._updates = Updates(random.Random(f"updates {seed}"), any_at_all=bool(fed))  # noqa: S311 - repeatable
        self._fed = {spec.dag_id: spec for spec in fed}
        self._specs |= self._fed
        self._rng = SeededRng(seed)
        self._bells = Bells(world, self.faults)
        self._database = Database.memory(world, self._rng, self._bells)
        self._store = Store(self._database)
        self._register = Register()
        self._answering = Answering(world)
        self.observer = Observer(world, self._database, self._register, self._specs)
        self._probe = Interference(world, self.faults, self.observer.look)
        self._database.probe = self._probe
        self._source = source
        self._executors: list[LossyExecutor] = []

    def run(self) -> None:
        """Live through the faults, then calm down and wait for the end."""
        world, source = self._world, self._source
        self._prepare()
        specs = Specs(self._database)
        behaviour = Behaviour(world, self.faults, self._specs, self._updates)
        names = ("one", "two") if source.random() < 0.35 else ("one",)
        # Drawn apart, which keeps what happens in the other seeds.
        gathers = random.Random(f"gathering {self._seed}").choice((0.0, 0.0, 0.0, 1.0, 5.0))  # noqa: S311 - repeatable
        hosts = [
            SupervisorHost(
                world,
                name,
                self._database,
                specs,
                self._rng,
                self._register,
                behaviour,
                self._answering,
                self._read,
                fences=len(names) > 1,
                gathers=gathers,
            )
            for name in names
        ]
        self.observer.nothing_gets_lost = self.faults.harmless_to_queued and len(names) == 1
        parallelism = source.choice((2, 8, 32))
        poll = source.choice((1.0, 5.0))
        homes = ("a", "b") if source.random() < 0.3 else ("a",)
        for home in homes:
            host = SchedulerHost(
                world,
                home,
                SchedulerSettings(poll_interval=poll),
                self._database,
                specs,
                self._rng,
                lambda: LossyExecutor(world, self.faults, hosts, parallelism, self._on_submit),
                shares=len(homes) > 1,
                leaves=lambda: world.chance(self.faults.leave),
            )
            self._bells.hosts.append(host)
        if len(homes) > 1:
            self.observer.sharing.owner_of = self._bells.owner_of
            # Drawn apart, as seeds are known for what they do.
            apart = random.Random(f"sharing {self._seed}")  # noqa: S311 - repeatable
            self.faults.leave = apart.choice((0.0, 0.0, 0.01))
            self.faults.oversleep = apart.choice((0.0, 0.02, 0.05))
        operator = Operator(world, self._store, self._rng, self.observer, self._specs, self._updates)
        if self.faults.operator:
            operator.start()
        filler = Filler(world, self._store, self._rng, self._specs, self._seed)
        self.observer.fills = filler.start()
        with self._probe.muted():
            self.observer.filling.look()  # at what there is before anybody fills
        if self.faults.jump:
            world.at(source.uniform(5.0, 60.0), world.jump, source.uniform(31.0, 400.0))
        liveness = Liveness(world, self.observer, self._register, self._specs)
        calm_at = source.uniform(20.0, 120.0)
        world.run(lambda: liveness.is_time(calm_at))
        world.note("the world is calm now")
        operator.calm_down()
        filler.calm_down()
        world.calm = True
        liveness.begin()
        world.run(liveness.is_over)
        liveness.check_end(operator.triggered)
        self.observer.filling.check_end(len(filler.made))
        with self._probe.muted():
            self.observer.check_all(liveness=True)
            self.observer.time.check_end()
            self.observer.sharing.check_end()

    def close(self) -> None:
        """End everybody and the database."""
        self._database.probe = None
        self._world.stop()
        self._database.close()

    def _store_dags(self) -> None:
        files = [
            ParsedFile(bundle="main", file=spec.file, code_version=f"code-{dag_id}", specs=(spec,))
            for dag_id, spec in self._specs.items()
        ]
        self._store.dags.store_parse_results(files, paused=False)

    def _prepare(self) -> None:
        for name, slots in POOLS.items():
            self._store.pools.set(name, slots)
        self._store_dags()
        now = self._world.now()
        for dag_id, spec in self._specs.items():
            if dag_id in self._fed:
                continue
            times = 1 if grid_seconds(spec) is not None else self._source.randint(1, 2)
            for _ in range(times):
                self._store.runs.create(
                    NewRun(
                        dag_id=dag_id,
                        run_type=RunType.MANUAL,
                        # Before the schedule's first interval, whose logical date it must not take.
                        logical_date=now - timedelta(hours=1),
                        data_interval_start=now - timedelta(hours=1),
                        data_interval_end=now,
                        run_after=now,
                        bump=True,
                        interval_pending=is_asked(spec),
                    )
                )

    def _read(self, sql: str, params: Params) -> list[Row]:
        with self._probe.muted():
            return self._database.rows(sql, params)

    def _on_submit(self, workload: Workload) -> None:
        """Nothing is handed out before its queueing is committed."""
        if workload.kind is WorkloadKind.TIMETABLE:
            rows = self._read(_QUESTION, {"ticket": workload.ticket})
            self._answering.sent(workload.ticket, decode_question(rows[0][0]) if rows else None)
            return
        ti = self.observer.instance(workload.id)
        if ti is None or ti.epoch < workload.epoch:
            raise InvariantBroken(
                "1 commit, then send", f"task instance {workload.id} was sent with epoch {workload.epoch}"
            )
