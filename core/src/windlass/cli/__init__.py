"""The command line: parse arguments, call ``windlass.control`` (or start a process of ``windlass.app``), print.

Starting fast is a feature here, so what is imported is decided one command at a time. This module knows only
``--version``; :mod:`windlass.cli.root` adds click and a table of command names; the module of a command is imported
when that command was chosen (:mod:`windlass.cli.lazy`), and it imports the store, the registry or rich only inside
the functions that need them. A test counts the modules.

Every command keeps three promises: data goes to stdout and everything else to stderr, ``-o json`` is stable enough for
scripts, and the exit code says what happened (:mod:`windlass.cli.failing`). What else holds for all of them is in
``core/tests/unit/cli/test_conventions.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that ``argv`` (else the process's own arguments) names, and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args in (["--version"], ["-V"]):
        from windlass.version import __version__

        sys.stdout.write(f"windlass {__version__}\n")
        return 0
    from windlass.cli.root import run

    return run(args)
