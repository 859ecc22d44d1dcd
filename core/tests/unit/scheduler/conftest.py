from __future__ import annotations

import pytest

from windlass_testing.scripted import ScriptedEngine


@pytest.fixture
def world() -> ScriptedEngine:
    return ScriptedEngine()
