from __future__ import annotations

from collections.abc import Iterator

import pytest

from windlass_testing.databases import KINDS, SERVERS, emptied_server
from windlass_testing.scripted import ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine


@pytest.fixture(params=["memory", *KINDS])
def world(request: pytest.FixtureRequest) -> Iterator[ScriptedEngine]:
    """Return an engine; what holds over one store holds over the others."""
    if request.param == "memory":
        yield ScriptedEngine()
        return
    url = emptied_server(request.param, request.getfixturevalue) if request.param in SERVERS else None
    engine = SqlScriptedEngine(url)
    yield engine
    engine.close()
