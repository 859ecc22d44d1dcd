"""``python testing/oracle``: see ``cli``.

The modules are imported from the root of the checkout, under the names by which the type checker knows them.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from testing.oracle.cli import main  # noqa: E402 - only importable from here on

sys.exit(main(sys.argv[1:]))
