"""``python -m windlass``: the command line."""

from __future__ import annotations

import sys

from windlass.cli import main

if __name__ == "__main__":
    sys.exit(main())
