from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from testing.benchmarks.providers import make_providers

LIST = "from windlass.cli import main; main(['providers', 'list', '-o', 'json'])"


def test_the_providers_that_are_made_are_installed_as_others_are(tmp_path: Path) -> None:
    make_providers(tmp_path / "installed", count=2)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "WINDLASS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", LIST], env=environ, capture_output=True, text=True, check=True)
    assert not done.stderr  # none is broken, and no two bring the same name
    found = {row["name"]: row for row in json.loads(done.stdout)}
    assert found["made-00"]["version"] == found["made-01"]["version"] == "1.0"
    assert {"1 connection types", "6 operators", "3 sensors", "2 triggers"} <= set(found["made-01"]["brings"])
