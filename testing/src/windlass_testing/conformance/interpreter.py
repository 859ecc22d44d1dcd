"""What an import really loads: asked of an interpreter that has loaded nothing yet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from typing import Final

_PROGRAM: Final = """
import importlib, json, sys
before, names = json.loads(sys.argv[1])
for name in before:
    importlib.import_module(name)
seen = set(sys.modules)
for name in names:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - seen)))
"""


def newly_imported(names: Iterable[str], *, after: Iterable[str] = ()) -> set[str]:
    """Return the modules that importing ``names`` loads, in a fresh interpreter that has imported ``after``.

    :raises AssertionError: if one of them cannot be imported, with what the interpreter said.
    """
    request = json.dumps([list(after), list(names)])
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM, request], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode != 0:
        raise AssertionError(f"importing {', '.join(names)} failed:\n{done.stderr}")
    return set(json.loads(done.stdout.splitlines()[-1]))


def of_packages(modules: Iterable[str], packages: Iterable[str]) -> set[str]:
    """Return those of ``modules`` that are one of ``packages`` or lie inside it."""
    return {name for name in modules if any(name == top or name.startswith(f"{top}.") for top in packages)}
