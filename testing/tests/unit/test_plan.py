"""Which sessions a change needs: those of the packages that it touches, and of what builds on them."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

PLAN: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[3] / ".github" / "plan.py"))
BENEATH = {"sql": set[str](), "mysql": {"sql"}, "bash": set[str]()}
SESSIONS: list[dict[str, Any]] = [
    {"name": "lowest", "session": "lowest(bash)", "python": "3.11", "call_spec": {"package": "bash"}},
    {"name": "build", "session": "build(mysql)", "python": None, "call_spec": {"package": "mysql"}},
    {"name": "quickstart", "session": "quickstart", "python": None, "call_spec": {}},
]


def test_the_providers_of_the_workspace_know_what_they_build_on() -> None:
    found = PLAN["providers"](Path(__file__).parents[3])
    assert found["mysql"] == found["postgres"] == {"sql"}
    assert found["sql"] == set()


@pytest.mark.parametrize(
    ("files", "packages"),
    [
        (["providers/bash/src/windlass_bash/operator.py"], {"bash"}),
        (["providers/sql/README.md", "README.md"], {"sql", "mysql"}),
        (["docs/how-to/use-mysql.md", "CONTRIBUTING.md"], set()),
        (["docs/examples/windlass-hello/pyproject.toml"], None),
        (["providers/bash/README.md", "core/src/windlass/errors.py"], None),
        (["uv.lock"], None),
        (["providers/new/pyproject.toml"], None),
        ([".github/workflows/ci.yml"], None),
        ([], set()),
    ],
)
def test_what_a_change_concerns(files: Sequence[str], packages: set[str] | None) -> None:
    assert PLAN["changed_packages"](files, BENEATH) == packages


def test_of_one_package_only_its_own_sessions_are_needed() -> None:
    assert PLAN["needed"](SESSIONS, {"bash"}) == [
        {"session": "lowest(bash)", "python": "3.11", "pytest": "--require-services"},
        {"session": "quickstart", "python": "3.11", "pytest": ""},
    ]
    assert PLAN["needed"](SESSIONS, set()) == []


def test_what_concerns_everything_needs_every_session() -> None:
    assert [job["session"] for job in PLAN["needed"](SESSIONS, None)] == [s["session"] for s in SESSIONS]
    assert PLAN["needed"](SESSIONS, None)[1] == {"session": "build(mysql)", "python": "3.11", "pytest": ""}
