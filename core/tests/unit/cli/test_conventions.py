"""What holds for every command: it is walked over the whole table, so a new command is held to it as well.

So are the commands of the project's other distributions.

A command reads, changes or destroys something, or it is a process of its own; its verb tells. Whoever adds a verb says
here which it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any, Self

import click
import pytest
from click.shell_completion import ShellComplete

from windlass.cli.lazy import Entry
from windlass.cli.root import root
from windlass.cli.table import COMMANDS
from windlass.control import BackfillRequest
from windlass.registry.absent import OWN_COMMANDS
from windlass.spec import AssetSpec, CronIntervalSpec, DagSpec, TaskSpec
from windlass_testing.databases import contents
from windlass_testing.installation import Installation
from windlass_testing.stores import url_of, use_home

Windlass = Callable[..., Any]
Path_ = tuple[str, ...]


class Effect(Enum):
    """What a command does to the home."""

    READS = auto()
    CHANGES = auto()  # nothing is lost: there is the opposite command
    DESTROYS = auto()
    RUNS = auto()  # a process of its own, or a script for one


VERBS: dict[str, Effect] = dict.fromkeys(
    (
        "list", "show", "get", "details", "state", "next-execution", "list-import-errors", "list-runs", "report",
        "logs", "failed-deps", "states-for-dag-run", "render", "test", "export", "get-value", "lint", "check",
        "explain", "simulate", "info", "doctor", "plugins", "events",
    ),
    Effect.READS,
) | dict.fromkeys(
    (
        "trigger", "pause", "unpause", "reparse", "run", "add", "import", "set", "migrate", "rotate-fernet-key",
        "create-event", "materialize", "create", "backfill", "cancel", "new",
    ),
    Effect.CHANGES,
) | dict.fromkeys(
    ("delete", "clear", "reset", "clean", "downgrade", "mark-success", "mark-failed"), Effect.DESTROYS,
) | dict.fromkeys(
    ("quickstart", "standalone", "scheduler", "supervisor", "shell", "completion"), Effect.RUNS,
)  # fmt: skip

#: Values for the arguments and required options of commands, by name, and where a command needs others.
VALUES = {
    "dag_id": "etl", "task_id": "load", "run_id": "r1", "conn_id": "db", "key": "greeting", "name": "io", "slots": "3",
    "value": "hello", "to_revision": "base", "asset": "s3://b/orders", "backfill": "1", "since": "2026-02-01",
    "until": "2026-02-05",
}  # fmt: skip
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "connections add": ("new", "--conn-uri", "http://h"),
    "connections import": ("{home}/connections.json",),
    "variables import": ("{home}/variables.json",),
    "config get-value": ("core", "parallelism"),
    "providers show": ("core",),
    "providers new": ("acme",),
    "dags reparse": (),
    "simulate": ("--from", "2026-03-01", "--to", "2026-03-02"),
    "variables set": ("new", "value"),
    "backfill create": ("--dag-id", "daily", "--from-date", "2026-02-01", "--to-date", "2026-02-05"),
    "dags backfill": ("daily", "--start-date", "2026-02-01", "--end-date", "2026-02-05"),
    "tasks mark-success": ("etl", "load", "r2"),
    "runs mark-success": ("etl", "r2"),
}


def entries(table: Mapping[str, Entry], path: Path_ = ()) -> Iterator[Path_]:
    for name, entry in table.items():
        if isinstance(entry.target, str):
            yield (*path, name)
        else:
            yield from entries(entry.target, (*path, name))


ALL = [*entries(COMMANDS), *((name,) for name in OWN_COMMANDS)]


def which(*effects: Effect) -> pytest.MarkDecorator:
    """Run a test for every command of these kinds."""
    chosen = [path for path in ALL if VERBS.get(path[-1]) in effects]
    return pytest.mark.parametrize("path", chosen, ids=" ".join)


def command_of(path: Path_) -> click.Command:
    context = click.Context(root, info_name="windlass")
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(context, name) or pytest.fail(f"{name} is in no table")
    return command


def options_of(path: Path_) -> dict[str, click.Parameter]:
    return {name: param for param in command_of(path).params for name in param.opts}


def arguments_of(path: Path_, home: Path) -> list[str]:
    """Return arguments with which a command works on the installation ``here``."""
    given = ARGUMENTS.get(" ".join(path))
    if given is not None:
        return [word.format(home=home) for word in given]
    words: list[str] = []
    for param in command_of(path).params:
        if param.required:
            words += (
                [VALUES[param.name or ""]]
                if isinstance(param, click.Argument)
                else [
                    param.opts[0],
                    VALUES[param.name or ""],
                ]
            )
    return words


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with one of everything: a DAG with a run that has ended and one that has not, a connection …

    It is shared, since no test here changes anything: most of them check just that.
    """
    here = Installation(tmp_path_factory.mktemp("conventions") / "home")
    tasks = (
        TaskSpec(task_id="extract"),
        TaskSpec(task_id="load", upstream=("extract",), outlets=(AssetSpec(name="orders", uri="s3://b/orders"),)),
    )
    daily = DagSpec(dag_id="daily", tasks=tasks[:1], schedule=CronIntervalSpec(expression="0 0 * * *"))
    here.add(DagSpec(dag_id="etl", tasks=tasks), daily)
    here.control.runs.trigger("etl", run_id="r1", actor="test")
    here.settle()
    here.control.runs.trigger("etl", run_id="r2", actor="test")
    january = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
    here.control.backfills.create(
        BackfillRequest(dag_id="daily", from_date=january[0], to_date=january[1]), actor="test"
    )
    here.control.pools.set("io", slots=2, actor="test")
    here.control.variables.set("greeting", "hello", actor="test")
    (here.home / "connections.json").write_text('{"db": "http://h", "other": "http://o"}')
    (here.home / "variables.json").write_text('{"a": "1"}')
    here.control.connections.import_all({"db": "http://h"}, actor="test")
    dags = here.home / "dags"
    dags.mkdir()
    (dags / "etl.py").write_text(
        "from windlass import DAG\nfrom windlass.operators import EmptyOperator\n"
        "with DAG('etl'):\n    EmptyOperator(task_id='extract') >> EmptyOperator(task_id='load')\n"
    )
    yield here
    here.close()


