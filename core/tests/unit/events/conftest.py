"""A store with the moves of an engine over it, and providers whose observers are written in the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.events import Observers
from windlass.registry import Catalog, PluginModules, Provider, Registry
from windlass.store import Store
from windlass_testing.hand_driven import HandDriven
from windlass_testing.stores import new_store

Installer = Callable[..., Observers]
Heard = Callable[..., list[object]]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 1, 6, 0, tzinfo=UTC))


@pytest.fixture
def store(clock: VirtualClock) -> Iterator[Store]:
    store = new_store(clock, SeededRng(1))
    yield store
    store.close()


@pytest.fixture
def engine(store: Store, clock: VirtualClock) -> Iterator[HandDriven]:
    engine = HandDriven(store, clock)
    yield engine
    assert not engine.violations(), "every test leaves the invariants whole"


@pytest.fixture
def observing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installer]:
    """Install providers, each given as ``name=source of its observers``, and return what tells them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def install(by: str = "server:1", **sources: str) -> Observers:
        providers = []
        for name, source in sources.items():
            module = f"{name}_observers_{len(made)}"
            made.append(module)
            (tmp_path / f"{module}.py").write_text(f"from windlass.plugin import hookimpl\nHEARD = []\n\n{source}\n")
            providers.append(Provider(name=name, observers=(module,)))
        registry = Registry(lambda: Catalog(tuple(providers), ()))
        return Observers(store.observations, PluginModules(registry, "observers"), by=by)

    yield install
    for module in made:
        sys.modules.pop(module, None)


@pytest.fixture
def heard() -> Heard:
    """Return what the observers of a provider noted; modules are numbered in the order of their installation."""

    def of(provider: str, number: int = 0) -> list[object]:
        found: list[object] = sys.modules[f"{provider}_observers_{number}"].HEARD
        return found

    return of
