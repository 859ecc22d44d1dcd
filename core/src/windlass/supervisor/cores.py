"""Whether the machine's cores have more to do than they can, or some to spare.

The kernel counts, in hundredths of a second, for how long its cores were idle. Who waits while they are not, takes
nothing from anybody.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: Seconds between two looks; what was seen so long ago that four would fit in says nothing of now.
_WINDOW: Final = 0.025
#: Cores are busy if they were idle for less than this part of the time.
_SPARE: Final = 0.2


class Cores:
    """Looks at them now and then, by the monotonic seconds that ``monotonic`` gives."""

    def __init__(self, monotonic: Callable[[], float], uptime: Path = Path("/proc/uptime")) -> None:
        self._monotonic = monotonic
        self._uptime = uptime
        self._number = os.cpu_count() or 1
        self._looked_at = float("-inf")
        self._idle = 0.0
        #: Whether there was hardly any spare time between the last two looks. Never where the kernel does not count.
        self.are_busy = False

    def look(self) -> None:
        """Look again, if it is time."""
        now = self._monotonic()
        passed = now - self._looked_at
        if passed < _WINDOW:
            return
        try:
            idle = float(self._uptime.read_bytes().split()[1])
        except (OSError, ValueError, IndexError):  # not Linux
            return
        spare = (idle - self._idle) / (passed * self._number)
        self.are_busy = passed < 4 * _WINDOW and spare <= _SPARE
        self._looked_at, self._idle = now, idle
