"""Installs distributions with secrets backends where a helper process finds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

PLUGIN = """
from windlass.plugin import Provider, hookimpl

@hookimpl
def windlass_provider():
    return Provider(name="fake", secrets_backends={backends!r})
"""

#: Takes the source of a module, and the names of backends with those of their classes in it.
Install = Callable[[str, dict[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with backends, by the source of their module."""

    def write(source: str, backends: dict[str, str]) -> None:
        names = {name: f"fake_backend:{kind}" for name, kind in backends.items()}
        folder = tmp_path / "installed"
        info = folder / "fake-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / "fake_plugin.py").write_text(PLUGIN.format(backends=names))
        (folder / "fake_backend.py").write_text(source)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[windlass.providers]\nfake = fake_plugin\n")
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))

    return write
