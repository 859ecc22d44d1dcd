"""What windlass-postgres brings, and that looking it up imports none of it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from windlass_postgres.plugin import windlass_provider


def test_the_entry_point_names_the_manifest() -> None:
    (entry,) = entry_points(group="windlass.providers", name="postgres")
    assert entry.load().windlass_provider is windlass_provider


def test_everything_in_the_manifest_exists() -> None:
    manifest = windlass_provider()
    for names in (manifest.operators, manifest.sensors, manifest.task_decorators):
        for dotted in names.values():
            module, _, attribute = dotted.partition(":")
            assert callable(getattr(importlib.import_module(module), attribute))


@pytest.mark.budget
def test_the_manifest_imports_neither_the_operators_nor_authoring() -> None:
    code = "import windlass_postgres.plugin, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seen = set(done.stdout.split())
    assert {name for name in seen if name.startswith("windlass_postgres")} == {
        "windlass_postgres",
        "windlass_postgres.plugin",
    }
    assert not any(name.startswith(("windlass.authoring", "windlass.registry")) for name in seen)
