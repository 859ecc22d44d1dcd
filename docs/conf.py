"""The documentation: Sphinx with MyST (Markdown) and furo; `nox -s docs` builds it, a warning is an error.

Each provider's `docs/` is mounted under `providers/`, never copied by hand, so a page has one home.
"""

from __future__ import annotations

import shutil
from pathlib import Path

HERE = Path(__file__).parent

project = "Windlass"
author = "The Windlass contributors"
project_copyright = author

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A package among the examples has pages of its own.
exclude_patterns = ["_build", "examples/**"]
nitpicky = True

html_theme = "furo"
html_title = "Windlass"


def mount_provider_docs() -> None:
    """Bring every provider's own pages under `docs/providers/`, in a folder that git ignores."""
    mounted = HERE / "providers" / "_mounted"
    shutil.rmtree(mounted, ignore_errors=True)
    for pages in sorted(HERE.parent.glob("providers/*/docs")):
        shutil.copytree(pages, mounted / pages.parent.name)


mount_provider_docs()
