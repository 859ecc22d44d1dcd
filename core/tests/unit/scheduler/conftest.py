from __future__ import annotations

import pytest

from windlass_testing.scripted import ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine


@pytest.fixture(params=[ScriptedEngine, SqlScriptedEngine], ids=["memory", "sql"])
def world(request: pytest.FixtureRequest) -> ScriptedEngine:
    """Return an engine; what holds over one store holds over the other."""
    engine: ScriptedEngine = request.param()
    return engine
