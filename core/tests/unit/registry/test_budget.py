"""What importing the facades, the registry and a manifest may cost, counted in modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.budget

HEAVY = {"sqlalchemy", "alembic", "jinja2", "asyncio", "ssl", "cryptography", "rich", "click", "yaml", "jsonschema"}
SLOW = {"pluggy", "importlib.metadata"}


PLUGIN = """
from windlass.plugin import Provider, hookimpl

@hookimpl
def windlass_provider():
    return Provider(name="fake", operators={"FakeOperator": "fake_operators:FakeOperator"})
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed provider."""
    folder = tmp_path / "site"
    info = folder / "fake-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "fake_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[windlass.providers]\nfake = fake_plugin\n")
    return folder


def loaded(code: str, home: Path, site: Path | None = None) -> set[str]:
    """Return the modules that a fresh interpreter has after running ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env={"WINDLASS_HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(site or "")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["plugin", "hooks", "triggers", "backends", "registry", "interfaces.connection"])
def test_facades_load_nothing_heavy(module: str, tmp_path: Path) -> None:
    allowed = {"pluggy"} if module == "plugin" else set()
    seen = loaded(f"import windlass.{module}", tmp_path)
    assert not seen & (HEAVY | SLOW - allowed)
    assert not any(name.startswith("windlass.authoring") for name in seen)


def test_a_cached_lookup_loads_neither_pluggy_nor_metadata_nor_a_manifest(tmp_path: Path, site: Path) -> None:
    code = "from windlass.registry import registry; assert registry().find('operators', 'FakeOperator')"
    first = loaded(code, tmp_path, site)
    assert first >= SLOW | {"fake_plugin"}
    assert list((tmp_path / "cache").glob("providers-*.json"))
    second = loaded(code, tmp_path, site)
    assert not second & (HEAVY | SLOW | {"fake_plugin"})


def test_without_a_home_nothing_is_written(tmp_path: Path) -> None:
    loaded("from windlass.registry import registry; registry().providers", tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_manifest_loads_only_the_plugin_facade(tmp_path: Path, site: Path) -> None:
    seen = loaded("import fake_plugin", tmp_path, site)
    assert not seen & (HEAVY | {"importlib.metadata"})
    assert "windlass.registry" not in seen
