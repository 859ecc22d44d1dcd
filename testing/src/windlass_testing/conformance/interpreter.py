"""What an import really loads, and what is said where it fails: asked of an interpreter that has loaded nothing yet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

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

#: What the core has imported by itself is left; the answer goes to standard output, what was missed to standard error.
_WITHOUT: Final = """
import json, sys
from windlass.runtime import connection_test
hidden, missed = set(json.loads(sys.argv[1])), set()
def watch(event, args):
    if event == "import":
        missed.update({args[0].partition(".")[0]} & hidden)
sys.addaudithook(watch)
sys.modules.update(dict.fromkeys(hidden - sys.modules.keys()))
connection_test.main(sys.argv[2])
print(json.dumps(sorted(missed)), file=sys.stderr)
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


def tested_without(modules: Iterable[str], conn_id: str, fields: Mapping[str, Any]) -> tuple[set[str], bool, str]:
    """Test a connection, as `windlass connections test` does, in a fresh interpreter that cannot import ``modules``.

    Return which of them it would have imported, whether the connection is said to work, and the sentence about it.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", _WITHOUT, json.dumps(sorted(modules)), conn_id],
        input=json.dumps(fields), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"the test of the connection failed:\n{done.stderr}")
    works, message, _ = json.loads(done.stdout)
    return set(json.loads(done.stderr.splitlines()[-1])), bool(works), str(message)


def of_packages(modules: Iterable[str], packages: Iterable[str]) -> set[str]:
    """Return those of ``modules`` that are one of ``packages`` or lie inside it."""
    return {name for name in modules if any(name == top or name.startswith(f"{top}.") for top in packages)}
