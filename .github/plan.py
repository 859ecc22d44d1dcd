"""Which nox sessions a change needs, as the JSON of a matrix of jobs: `python plan.py TAG... [--since REVISION]`.

What concerns one package (``build(aws)``, ``lowest(aws)``) is needed when that package has changed, or one that it
builds on; everything is needed when something has changed that is nobody's in particular. Without a revision, every
session with one of the tags is needed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Pages that no session but the gate's reads.
_PROSE = frozenset({"CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"})
#: Sessions of one package that do not say so.
_OF: Mapping[str, str] = {"quickstart": "bash"}
#: Sessions whose tests look for servers, and must not pass them over.
_WITH_SERVERS = frozenset({"tests-provider", "lowest", "compat"})


def providers(root: Path) -> dict[str, set[str]]:
    """Return the providers, each with those that it builds on."""
    declared = {}
    for file in root.glob("providers/*/pyproject.toml"):
        project = tomllib.loads(file.read_text("utf-8"))["project"]
        declared[file.parent.name] = (project["name"], " ".join(project["dependencies"]))
    return {
        name: {other for other, (distribution, _) in declared.items() if distribution in needs}
        for name, (_, needs) in declared.items()
    }


def changed_packages(files: Iterable[str], beneath: Mapping[str, Collection[str]]) -> set[str] | None:
    """Return the providers that these files concern; None if they concern everything."""
    changed: set[str] = set()
    for parts in (PurePosixPath(file).parts for file in files):
        if parts[0] == "providers" and len(parts) > 1 and parts[1] in beneath:
            changed.add(parts[1])
        elif not (parts[0] == "docs" and parts[1] != "examples") and parts[0] not in _PROSE:
            return None
    return changed | {package for package, needs in beneath.items() if changed & set(needs)}


def needed(sessions: Iterable[Mapping[str, Any]], packages: Collection[str] | None) -> list[dict[str, str]]:
    """Return the jobs for these sessions of nox's list, of these packages alone unless None are given."""
    return [
        {
            "session": session["session"],
            "python": session["python"] or "3.11",
            "pytest": "--require-services" if session["name"] in _WITH_SERVERS else "",
        }
        for session in sessions
        if packages is None or session["call_spec"].get("package", _OF.get(session["name"])) in packages
    ]


def main() -> None:
    """Print the jobs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("tags", nargs="+", metavar="TAG", help="a session with one of these tags may be needed")
    parser.add_argument("--since", metavar="REVISION", help="what has changed since is what matters")
    chosen = parser.parse_args()
    packages = None
    if chosen.since and chosen.since.strip("0"):  # all zeros: a branch that was not there before
        diff = ["git", "-C", str(ROOT), "diff", "--name-only", f"{chosen.since}...HEAD"]
        files = subprocess.run(diff, capture_output=True, text=True, check=True).stdout.splitlines()
        packages = changed_packages(files, providers(ROOT))
    listing = [sys.executable, "-m", "nox", "-f", str(ROOT / "noxfile.py"), "--list", "--json", "-t", *chosen.tags]
    listed = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    sys.stdout.write(json.dumps(needed(json.loads(listed), packages)))


if __name__ == "__main__":
    main()
