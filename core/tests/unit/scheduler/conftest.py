from __future__ import annotations

from collections.abc import Iterator

import pytest

from windlass_testing.scripted import ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine


@pytest.fixture(params=[ScriptedEngine, SqlScriptedEngine], ids=["memory", "sql"])
def world(request: pytest.FixtureRequest) -> Iterator[ScriptedEngine]:
    """Return an engine; what holds over one store holds over the other."""
    engine: ScriptedEngine = request.param()
    yield engine
    if isinstance(engine, SqlScriptedEngine):
        engine.close()
