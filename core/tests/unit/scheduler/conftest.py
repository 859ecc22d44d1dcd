from __future__ import annotations

from collections.abc import Iterator

import pytest

from windlass_testing.databases import emptied
from windlass_testing.scripted import ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine

_ALONE = ["memory", "sql", pytest.param("postgresql", marks=pytest.mark.services)]
_TWO = ["sql, two schedulers", pytest.param("postgresql, two schedulers", marks=pytest.mark.services)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What holds over one store holds over the others, and of two schedulers as of one unless a test looks into it."""
    if "world" in metafunc.fixturenames:
        looks_inside = metafunc.definition.get_closest_marker("one_scheduler") is not None
        metafunc.parametrize("world", _ALONE if looks_inside else [*_ALONE, *_TWO], indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[ScriptedEngine]:
    """Return an engine over a store, with one scheduler or two."""
    if request.param == "memory":
        yield ScriptedEngine()
        return
    url = emptied(request.getfixturevalue("postgres_url")) if request.param.startswith("postgresql") else None
    engine = SqlScriptedEngine(url, schedulers=2 if request.param.endswith("two schedulers") else 1)
    yield engine
    engine.close()
