"""How many distributions an installation brings, and what they weigh, by the metadata of what is installed here."""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.budget

CORE = Path(__file__).parents[2]


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


def test_the_slim_core_weighs_four_megabytes_at_most() -> None:
    """`nox -s tests-slim` weighs an installation; this is so nearly the same that a change is told where it is made."""
    libraries = needed("windlass") - {"windlass"}
    files = [Path(str(file.locate())) for name in libraries for file in distribution(name).files or ()]
    wheel = tomllib.loads((CORE / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    own = [
        path
        for path in (CORE / "src/windlass").rglob("*.*")
        if path.is_file() and not any(path.match(left_out.removeprefix("/")) for left_out in wheel["exclude"])
    ]
    sizes = [path.stat().st_size for path in (*files, *own) if path.suffix != ".pyc" and path.is_file()]
    listed = 90 * sum(path.suffix != ".pyc" for path in own) + 15_000  # a line with a hash for each file; the license
    weight = sum(sizes) + listed
    assert 3_500_000 < weight <= 4_000_000, "move what the slim core can do without to a provider, or to an extra"


def test_a_server_is_twenty_four_distributions_at_most() -> None:
    assert len(needed("windlass", "server")) <= 24


def test_the_testing_kit_brings_pytest_only() -> None:
    assert needed("windlass-testing") == needed("windlass") | needed("pytest") | {"windlass-testing"}
