"""What `windlass providers new` writes: the example provider, under another name.

The template is the tested example itself, `docs/examples/windlass-hello`; wheels of this distribution hold a copy. A
new package is that example with its name replaced everywhere, so what passes there passes here, and no second template
can fall behind. Nothing is written here: files are values, and the command line puts them in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windlass.errors import UsageError

TEMPLATE: Final = Path(__file__).parent / "template"
#: What tools leave in a folder of sources.
_LEFT_BEHIND: Final = {"__pycache__", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".venv", "dist"}
#: PEP 508, and a letter first, so that classes can be called by it.
_NAME: Final = re.compile(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?")
#: A longer one would break lines of the template.
_LONGEST: Final = 24
_PLACES: Final = re.compile("windlass-hello|windlass_hello|Hello|hello")


@dataclass(frozen=True)
class NewProvider:
    """The beginning of a provider."""

    #: What its manifest is called by: ``acme_cloud``.
    name: str
    #: What is installed: ``windlass-acme-cloud``.
    distribution: str
    #: Its files by their path in its folder, in order.
    files: Mapping[str, bytes]


def new_provider(name: str) -> NewProvider:
    """Return the example under another name.

    Args:
        name: as people call the system: ``acme``, ``acme-cloud``; ``windlass-`` in front of it says nothing more.

    :raises UsageError: if a distribution, a package and classes cannot be called so.
    """
    words = _words(name)
    snake, dashed = "_".join(words), "-".join(words)
    names = {
        "windlass-hello": f"windlass-{dashed}",
        "windlass_hello": f"windlass_{snake}",
        "Hello": "".join(word[:1].upper() + word[1:] for word in words),
        "hello": snake,
    }

    def renamed(text: str) -> str:
        return _PLACES.sub(lambda match: names[match[0]], text)

    files = {
        renamed(file.relative_to(TEMPLATE).as_posix()): (
            file.read_bytes() if file.name == "LICENSE" else renamed(file.read_text("utf-8")).encode()
        )
        for file in sorted(TEMPLATE.rglob("*"))
        if file.is_file() and not _LEFT_BEHIND & {*file.relative_to(TEMPLATE).parts}
    }
    return NewProvider(name=snake, distribution=names["windlass-hello"], files=files)


def _words(name: str) -> list[str]:
    short = re.sub(r"^windlass[-_.]+", "", name, flags=re.IGNORECASE)
    if not _NAME.fullmatch(short):
        raise UsageError(
            f"a provider cannot be called {name!r}: use ASCII letters, digits and dashes, with a letter first, as in "
            "acme-cloud"
        )
    if len(short) > _LONGEST:
        raise UsageError(f"a provider cannot be called {name!r}: use at most {_LONGEST} characters")
    return re.split(r"[-_.]+", short.lower())
