"""The command line as a whole: starting fast, finding commands, failing well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import pytest

from windlass.cli import main
from windlass.cli.failing import guarded, wants_json
from windlass.cli.lazy import Entry
from windlass.cli.root import root
from windlass.cli.table import COMMANDS
from windlass.errors import AlreadyRunning, DagNotFound, StoreTooOld
from windlass.registry import Catalog, Provider, Registry


def entries(table: Mapping[str, Entry], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Entry]]:
    for name, entry in table.items():
        if isinstance(entry.target, str):
            yield (*path, name), entry
        else:
            yield from entries(entry.target, (*path, name))


ENTRIES = list(entries(COMMANDS))


@pytest.mark.parametrize(("path", "entry"), ENTRIES, ids=[" ".join(path) for path, _ in ENTRIES])
def test_every_line_of_the_table_is_a_command_with_that_help(path: tuple[str, ...], entry: Entry) -> None:
    context = click.Context(root, info_name="windlass")
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(context, name)
        assert found is not None
        command = found
    assert command.name == path[-1]
    assert command.hidden == entry.hidden
    assert (command.help or "").splitlines()[0] == entry.help


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from windlass import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"windlass {__version__}\n"


def test_help_lists_the_commands_but_not_hidden_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "standalone         Run everything on this machine until interrupted." in out
    assert "supervisor" not in out


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["dgas"], "No such command 'dgas'. Did you mean 'dags'?"),
        (["dags", "trigerr"], "No such command 'trigerr'. Did you mean 'trigger'?"),
        (["dags", "list", "--limt", "3"], "No such option '--limt'. Did you mean '--limit'?"),
        (["dags", "trigger"], "Missing argument 'DAG'."),
        (["dags", "trigger", "x", "--conf", "[1]"], "Invalid value for '-c' / '--conf'"),
        (["dags", "trigger", "x", "-e", "yesterday"], "'yesterday' is not an ISO 8601 date or datetime"),
        (["dags", "list", "-o", "xml"], "'xml' is not one of 'table', 'json', 'yaml', 'plain'"),
    ],
)
def test_a_usage_error_says_what_is_wrong_and_exits_2(
    args: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.out == ""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have these providers installed beside the core, and no others, in a home that knows them."""

    def install(*providers: Provider) -> None:
        catalog = Catalog(providers, ())
        monkeypatch.setattr("windlass.registry.registry", lambda: Registry(lambda: catalog))
        monkeypatch.setattr("windlass.registry.cache.cache_file", lambda: Path("cache"))
        monkeypatch.setattr("windlass.registry.cache.read", lambda _file: catalog)

    return install


@pytest.mark.parametrize("args", [["simulate"], ["simulate", "--from", "2026-03-01", "--dags", "dags"]])
def test_a_command_of_ours_that_is_not_installed_says_what_brings_it(
    args: list[str], installed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    installed()
    assert main([*args, "-o", "json"]) == 2
    sentence = "Command 'simulate' is not installed; it comes with windlass-testing: `pip install windlass-testing`"
    assert json.loads(capsys.readouterr().err) == {"error": sentence, "code": "usage"}
    assert main(args) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {sentence}"


def test_a_command_that_is_not_in_what_brings_it_says_to_upgrade_that(
    installed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    installed(Provider(name="testing"))
    assert main(["simulate"]) == 2
    remedy = "`pip install --upgrade windlass-testing`, or see `windlass plugins`"
    told = f"error: Command 'simulate' is not in the windlass-testing that is installed: {remedy}"
    assert capsys.readouterr().err.splitlines()[-1] == told


@pytest.mark.parametrize("providers", [(), (Provider(name="testing", cli_commands={"simulate": "nowhere:at_all"}),)])
def test_it_is_among_the_nearest_names_once_and_in_the_help_if_it_is_installed(
    providers: tuple[Provider, ...], installed: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    installed(*providers)
    assert main(["simulat"]) == 2
    assert capsys.readouterr().err.endswith("No such command 'simulat'. Did you mean 'simulate'?\n")
    assert main(["--help"]) == 0
    assert ("simulate" in capsys.readouterr().out) == bool(providers)


def test_a_group_without_a_command_prints_its_help_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dags"]) == 2
    assert "next-execution" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-o", "json"], ["-ojson"], ["--output", "json"], ["--output=json"], ["--json"]])
def test_with_json_a_failure_is_an_object_even_when_the_arguments_are_wrong(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dags", "list", *words, "--nonsense"]) == 2
    error = json.loads(capsys.readouterr().err)
    assert error["code"] == "usage"
    assert "--nonsense" in error["error"]


def test_words_behind_a_double_dash_ask_for_nothing() -> None:
    assert not wants_json(["pools", "set", "x", "--", "-o", "json"])


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (DagNotFound("DAG 'x' is not known"), 4, "not-found"),
        (StoreTooOld("the database has no tables yet"), 2, "store"),
        (AlreadyRunning("a scheduler runs"), 1, "conflict"),
    ],
)
def test_our_errors_are_one_line_and_carry_their_exit_code(
    error: Exception, code: int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    assert guarded(command, []) == code
    assert capsys.readouterr().err == f"error: {error}\n"
    assert guarded(command, ["--json"]) == code
    assert json.loads(capsys.readouterr().err) == {"error": str(error), "code": name}


def test_anything_else_is_a_bug_with_a_traceback_and_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise KeyError("missing")

    assert guarded(command, []) == 3
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "internal error: KeyError: 'missing'. Please report it" in err


def test_ctrl_c_exits_130_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise KeyboardInterrupt

    assert guarded(command, []) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_reader_that_has_seen_enough_hears_no_complaint() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    script = "import sys; from windlass.cli import main; sys.exit(main(['completion', 'zsh']))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], check=False, stdout=writer, stderr=subprocess.PIPE, timeout=30
        )
    finally:
        os.close(writer)
    assert done.returncode == 1
    assert done.stderr == b""
