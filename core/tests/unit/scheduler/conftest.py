from __future__ import annotations

from collections.abc import Iterator

import pytest

from windlass_testing.scripted import ScriptedEngine
from windlass_testing.scripted_sql import SqlScriptedEngine
from windlass_testing.stores import SQLITE, URL_FIXTURES, chosen_kind, emptied_url, over_each_kind


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What holds over one store holds over the others, and of two schedulers as of one unless a test looks into it."""
    kind = chosen_kind(metafunc)
    others = ["memory"] if kind == SQLITE else []
    if metafunc.definition.get_closest_marker("one_scheduler") is None:
        others.append(f"{kind}, two schedulers")
    # The tests of the store try each kind of database; one server is enough to see that decisions reach one.
    over_each_kind(metafunc, "world", *others, tried=("postgresql",))


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[ScriptedEngine]:
    """Return an engine over a store, with one scheduler or two."""
    if request.param == "memory":
        yield ScriptedEngine()
        return
    kind, _, several = request.param.partition(", ")
    url = emptied_url(kind, request) if kind in URL_FIXTURES else None
    engine = SqlScriptedEngine(url, schedulers=2 if several else 1)
    yield engine
    engine.close()
