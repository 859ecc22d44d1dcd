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


def test_windlass_itself_leaves_the_libraries_their_share_of_four_megabytes() -> None:
    """Those of the slim core are 1.69 MB; `nox -s tests-slim` weighs all of it, installed.

    What is counted is what the wheel puts there: our files, a line with a hash for each, and the license with the rest.
    """
    wheel = tomllib.loads((CORE / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = [
        path
        for path in (CORE / "src" / "windlass").rglob("*.*")
        if path.is_file()
        and path.suffix != ".pyc"
        and not any(path.match(left_out.removeprefix("/")) for left_out in wheel["exclude"])
    ]
    listed = sum(len(f"{path.relative_to(CORE / 'src')},sha256={'x' * 43},{path.stat().st_size}\n") for path in files)
    weight = sum(path.stat().st_size for path in files) + listed + 14_000
    assert 2_000_000 < weight <= 2_308_500, "move what only some need to a provider, or to the testing kit"


def test_a_server_is_twenty_four_distributions_at_most() -> None:
    assert len(needed("windlass", "server")) <= 24


def test_the_testing_kit_brings_pytest_only() -> None:
    assert needed("windlass-testing") == needed("windlass") | needed("pytest") | {"windlass-testing"}
