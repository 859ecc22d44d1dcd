from __future__ import annotations

from collections.abc import Iterator

import pytest

from windlass_testing.databases import emptied
from windlass_testing.scripted import ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine


@pytest.fixture(params=["memory", "sql", pytest.param("postgresql", marks=pytest.mark.services)])
def world(request: pytest.FixtureRequest) -> Iterator[ScriptedEngine]:
    """Return an engine; what holds over one store holds over the others."""
    if request.param == "memory":
        yield ScriptedEngine()
        return
    url = emptied(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else None
    engine = SqlScriptedEngine(url)
    yield engine
    engine.close()
