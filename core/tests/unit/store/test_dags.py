"""DAGs follow their files: found, changed, broken, moved and gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from windlass.app.clocks import VirtualClock
from windlass.errors import Conflict, DagNotFound
from windlass.spec import DagSpec, TaskSpec, encode_spec, spec_version
from windlass.store import ParsedFile
from windlass_testing.hand_driven import HandDriven


def parsed(file: str, *dags: DagSpec | str, code: str = "c1", **fields: object) -> ParsedFile:
    specs = tuple(DagSpec(dag_id=d, file=file) if isinstance(d, str) else d for d in dags)
    return ParsedFile(bundle="main", file=file, code_version=code, specs=specs, **fields)  # type: ignore[arg-type]


def stored(engine: HandDriven, *files: ParsedFile, paused: bool = False) -> list[str]:
    return engine.store.dags.store_parse_results(files, paused=paused)


def errors(engine: HandDriven) -> list[tuple[str, str, str]]:
    return [(e.file, e.severity, e.message) for e in engine.store.queries.import_errors()]


def test_a_new_dag_starts_as_configured_unless_it_says_so_itself(engine: HandDriven, clock: VirtualClock) -> None:
    own = DagSpec(dag_id="own", file="f.py", is_paused_upon_creation=False)
    assert stored(engine, parsed("f.py", "d", own), paused=True) == ["d", "own"]
    facts = {dag.dag_id: dag for dag in engine.scheduler.dags()}
    assert (facts["d"].paused, facts["d"].unpaused_at) == (True, None)
    assert (facts["own"].paused, facts["own"].unpaused_at) == (False, clock.now())
    assert [s.dag_id for s in engine.scheduler.signals()] == ["d", "own"]


def test_specs_may_come_as_bytes_and_keep_their_version(engine: HandDriven) -> None:
    spec = DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"),))
    engine.store.dags.store_parse_results(
        [ParsedFile(bundle="main", file="f.py", code_version="c", specs=(encode_spec(spec),))], paused=False
    )
    assert engine.store.queries.dag("d").spec_version == spec_version(spec)
    assert engine.store.queries.spec("d") == spec


def test_a_file_that_says_the_same_changes_and_signals_nothing(engine: HandDriven) -> None:
    stored(engine, parsed("f.py", "d"))
    signals = len(engine.scheduler.signals())
    assert stored(engine, parsed("f.py", "d")) == []
    assert len(engine.scheduler.signals()) == signals


def test_a_change_of_graph_or_code_is_a_change_and_keeps_the_pause(engine: HandDriven) -> None:
    stored(engine, parsed("f.py", "d"))
    engine.store.dags.set_paused("d", True)
    assert stored(engine, parsed("f.py", "d", code="c2")) == ["d"]
    assert stored(engine, parsed("f.py", DagSpec(dag_id="d", file="f.py", tags=("new",)), code="c2")) == ["d"]
    dag = engine.store.queries.dag("d")
    assert (dag.code_version, dag.paused) == ("c2", True)
    assert engine.count("dag_version") == 2


def test_the_second_file_with_the_same_id_is_told_and_the_first_stays(engine: HandDriven) -> None:
    stored(engine, parsed("one.py", "d"))
    assert stored(engine, parsed("two.py", "d", "e")) == ["e"]
    assert errors(engine) == [
        (
            "two.py",
            "error",
            "DAG 'd' is defined in both one.py and two.py; the one in one.py is used. Rename one of them",
        )
    ]
    assert engine.store.queries.dag("d").file == "one.py"


def test_a_dag_may_move_to_another_file(engine: HandDriven) -> None:
    stored(engine, parsed("one.py", "d"))
    engine.store.dags.forget_files("main", ["one.py"])
    assert stored(engine, parsed("two.py", "d")) == ["d"]
    assert (engine.store.queries.dag("d").file, engine.store.queries.dag("d").stale) == ("two.py", False)
    assert errors(engine) == []


def test_a_broken_file_keeps_its_dags_and_shows_its_error_until_it_is_whole(engine: HandDriven) -> None:
    stored(engine, parsed("f.py", "d"))
    assert stored(engine, parsed("f.py", error="line 3: nope", output="printed", warnings=("slow import",))) == []
    assert errors(engine) == [("f.py", "warning", "slow import"), ("f.py", "error", "line 3: nope")]
    assert not engine.store.queries.dag("d").stale
    assert engine.store.dags.parsed_files()[0].dags == ("d",)
    stored(engine, parsed("f.py", "d"))
    assert errors(engine) == []


def test_a_dag_that_left_its_file_gets_no_new_runs(engine: HandDriven) -> None:
    stored(engine, parsed("f.py", "d", "e"))
    assert stored(engine, parsed("f.py", "e")) == ["d"]
    assert [dag.dag_id for dag in engine.scheduler.dags()] == ["e"]
    stale = engine.scheduler.dag("d")
    assert stale is not None
    assert stale.stale


def test_a_file_that_is_gone_takes_its_dags_and_errors_with_it(engine: HandDriven) -> None:
    stored(engine, parsed("f.py", "d", warnings=("w",)), parsed("g.py", "e"))
    assert engine.store.dags.forget_files("main", ["f.py"]) == ["d"]
    assert errors(engine) == []
    assert [row.file for row in engine.store.dags.parsed_files("main")] == ["g.py"]
    assert engine.store.dags.parsed_files("other") == []


def test_what_a_file_was_made_from_comes_back_until_a_parse_is_asked_for(
    engine: HandDriven, clock: VirtualClock
) -> None:
    inputs = {"f.py": ["sha", 1, 2]}
    stored(engine, parsed("f.py", "d", inputs=inputs, duration=0.5, min_interval=30.0))
    [row] = engine.store.dags.parsed_files()
    assert (row.inputs, row.duration, row.min_interval, row.parsed_at) == (inputs, 0.5, 30.0, clock.now())
    engine.store.dags.request_reparse([("main", "f.py")])
    assert engine.store.dags.parsed_files()[0].inputs is None


def test_pausing_is_repeatable_and_unpausing_notes_when(engine: HandDriven, clock: VirtualClock) -> None:
    stored(engine, parsed("f.py", "d"))
    assert engine.store.dags.set_paused("d", True) is True
    assert engine.store.dags.set_paused("d", True) is False
    clock.advance(60)
    assert engine.store.dags.set_paused("d", False) is True
    dag = engine.scheduler.dag("d")
    assert dag is not None
    assert (dag.paused, dag.unpaused_at) == (False, clock.now())
    with pytest.raises(DagNotFound, match="'x' is not known"):
        engine.store.dags.set_paused("x", True)


def test_deleting_a_dag_takes_its_runs_but_never_under_a_running_task(engine: HandDriven) -> None:
    engine.dag("a")
    claimed = engine.run(engine.ti(engine.new_run()))
    with pytest.raises(Conflict, match="task 'a' of DAG 'd' is running"):
        engine.store.dags.delete("d")
    engine.report(claimed)
    engine.store.dags.delete("d")
    assert [engine.count(table) for table in ("dag", "run", "ti", "attempt", "transition")] == [0] * 5
    with pytest.raises(DagNotFound):
        engine.store.dags.delete("d")


def test_three_hundred_files_are_one_transaction(engine: HandDriven) -> None:
    commits = engine.store.db.commits
    changed = stored(engine, *(parsed(f"f{n}.py", f"d{n}") for n in range(300)))
    assert len(changed) == 300
    assert engine.store.db.commits == commits + 1


def test_pages_of_dags_and_runs_are_stable_and_complete(engine: HandDriven) -> None:
    engine.dag("a")
    stored(engine, *(parsed(f"f{n}.py", f"x{n}") for n in range(4)))
    for day in range(1, 6):
        engine.new_run(day=day)

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = engine.store.queries.dags(after=cursor, limit=2)
        seen += [dag.dag_id for dag in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == ["d", "x0", "x1", "x2", "x3"]

    first = engine.store.queries.runs("d", limit=2)
    engine.new_run(day=9)
    rest = engine.store.queries.runs("d", after=first.cursor, limit=10)
    days = [run.logical_date.day for page in (first, rest) for run in page.items]
    assert days == [5, 4, 3, 2, 1]
    assert engine.store.queries.count_runs("d") == 6


def test_rows_for_people_have_durations_and_processes(engine: HandDriven, clock: VirtualClock) -> None:
    engine.dag("a", "b")
    run = engine.new_run()
    clock.advance(5)
    engine.complete(run, "a")
    [a, b] = engine.store.queries.tasks("d", run.run_id).items
    assert (a.duration, a.pid, a.hostname) == (1.0, 100, "host")
    assert a.start_date == clock.now() - timedelta(seconds=1)
    assert (b.duration, b.pid, b.start_date) == (None, None, None)
    page = engine.store.queries.tasks("d", run.run_id, limit=1)
    assert engine.store.queries.tasks("d", run.run_id, after=page.cursor).items == (b,)
