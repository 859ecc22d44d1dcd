"""A new provider is the tested example under another name: its own tests, style and types are in order at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from windlass.errors import UsageError
from windlass_testing.scaffold import TEMPLATE, new_provider

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "windlass-hello"
SHORT, LONG = "x", "windlass-Abcdefghij_Abc.Abcdefghi"


def make(name: str, folder: Path) -> Path:
    """Write the package, and beside it what an installer would write about it."""
    made = new_provider(name)
    for file, data in made.files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    info = folder / "src" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in project["dependencies"])
    metadata = f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n{needs}"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    entries = project["entry-points"]["windlass.providers"]
    lines = "".join(f"{key} = {value}\n" for key, value in entries.items())
    (info / "entry_points.txt").write_text(f"[windlass.providers]\n{lines}", encoding="utf-8")
    return folder


def run(folder: Path, *command: str) -> str:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("WINDLASS_", "PYTEST_", "MYPY"))
    }
    environ |= {"PYTHONPATH": str(folder / "src"), "WINDLASS_HOME": str(folder / "home")}
    environ |= {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(name: str) -> str:
    found = Path(sys.executable).parent / name
    if not found.exists():
        pytest.skip(f"{name} is not installed here: uv sync --all-groups")
    return str(found)


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the documentation is not part of a package's sources")
def test_the_template_is_the_example() -> None:
    assert TEMPLATE.resolve() == EXAMPLE
    tracked = subprocess.run(["git", "ls-files"], cwd=EXAMPLE, capture_output=True, text=True, check=True)
    made = new_provider("hello")
    assert sorted(made.files) == sorted(tracked.stdout.splitlines())
    assert all((EXAMPLE / file).read_bytes() == data for file, data in made.files.items())


def test_nothing_of_the_old_name_is_left_but_in_the_licence() -> None:
    made = new_provider("acme-cloud")
    assert (made.name, made.distribution) == ("acme_cloud", "windlass-acme-cloud")
    text = "\n".join(f"{file}\n{data.decode()}" for file, data in made.files.items() if file != "LICENSE")
    assert not re.search("hello", text, re.IGNORECASE)
    assert {"src/windlass_acme_cloud/plugin.py", "docs/index.md", "noxfile.py"} <= made.files.keys()
    assert "class AcmeCloudOperator(BaseOperator):" in text
    assert 'acme_cloud = "windlass_acme_cloud.plugin"' in text


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("acme", "windlass-acme"),
        ("Windlass_Acme", "windlass-acme"),
        ("acme.cloud__2", "windlass-acme-cloud-2"),
        ("class", "windlass-class"),
        ("hello-hello", "windlass-hello-hello"),
    ],
)
def test_names_are_normalised(name: str, distribution: str) -> None:
    made = new_provider(name)
    assert made.distribution == distribution
    assert made.name.isidentifier()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "windlass-",
        "3com",
        "-acme",
        "acme-",
        "acme cloud",
        "größe",
        "../acme",
        "acme/cloud",
        "a\nb",
        "x" * 25,
        "acme;",
    ],
)
def test_a_name_that_nothing_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a provider cannot be called"):
        new_provider(name)


def test_a_new_provider_passes_its_own_tests(tmp_path: Path) -> None:
    told = run(make(LONG, tmp_path), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert re.search(r"^\d\d+ passed, \d skipped", told, re.MULTILINE), told


@pytest.mark.parametrize("name", [SHORT, LONG])
def test_its_style_is_in_order_however_long_its_name_is(tmp_path: Path, name: str) -> None:
    folder = make(name, tmp_path)
    run(folder, tool("ruff"), "check", "--no-cache")
    run(folder, tool("ruff"), "format", "--check", "--no-cache")


def test_its_types_are_in_order(tmp_path: Path) -> None:
    run(make(LONG, tmp_path), tool("mypy"), "--cache-dir", os.devnull)
