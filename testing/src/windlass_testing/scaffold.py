"""What `windlass providers new` writes: the example provider, under another name.

The template is the tested example itself, `docs/examples/windlass-hello`; wheels of this distribution hold a copy. A
new package is that example with its name replaced everywhere, so what passes there passes here, and no second template
can fall behind. Nothing is written here: files are values, and the command line puts them in place.
"""

from __future__ import annotations

import re
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


def provider_files(name: str) -> dict[str, bytes]:
    """Return the files of a new provider by their path in its folder, parents first, in order.

    Args:
        name: as people call the system: ``acme``, ``acme-cloud``; ``windlass-`` in front of it says nothing more.

    :raises UsageError: if a distribution, a package and classes cannot be called so.
    """
    words = _words(name)
    snake, camel = "_".join(words), "".join(word[:1].upper() + word[1:] for word in words)
    names = {
        "windlass-hello": f"windlass-{'-'.join(words)}",
        "windlass_hello": f"windlass_{snake}",
        "Hello": camel,
        "hello": snake,
    }

    def renamed(text: str) -> str:
        return _PLACES.sub(lambda match: names[match[0]], text)

    return {
        renamed(file.relative_to(TEMPLATE).as_posix()): (
            file.read_bytes() if file.name == "LICENSE" else renamed(file.read_text("utf-8")).encode()
        )
        for file in sorted(TEMPLATE.rglob("*"))
        if file.is_file() and not _LEFT_BEHIND & {*file.relative_to(TEMPLATE).parts}
    }


def provider_name(name: str) -> str:
    """Return how the manifest of a provider of this name calls it: ``acme_cloud``.

    :raises UsageError: see :func:`provider_files`.
    """
    return "_".join(_words(name))


def _words(name: str) -> list[str]:
    short = re.sub(r"^windlass[-_.]+", "", name, flags=re.IGNORECASE)
    if not _NAME.fullmatch(short):
        raise UsageError(
            f"a provider cannot be called {name!r}: use ASCII letters, digits and dashes, and a letter first, as in "
            "acme-cloud"
        )
    if len(short) > _LONGEST:
        raise UsageError(f"a provider cannot be called {name!r}: use at most {_LONGEST} characters")
    return re.split(r"[-_.]+", short.lower())
