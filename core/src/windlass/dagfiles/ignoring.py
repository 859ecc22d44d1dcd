"""What ``.windlassignore`` (or ``.airflowignore``) says: the patterns of ``.gitignore``, in any folder of a bundle.

A pattern is a shell glob. It holds for the folder of its file and everything below: with a slash at its start or in its
middle from that folder on, else at any depth. ``**`` stands for any number of folders, a slash at the end matches
folders only, ``!`` takes an earlier pattern back, ``#`` begins a comment. The last pattern that matches decides, those
of a deeper file after those above; nothing below an ignored folder can be taken back, since nobody looks there.

A pattern is matched name by name, so that no pattern, however it was written, takes more than a few microseconds.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

#: Read in this order, the later one decides.
FILE_NAMES: Final = (".airflowignore", ".windlassignore")

#: Matches one name; None stands for ``**``.
_Part = Callable[[str], object] | None


class Rule(NamedTuple):
    """One pattern of the ignore file of ``folder`` (its names from the bundle's root)."""

    folder: tuple[str, ...]
    parts: tuple[_Part, ...]
    folders_only: bool
    ignores: bool


class Ignored:
    """The rules that hold in one folder: its parents' and its own."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._rules = rules

    def extended(self, folder: tuple[str, ...], text: str) -> Ignored:
        """Return the rules after those of another ignore file, which lies in ``folder``."""
        return Ignored((*self._rules, *_parse(folder, text.splitlines())))

    def ignores(self, names: tuple[str, ...], *, is_folder: bool) -> bool:
        """Return whether the file or folder with these names from the root on is left out."""
        for rule in reversed(self._rules):
            if rule.folders_only and not is_folder:
                continue
            if _matches(rule.parts, names[len(rule.folder) :]):
                return rule.ignores
        return False


def _parse(folder: tuple[str, ...], lines: Iterable[str]) -> Iterable[Rule]:
    for line in lines:
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        ignores = not pattern.startswith("!")
        pattern = pattern.removeprefix("!") if not ignores else pattern.removeprefix("\\")
        names = [name for name in pattern.split("/") if name]
        if not names:
            continue
        if "/" not in pattern.rstrip("/"):
            names.insert(0, "**")
        yield Rule(folder, tuple(map(_part, names)), pattern.endswith("/"), ignores)


def _part(name: str) -> _Part:
    return None if name == "**" else re.compile(fnmatch.translate(name)).match


def _matches(parts: tuple[_Part, ...], names: tuple[str, ...]) -> bool:
    """Match all of ``names``. ``reached`` holds how many parts the names so far may have used up."""
    reached = _skip_any(parts, {0})
    for name in names:
        step = set()
        for position in reached:
            if position == len(parts):
                continue
            part = parts[position]
            if part is None:
                step.add(position)
            elif part(name):
                step.add(position + 1)
        reached = _skip_any(parts, step)
    return len(parts) in reached


def _skip_any(parts: tuple[_Part, ...], reached: set[int]) -> set[int]:
    """Add what is reached when every ``**`` stands for nothing at all."""
    for position, part in enumerate(parts):
        if part is None and position in reached:
            reached.add(position + 1)
    return reached
