"""The triggers that Windlass brings. They only watch, so it does no harm to run one twice."""

from __future__ import annotations

from typing import Final

#: Seconds between two looks at the least: others live in the same process.
LEAST_PAUSE: Final = 0.05
