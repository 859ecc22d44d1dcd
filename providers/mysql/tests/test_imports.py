"""What a DAG file imports costs no driver."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.budget
def test_no_driver_is_imported_before_a_connection_is_made() -> None:
    code = "import windlass_mysql.hook; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"pymysql", "pandas", "polars", "sqlalchemy", "ssl"}
