"""What a command may import. Counted in a fresh interpreter, never timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from windlass.spec import DagSpec, TaskSpec
from windlass_testing.installation import Installation
from windlass_testing.stores import environ_of, on_server

pytestmark = pytest.mark.budget

SCRIPT = """
import json, sys
before = set(sys.modules)
from windlass.cli import main
code = main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted(set(sys.modules) - before)]), file=sys.stderr)
"""


def imported(*args: str, home: Path) -> set[str]:
    """Return the modules that a command imports."""
    return imported_and_printed(*args, home=home)[0]


def imported_and_printed(*args: str, home: Path) -> tuple[set[str], str]:
    """Return the modules that a command imports, and what it prints."""
    environ = {**os.environ, **environ_of(home)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(args)],
        check=True,
        capture_output=True,
        text=True,
        env=environ,
        timeout=60,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(modules), done.stdout


def test_version_imports_only_the_standard_library_and_itself(tmp_path: Path) -> None:
    ours = {
        name for name in imported("--version", home=tmp_path) if name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert ours <= {"windlass", "windlass.cli", "windlass.version"}


HEAVY = {"asyncio", "ssl", "rich", "sqlalchemy", "alembic", "jinja2", "importlib.metadata", "pluggy", "yaml"}
#: What the client library of a server imports by itself.
DRIVERS = {"asyncio", "cryptography", "ssl", "importlib.metadata", "importlib.resources", "subprocess"}


@pytest.mark.parametrize("args", [("--help",), ("dags", "--help")])
def test_help_imports_nothing_heavy_and_no_command(tmp_path: Path, args: tuple[str, ...]) -> None:
    modules = imported(*args, home=tmp_path)
    assert not modules & (HEAVY | {"sqlite3"})
    assert not {name for name in modules if name.startswith(("windlass.control", "windlass.store", "windlass.app"))}
    assert "windlass.cli.dags" not in modules


def test_help_with_the_commands_of_providers_imports_none_of_them(tmp_path: Path) -> None:
    imported("providers", "list", home=tmp_path)  # fills the cache of what is installed
    modules, shown = imported_and_printed("--help", home=tmp_path)
    assert " simulate " in shown
    assert not modules & (HEAVY | {"sqlite3", "windlass.registry.absent"})
    assert not {name for name in modules if name.startswith("windlass_")}


def test_a_trigger_imports_neither_what_draws_nor_what_checks_nor_author_code(tmp_path: Path) -> None:
    here = Installation(tmp_path / "home")
    here.add(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"),)))
    here.close()
    imported("providers", "list", home=here.home)  # fills the cache of what is installed
    modules = imported("dags", "trigger", "d", "--json", home=here.home)
    if on_server():
        modules -= DRIVERS
    assert not modules & (HEAVY | {"jsonschema", "cryptography", "windlass.planning.plan", "windlass.authoring"})
    assert not modules & {"windlass.runtime", "windlass.secrets", "subprocess", "importlib.resources"}
    commands = {name for name in modules if name.startswith("windlass.cli.")}
    assert commands.isdisjoint({"windlass.cli.dags", "windlass.cli.tasks", "windlass.cli.runs"})


def test_listing_providers_imports_no_manifest_once_they_are_known_and_never_the_store(tmp_path: Path) -> None:
    imported("providers", "list", home=tmp_path)  # fills the cache of what is installed
    modules = imported("providers", "list", home=tmp_path)
    assert not modules & (HEAVY | {"sqlite3", "socket", "windlass.planning.calendar"})
    assert not {name for name in modules if name.startswith(("windlass.store", "windlass.app", "windlass_"))}
