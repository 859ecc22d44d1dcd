"""Where everything of one installation is kept: the home directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def home(environ: Mapping[str, str] | None = None) -> Path:
    """Return the home: ``$WINDLASS_HOME``, else ``$XDG_DATA_HOME/windlass``, else ``~/.local/share/windlass``.

    The folder need not exist. A relative path is taken from the working directory, once, here.
    """
    environ = os.environ if environ is None else environ
    if chosen := environ.get("WINDLASS_HOME"):
        return Path(os.path.abspath(os.path.expanduser(chosen)))  # noqa: PTH100, PTH111 - absolute, links kept
    # The XDG specification says that a relative path is invalid and to be ignored.
    data = environ.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):
        data = os.path.expanduser("~/.local/share")  # noqa: PTH111 - no RuntimeError without a home
    return Path(data, "windlass")
