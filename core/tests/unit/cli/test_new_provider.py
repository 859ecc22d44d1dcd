"""`windlass providers new`: a folder that appears as a whole, and what is refused before anything is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from windlass.control import scaffolding
from windlass.errors import Conflict
from windlass.registry import Catalog, Registry

Windlass = Callable[..., Any]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_it_makes_the_package_in_a_folder_of_its_name(windlass: Windlass, workspace: Path) -> None:
    done = windlass("providers", "new", "acme-cloud", "--json")
    assert done.code == 0
    files = {row["file"]: row["size"] for row in done.data}
    made = [path for path in workspace.rglob("*") if path.is_file()]
    assert files == {str(path.relative_to(workspace)): path.stat().st_size for path in made}
    assert "windlass-acme-cloud/src/windlass_acme_cloud/plugin.py" in files
    assert [path.name for path in workspace.iterdir()] == ["windlass-acme-cloud"]
    assert stat.S_IMODE((workspace / "windlass-acme-cloud").stat().st_mode) == 0o755
    assert "next: cd windlass-acme-cloud; pip install -e . --group dev; nox" in done.err


def test_the_folder_can_be_named_and_its_parents_are_made(windlass: Windlass, workspace: Path) -> None:
    assert windlass("providers", "new", "acme", "--path", "deep/er/here").code == 0
    assert (workspace / "deep" / "er" / "here" / "src" / "windlass_acme" / "hook.py").is_file()


def test_a_dry_run_writes_nothing(windlass: Windlass, workspace: Path) -> None:
    done = windlass("providers", "new", "acme", "--dry-run")
    assert done.code == 0
    assert "windlass-acme/pyproject.toml" in done.out
    assert "would make windlass-acme with" in done.err
    assert not list(workspace.iterdir())


@pytest.mark.parametrize("arguments", [["acme"], ["acme", "--dry-run"], ["other", "--path", "windlass-acme"]])
def test_a_folder_that_exists_is_left_alone(windlass: Windlass, workspace: Path, arguments: list[str]) -> None:
    (workspace / "windlass-acme").mkdir()
    done = windlass("providers", "new", *arguments)
    assert done.code == 1
    assert "windlass-acme exists; remove it, or name another folder with --path" in done.err
    assert not list((workspace / "windlass-acme").iterdir())


def test_a_dangling_link_is_something_that_exists(windlass: Windlass, workspace: Path) -> None:
    (workspace / "windlass-acme").symlink_to("nowhere")
    assert windlass("providers", "new", "acme").code == 1
    assert not (workspace / "nowhere").exists()


def test_a_name_that_cannot_be_is_a_usage_error(windlass: Windlass, workspace: Path) -> None:
    done = windlass("providers", "new", "../acme")
    assert done.code == 2
    assert "a provider cannot be called '../acme': use ASCII letters" in done.err
    assert not list(workspace.iterdir())


@pytest.mark.parametrize("name", ["core", "Windlass-Testing"])
def test_the_name_of_an_installed_provider_is_taken(windlass: Windlass, name: str) -> None:
    done = windlass("providers", "new", name)
    assert done.code == 1
    assert "is installed already, and two of one name cannot be; choose another" in done.err


def test_without_the_template_it_says_what_to_install(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaffolding, "registry", lambda: Registry(Catalog))
    done = windlass("providers", "new", "acme")
    assert done.code == 2
    assert "the template of providers is not installed; install it with `pip install windlass-testing`" in done.err


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_parent_that_cannot_be_written_is_named(windlass: Windlass, workspace: Path) -> None:
    workspace.chmod(0o500)
    done = windlass("providers", "new", "acme")
    workspace.chmod(0o700)
    assert done.code == 1
    assert "windlass-acme cannot be made: Permission denied" in done.err


def test_a_parent_that_is_a_file_is_named(windlass: Windlass, workspace: Path) -> None:
    (workspace / "file").touch()
    done = windlass("providers", "new", "acme", "--path", "file/acme")
    assert done.code == 1
    assert "file/acme cannot be made" in done.err


def test_a_folder_that_cannot_be_filled_leaves_nothing(workspace: Path) -> None:
    plan = scaffolding.Plan(folder=Path("acme"), files={"a": b"file", "a/b": b"below a file"})
    with pytest.raises(Conflict, match="acme cannot be made: "):
        scaffolding.make(plan)
    assert not list(workspace.iterdir())
