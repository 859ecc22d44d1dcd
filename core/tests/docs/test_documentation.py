"""What the documentation says is so: its tables, examples and commands, and the files and tests that it points at."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from windlass.cli.root import root
from windlass.planning.queueing import Limit
from windlass.registry.absent import OWN_COMMANDS
from windlass_testing.simulate.assumptions import read_assumptions
from windlass_testing.stores import environ_of

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
SOURCE = ROOT / "core" / "src" / "windlass"
EXAMPLES = DOCS / "examples"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not part of a package's sources")

PAGES = sorted(path for path in DOCS.glob("*/**/*.md") if not {"_build", "_mounted"} & {*path.parts})


def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page_id(page: Path) -> str:
    return str(page.relative_to(DOCS))


def test_every_table_that_is_made_from_the_code_is_up_to_date() -> None:
    made = tables()
    found = made.pages()
    outdated = [page_id(path) for path, text in found.items() if made.rendered(text) != text]
    assert not outdated, "run `python docs/tables.py`"
    marked = [name for text in found.values() for name in re.findall(r"<!-- begin: (\S+) -->", text)]
    assert sorted(marked) == sorted(made.TABLES)


def commands(command: click.Command, ctx: click.Context, path: str = "") -> list[str]:
    if not isinstance(command, click.Group):
        return [path]
    names = [name for name in command.list_commands(ctx) if not (path == "" and name == "supervisor")]
    if path == "":  # those of our other distributions, which the help lists once the home knows them
        names = [*dict.fromkeys([*names, *OWN_COMMANDS])]
    found = ((name, command.get_command(ctx, name)) for name in names)
    return [leaf for name, inner in found if inner for leaf in commands(inner, ctx, f"{path} {name}".strip())]


def test_the_page_of_commands_has_a_heading_for_each() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    headings = re.findall(r"^####? (.+)$", page, re.MULTILINE)
    groups = {path.split()[0] for path in commands(root, click.Context(root)) if " " in path}
    assert sorted(headings) == sorted([*commands(root, click.Context(root)), *groups])


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_that_a_page_shows_exists_with_its_options(page: Path) -> None:
    shown = re.findall(r"^\$ windlass ([^\n|]*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    for line in shown:
        words = shlex.split(line, comments=True)
        command: click.Command = root
        while isinstance(command, click.Group):
            ctx = click.Context(command)
            inner = command.get_command(ctx, words[0])
            assert inner is not None, line
            command, words = inner, words[1:]
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        options = {word.split("=")[0] for word in words if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)}
        assert options <= known, line


def test_the_floors_name_every_room_and_no_other() -> None:
    page = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| (.+) \|$", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    facades = {"__init__", "__main__", "version", "backends", "hooks", "operators", "plugin", "sensors", "control"}
    facades |= {"timetables", "triggers", "ports", "py", "__pycache__"}
    there = {path.name.removesuffix(".py") for path in SOURCE.iterdir() if path.suffix in {"", ".py"}}
    assert there - named <= facades
    assert named <= there


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_file_and_name_that_a_page_points_at_exists(page: Path) -> None:
    for file, name in re.findall(r"`([\w/]+\.py)(?::(\w+))?`", page.read_text(encoding="utf-8")):
        places = [SOURCE / file, ROOT / "core" / "tests" / file, EXAMPLES / file, DOCS / file, ROOT / file]
        found = [place for place in places if place.is_file()]
        if "/" in file or name:
            assert found, f"{page_id(page)} points at {file}"
        if name:
            text = found[0].read_text(encoding="utf-8")
            assert re.search(rf"^\s*(async )?(def|class) {name}\b", text, re.MULTILINE), f"{file}:{name}"


def test_every_room_has_a_short_readme() -> None:
    rooms = [path for path in SOURCE.iterdir() if (path / "__init__.py").is_file()]
    for room in rooms:
        readme = room / "README.md"
        assert readme.is_file(), f"{room.name} has no README.md"
        text = readme.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 20, f"{readme} is too long"
        for file in re.findall(r"`([\w/]+\.py)`", text):
            assert (room / file).is_file() or (ROOT / file).is_file(), f"{readme} points at {file}"
        for tests in re.findall(r"core/tests/[\w/.]+", text):
            assert (ROOT / tests).exists(), f"{readme} points at {tests}"


def run_tests(folder: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--import-mode=prepend",
            "-W",
            "error",
            "--ignore=windlass-hello",  # a package of its own: test_scaffold.py of windlass-testing runs its tests
            "--ignore=image_training",  # needs providers: `nox -s tests` runs its tests by themselves
            str(folder),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_examples_pass_their_tests(tmp_path: Path) -> None:
    run_tests(EXAMPLES, {"WINDLASS_HOME": str(tmp_path), "PYTHONPATH": str(EXAMPLES / "windlass-first" / "src")})


def test_every_example_is_shown_on_a_page() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for example in EXAMPLES.glob("*.*"):
        assert f"../examples/{example.name}" in pages, example.name


@pytest.fixture
def hello_server() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location(
        "hello_conftest", EXAMPLES / "windlass-hello" / "tests" / "conftest.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.HelloServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_installed_provider_is_listed_and_its_connection_can_be_tested(tmp_path: Path, hello_server: Any) -> None:  # noqa: ANN401
    info = tmp_path / "site" / "windlass_hello-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: windlass-hello\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[windlass.providers]\nhello = windlass_hello.plugin\n")
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")},
        **environ_of(tmp_path / "home"),
        "WINDLASS_CONN_HELLO_DEFAULT": hello_server.uri,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(EXAMPLES / "windlass-hello" / "src")]),
    }

    def windlass(*args: str) -> str:
        command = [sys.executable, "-P", "-m", "windlass", *args]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "hello" in windlass("plugins", "-o", "plain")
    windlass("db", "migrate")
    assert "the greeting service has version 1.0" in windlass("connections", "test", "hello_default")


def test_the_page_of_explanations_lists_every_kind() -> None:
    page = (DOCS / "reference" / "explain.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+`) \| .+ \|$", page.partition("## Kinds")[2], re.MULTILINE)
    listed = {kind for row in rows for kind in re.findall(r"`(\w+)`", row)}
    sources = [path.read_text(encoding="utf-8") for path in (SOURCE / "control" / "explain").glob("*.py")]
    used = {kind for text in sources for kind in re.findall(r'kind="(\w+)"', text)}
    made = {"no_schedule", "schedule_ended", "assets", "custom_timetable"}  # chosen by the kind of schedule
    made |= {limit.value for limit in Limit} | {"trigger_rule", "map_length"}  # planning's own words
    assert listed == used | made


def test_the_durations_that_a_page_shows_are_understood() -> None:
    found = read_assumptions(EXAMPLES / "durations.toml")
    assert found.pools == {"warehouse": 4}
    assert set(found.dags["orders"].tasks) >= {"fetch", "total", "judge", "list_files", "delivered", "audit"}
