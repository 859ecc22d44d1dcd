"""What a child process writes to its own stdout and stderr: read as it comes, the end of it kept for its obituary."""

from __future__ import annotations

import os

from windlass.supervisor.reactor import Reactor

#: Bytes that are kept: the last ones, which say why.
_KEPT = 16 << 10


class ChildOutput:
    """A pipe that a child is given; reads its other end until the child closes it or :meth:`close` is called."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._kept = b""
        #: What the child is given as stdout and stderr; :meth:`started` closes it here.
        self._fd, self.theirs = os.pipe()
        os.set_blocking(self._fd, False)
        reactor.watch(self._fd, self.read)

    @property
    def text(self) -> str:
        """The last of what was read, whatever bytes it was made of."""
        return self._kept.decode(errors="backslashreplace")

    def started(self) -> None:
        """Close the child's end here: the child has it now, or never will."""
        os.close(self.theirs)

    def read(self) -> None:
        """Take what is there."""
        while self._fd >= 0:
            try:
                data = os.read(self._fd, _KEPT)
            except BlockingIOError:
                return
            if not data:
                self.close()
                return
            self._kept = (self._kept + data)[-_KEPT:]

    def close(self) -> None:
        """Read no more; what was read stays."""
        if self._fd >= 0:
            self._reactor.unwatch(self._fd)
            os.close(self._fd)
            self._fd = -1