@pytest.fixture
def filled(shared: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    use_home(monkeypatch, shared.home)
    monkeypatch.setenv("WINDLASS__SECRETS__BACKENDS_ORDER", "metastore")
    return shared


@pytest.fixture
def windlass(filled: Installation, calling: Callable[[Installation], Windlass]) -> Windlass:
    return calling(filled)


def test_every_command_has_a_verb_that_is_known() -> None:
    assert [" ".join(path) for path in ALL if path[-1] not in VERBS] == []


@which(*Effect)
def test_every_command_has_help(path: Path_, windlass: Windlass) -> None:
    result = windlass(*path, "--help")
    assert result.code == 0
    assert result.out.startswith("Usage: windlass")


@which(Effect.READS, Effect.CHANGES, Effect.DESTROYS)
def test_every_command_prints_data_as_it_is_told(path: Path_) -> None:
    options = options_of(path)
    assert options["-o"] is options["--output"]
    choice = options["-o"].type
    assert isinstance(choice, click.Choice)
    wanted = ["json", "yaml"] if path[-1] == "export" else ["table", "json", "yaml", "plain"]
    assert list(choice.choices) == wanted
    assert "--json" in options
    assert "--color" in options


@which(Effect.READS)
def test_what_reads_prints_json_yaml_plain_text_and_a_table(
    path: Path_, windlass: Windlass, filled: Installation
) -> None:
    import yaml

    arguments = arguments_of(path, filled.home)
    found = windlass(*path, *arguments, "-o", "json")
    assert found.code in {0, 1}, found.err
    if path[-1] == "logs":
        return  # lines of JSON, of which there are none here
    data = json.loads(found.out)
    assert windlass(*path, *arguments, "--json").out == found.out or path[-1] in {"info", "test", "report"}
    assert type(yaml.safe_load(windlass(*path, *arguments, "-o", "yaml").out)) is type(data)
    for form in () if path[-1] == "export" else ("table", "plain"):
        assert windlass(*path, *arguments, "-o", form).code == found.code


@which(Effect.CHANGES, Effect.DESTROYS)
def test_a_dry_run_changes_nothing_and_says_so_to_programs(
    path: Path_, windlass: Windlass, filled: Installation
) -> None:
    assert "--dry-run" in options_of(path)
    before = contents(url_of(filled.home))
    arguments = arguments_of(path, filled.home)
    told = windlass(*path, *arguments, "--dry-run")
    assert told.code in {0, 5}, told.err
    assert windlass(*path, *arguments, "--dry-run", "-o", "json").code == told.code
    assert contents(url_of(filled.home)) == before
    assert told.err, "people are told what would be"


@which(Effect.DESTROYS)
def test_what_destroys_asks_first_and_refuses_where_nobody_can_answer(
    path: Path_, windlass: Windlass, filled: Installation
) -> None:
    assert options_of(path)["-y"] is options_of(path)["--yes"]
    before = contents(url_of(filled.home))
    refused = windlass(*path, *arguments_of(path, filled.home))
    assert refused.code == 2
    assert "There is no terminal to answer on; pass -y to confirm" in refused.err
    assert contents(url_of(filled.home)) == before


@which(Effect.READS, Effect.CHANGES, Effect.DESTROYS)
def test_a_mistyped_option_is_named_with_the_nearest(path: Path_, windlass: Windlass) -> None:
    result = windlass(*path, "--jsno")
    assert result.code == 2
    assert "Did you mean '--json'?" in result.err or "Did you mean one of: '--json'" in result.err


NAMED = {("key", "variables"), ("name", "pools")}
MISTYPED = [
    (path, param.name or "")
    for path in ALL
    for param in command_of(path).params
    if isinstance(param, click.Argument) and param.name in {"dag_id", "task_id", "run_id", "conn_id"}
    and path != ("connections", "add")
]  # fmt: skip


@pytest.mark.parametrize(("path", "name"), MISTYPED, ids=[f"{' '.join(path)} {name}" for path, name in MISTYPED])
def test_a_mistyped_id_exits_4_with_the_nearest(
    path: Path_, name: str, windlass: Windlass, filled: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = VALUES[name] + "x"
    words = []
    for param in command_of(path).params:
        if isinstance(param, click.Argument) and (param.required or param.name == name or param.name in VALUES):
            words.append(wrong if param.name == name else VALUES[param.name or ""])
        if param.name == name:
            break
    required = [param for param in command_of(path).params if param.required]
    rest = [VALUES[param.name or ""] for param in required if isinstance(param, click.Argument)][len(words) :]
    for param in required:
        rest += [param.opts[0], VALUES[param.name or ""]] if isinstance(param, click.Option) else []
    result = windlass(*path, *words, *rest)
    assert result.code == 4, result.err
    assert wrong in result.err
    assert f"Did you mean '{VALUES[name]}'?" in result.err


#: A run that is created has an id of its own, and so has a connection.
CREATED = {("dags trigger", "run_id"), ("connections add", "conn_id")}
COMPLETED = [
    (path, param.name or "")
    for path in ALL
    for param in command_of(path).params
    if (param.name in {"dag_id", "task_id", "run_id", "conn_id", "backfill"} or (param.name, path[0]) in NAMED)
    and (" ".join(path), param.name) not in CREATED
]


@pytest.mark.parametrize(("path", "name"), COMPLETED, ids=[f"{' '.join(path)} {name}" for path, name in COMPLETED])
def test_an_id_is_completed_from_the_database(
    path: Path_, name: str, filled: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.cli.arguments.Session", lambda: _Opened(filled))
    before: list[str] = []
    for param in command_of(path).params:
        if param.name == name:
            if isinstance(param, click.Option):
                before = [*before, param.opts[0]]
            break
        if isinstance(param, click.Argument):
            before.append(VALUES[param.name or ""])
    shell = ShellComplete(root, {"obj": None}, "windlass", "_WINDLASS_COMPLETE")
    found = [item.value for item in shell.get_completions([*path, *before], VALUES[name][:1])]
    assert VALUES[name] in found


class _Opened:
    """A session over an installation that stays open."""

    def __init__(self, here: Installation) -> None:
        self.control = here.control

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
