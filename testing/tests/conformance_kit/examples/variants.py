"""Providers made from the example, with something wrong, installed where the interpreter of a test finds them."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from windlass_testing.scaffold import new_provider

#: Where they are installed; it is on the path of this interpreter and of those that it starts.
SITE = Path(os.environ["KIT_SITE"])
#: What an installer writes about a distribution of the example.
METADATA = """Metadata-Version: 2.4
Name: windlass-{name}
Version: 0.1.0
Requires-Dist: windlass<1,>=0.1
"""
ENTRY_POINTS = "[windlass.providers]\n{name} = windlass_{name}.plugin\n"


def provider(
    name: str, *changes: tuple[str, str, str], also: Mapping[str, str] | None = None, without: Collection[str] = ()
) -> str:
    """Install the example as ``name`` with changes (file, text, what stands there instead); return its distribution.

    Files are named as in the package; ``METADATA``, ``entry_points.txt`` and ``docs/index.md`` are among them. ``also``
    adds files, ``without`` leaves some out.
    """
    package, info = SITE / f"windlass_{name}", SITE / f"windlass_{name}-0.1.0.dist-info"
    source = f"src/{package.name}/"
    files = {
        path.removeprefix(source): data.decode()
        for path, data in new_provider(name).files.items()
        if path.startswith((source, "docs/"))
    }
    files |= {"METADATA": METADATA.format(name=name), "entry_points.txt": ENTRY_POINTS.format(name=name)}
    for path, before, after in changes:
        assert before in files[path], f"{path} of the example has no {before!r}"
        files[path] = files[path].replace(before, after)
    files |= also or {}
    for path, text in ((path, text) for path, text in files.items() if path not in without):
        if path.endswith(".py") or path == "py.typed":
            _write(package / path, text)
        elif path.startswith("docs/"):
            _write(SITE / name / path, text)
        elif path in {"METADATA", "entry_points.txt"}:
            _write(info / path, text)
    if str(SITE) not in sys.path:
        sys.path.append(str(SITE))
    return f"windlass-{name}"


def library(name: str) -> None:
    """Install a distribution with a module of its name."""
    _write(SITE / f"{name}.py", '"""A client library."""\n')
    _write(SITE / f"{name}-1.0.dist-info" / "METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n")
    _write(SITE / f"{name}-1.0.dist-info" / "top_level.txt", f"{name}\n")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def server(name: str) -> Any:
    """Return a running server of the example's, for the tests of the example installed as ``name``."""
    path = SITE / f"server_of_{name}.py"
    _write(path, new_provider(name).files["tests/conftest.py"].decode())
    module = importlib.import_module(path.stem)
    made = getattr(module, f"{name.capitalize()}Server")()
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    return made
