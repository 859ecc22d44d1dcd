"""How many distributions an installation brings: counted from the metadata of what is installed here."""

from __future__ import annotations

from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.budget


def needed(name: str, extra: str = "") -> set[str]:
    """Return the distributions that ``name`` needs, itself included, extras of its requirements too."""
    found: set[str] = set()
    open_ends = [(canonicalize_name(name), extra)]
    seen = set(open_ends)
    while open_ends:
        current, current_extra = open_ends.pop()
        found.add(current)
        for text in distribution(current).requires or ():
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": current_extra}):
                continue
            ends = {(canonicalize_name(requirement.name), wanted) for wanted in ("", *requirement.extras)}
            open_ends += ends - seen
            seen |= ends
    return found


def test_the_slim_core_is_nine_distributions_at_most() -> None:
    assert len(needed("windlass")) <= 9


def test_a_server_is_twenty_four_distributions_at_most() -> None:
    assert len(needed("windlass", "server")) <= 24


def test_the_testing_kit_brings_pytest_only() -> None:
    assert needed("windlass-testing") == needed("windlass") | needed("pytest") | {"windlass-testing"}
