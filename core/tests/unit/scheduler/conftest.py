from __future__ import annotations

from collections.abc import Iterator

import pytest

from windlass_testing.scripted import ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine
from windlass_testing.stores import SQLITE, emptied_url, over_each_kind


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for ``world`` over each store."""
    over_each_kind(metafunc, "world", "memory")


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[ScriptedEngine]:
    """Return an engine; what holds over one store holds over the others."""
    if request.param == "memory":
        yield ScriptedEngine()
        return
    engine = SqlScriptedEngine(None if request.param == SQLITE else emptied_url(request.param, request))
    yield engine
    engine.close()
