"""What a simulation takes for granted, and the file that says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.errors import ConfigError, UsageError
from windlass.spec import DagSpec, TaskSpec
from windlass_testing.simulate.assumptions import (
    Assumptions,
    Behaviour,
    Behaviours,
    DagEntry,
    History,
    TaskEntry,
    read_assumptions,
    seconds,
)

DAG = DagSpec(
    dag_id="d",
    tasks=(
        TaskSpec(task_id="a", is_brancher=True),
        TaskSpec(task_id="b", upstream=("a",), retries=2, retry_delay=100.0),
        TaskSpec(task_id="c", upstream=("a",), is_sensor=True),
        TaskSpec(task_id="e", upstream=("b", "c")),
    ),
)


def behaviour(task_id: str, entry: object = None, history: History | None = None, **dag: object) -> Behaviour:
    tasks = {} if entry is None else {task_id: entry}
    assumptions = Assumptions(dags={"d": DagEntry(tasks=tasks, **dag)})  # type: ignore[arg-type]
    return Behaviours(assumptions, history or History()).of(DAG, task_id)


def test_without_a_word_a_task_takes_a_minute_and_succeeds() -> None:
    assert behaviour("b") == Behaviour(duration=60.0, source="default")


def test_a_sensor_finds_what_it_waits_for_at_once() -> None:
    assert behaviour("c").duration < 0.01


def test_history_counts_before_the_defaults_of_the_file_and_what_it_says_of_the_task_before_history() -> None:
    history = History(durations={("d", "b"): 7.0}, lengths={("d", "b"): 5})
    assert behaviour("b", None, history, duration=30.0).duration == 7.0
    assert behaviour("b", None, history).length == 5
    assert behaviour("b", 9.0, history) == Behaviour(duration=9.0, source="file", length=5)
    assert behaviour("b", None, duration=30.0) == Behaviour(duration=30.0, source="file")


def test_a_default_of_the_dag_counts_before_that_of_the_file() -> None:
    both = Assumptions(duration=5.0, dags={"d": DagEntry(duration="2m")})
    assert Behaviours(both, History()).of(DAG, "b").duration == 120.0
    assert Behaviours(Assumptions(duration=5.0), History()).of(DAG, "b").duration == 5.0


def test_a_branch_takes_every_path_unless_the_file_chooses() -> None:
    assert behaviour("a").skip_targets == ()
    assert behaviour("a", TaskEntry(branch="b")).skip_targets == ("c",)
    assert behaviour("a", TaskEntry(branch=())).skip_targets == ("b", "c")
    with pytest.raises(UsageError, match=r"cannot choose 'x'.*it can choose b, c"):
        behaviour("a", TaskEntry(branch=("x",)))


@pytest.mark.parametrize(
    ("text", "length"), [("90s", 90.0), ("1h30m", 5400.0), ("1.5m", 90.0), ("2d", 172800.0), ("250ms", 0.25), (3, 3.0)]
)
def test_durations_are_seconds_or_text_with_units(text: str | float, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "5", "m", "5m later", "-5s", -1.0])
def test_what_is_no_duration_is_refused(text: str | float) -> None:
    with pytest.raises(UsageError, match="duration"):
        seconds(text)


TOML = """
duration = "5m"
[pools]
db = 2
[dags.d]
duration = 30
[dags.d.tasks]
a = { branch = ["b"], length = 3 }
b = { duration = "1m", fails = 1 }
c = { poke = { count = 4, interval = 60, reschedule = true } }
e = 12
"""
YAML = """
duration: 5m
pools: {db: 2}
dags:
  d:
    duration: 30
    tasks:
      a: {branch: [b], length: 3}
      b: {duration: 1m, fails: 1}
      c: {poke: {count: 4, interval: 60, reschedule: true}}
      e: 12
"""
JSON = """{"duration": "5m", "pools": {"db": 2}, "dags": {"d": {"duration": 30, "tasks": {
  "a": {"branch": ["b"], "length": 3}, "b": {"duration": "1m", "fails": 1},
  "c": {"poke": {"count": 4, "interval": 60, "reschedule": true}}, "e": 12}}}}"""


@pytest.mark.parametrize(("suffix", "text"), [("toml", TOML), ("yaml", YAML), ("json", JSON)])
def test_the_file_says_the_same_in_every_format(tmp_path: Path, suffix: str, text: str) -> None:
    file = tmp_path / f"durations.{suffix}"
    file.write_text(text, encoding="utf-8")
    found = read_assumptions(file)
    assert found.pools == {"db": 2}
    behaviours = Behaviours(found, History())
    assert behaviours.of(DAG, "a") == Behaviour(duration=30.0, source="file", skip_targets=("c",), length=3)
    assert behaviours.of(DAG, "b") == Behaviour(duration=60.0, source="file", fails=1)
    assert behaviours.of(DAG, "c").reschedules == 3
    assert behaviours.of(DAG, "e").duration == 12.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("durations = 5", "unknown field `durations`"),
        ("[dags.d.tasks]\na = { fail = 1 }", "unknown field `fail`.*dags"),
        ("[pools]\ndb = 'many'", "Expected `int`"),
        ("duration = 'soon'", "'soon' is no duration"),
        ("duration =", "Invalid value"),
    ],
)
def test_what_the_file_says_wrongly_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "durations.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"durations.toml cannot be used: .*{told}"):
        read_assumptions(file)


def test_a_file_of_another_kind_is_told_which_there_are(tmp_path: Path) -> None:
    file = tmp_path / "durations.ini"
    file.touch()
    with pytest.raises(ConfigError, match=r"must end in \.toml, \.json or \.yaml"):
        read_assumptions(file)


def test_dags_and_tasks_that_are_not_there_are_told() -> None:
    found = Assumptions(dags={"d": DagEntry(tasks={"a": 1.0, "aa": 1.0}), "x": DagEntry()})
    assert found.strangers([DAG]) == [
        "the durations name task 'aa' of DAG 'd', which has no such task",
        "the durations name DAG 'x', which is not simulated",
    ]


def test_the_longest_path_counts_retries_and_pokes() -> None:
    entry = DagEntry(duration=10.0, tasks={"b": TaskEntry(fails=1), "c": 1.0})
    # a 10, b twice 10 with a delay of 100, e 10
    assert Behaviours(Assumptions(dags={"d": entry}), History()).longest_path(DAG) == 140.0
