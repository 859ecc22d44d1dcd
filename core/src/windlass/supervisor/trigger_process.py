"""The process of a trigger host and the line to it: started, spoken with, and known when it ends.

It is a child like a zygote: no database, no settings of the server, dead when the supervisor is. Besides the line the
two share a *cell* of memory, into which the process writes whose code it is running at this moment: so it can still be
known when the process cannot say it any more.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable

from windlass.errors import ProtocolError
from windlass.ports import WaitKey
from windlass.protocol import FrameReader
from windlass.protocol import triggering as messages
from windlass.protocol.forking import NO_TOKEN
from windlass.supervisor import processes
from windlass.supervisor.output import ChildOutput
from windlass.supervisor.reactor import Reactor
from windlass.supervisor.zygotes import child_environment

_log = logging.getLogger(__name__)

_CHUNK = 64 << 10
_KEY = struct.Struct("<qq")


class TriggerProcess:
    """A running host. ``take`` gets what it says, ``broke`` why it cannot be listened to any more."""

    def __init__(
        self, tag: str, reactor: Reactor, take: Callable[[messages.FromHost], None], broke: Callable[[str], None]
    ) -> None:
        self._reactor = reactor
        self._take = take
        self._broke = broke
        self._reader = FrameReader()
        self._unsent = bytearray()
        self._sock, theirs = socket.socketpair()
        cell = _memory()
        self._cell = mmap.mmap(cell, messages.CELL)
        self._output = ChildOutput(reactor)
        try:
            self._process = subprocess.Popen(
                messages.host_command(theirs.fileno(), cell, os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=self._output.theirs,
                stderr=self._output.theirs,
                env=child_environment(os.environ, f"{tag}.{NO_TOKEN}"),
                pass_fds=(theirs.fileno(), cell),
                start_new_session=True,
            )
        except OSError:
            self._sock.close()
            self._output.close()
            raise
        finally:
            theirs.close()
            self._output.started()
            os.close(cell)
        self.pid = self._process.pid
        self._sock.setblocking(False)
        reactor.watch(self._sock.fileno(), self._read)

    @property
    def running(self) -> WaitKey | None:
        """The wait whose code runs at this moment, or ran when the process ended; None between two of them."""
        task, epoch = _KEY.unpack(self._cell[: messages.CELL])
        return (task, epoch) if task else None

    def kill(self) -> None:
        """End the process."""
        if self._process.returncode is None:  # once it is reaped, its number may be somebody else's
            processes.send({self.pid}, signal.SIGKILL)

    def exited(self, status: int) -> str:
        """Take its last words now that it was reaped, and return how it ended."""
        code = self._process.returncode = os.waitstatus_to_exitcode(status)
        self._read()
        self._output.read()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        if self._output.text and code != 0:
            _log.warning("a trigger host %s; it wrote:\n%s", how, self._output.text)
        return how

    def close(self) -> None:
        """Give its descriptors back."""
        self._reactor.unwatch(self._sock.fileno())
        self._sock.close()
        self._cell.close()
        self._output.close()

    def send(self, message: messages.ToHost) -> None:
        """Say something.

        :raises ProtocolError: if it is too large.
        """
        data = messages.pack(message)
        if self._sock.fileno() >= 0:
            self._unsent += data
            self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            self._reactor.watch(self._sock.fileno(), self._read, self._flush_on)
        except OSError:
            self._unsent.clear()  # it ends: exited() tells everybody

    def _flush_on(self) -> None:
        self._flush()
        if not self._unsent and self._sock.fileno() >= 0:
            self._reactor.watch(self._sock.fileno(), self._read)

    def _read(self) -> None:
        while self._sock.fileno() >= 0:
            try:
                data = self._sock.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._reactor.unwatch(self._sock.fileno())
                return  # the process ends; the kernel says how
            try:
                for payload in self._reader.feed(data):
                    self._take(messages.from_host(payload))
            except ProtocolError as error:  # user code wrote to the host's own line
                self._broke(f"broke the protocol ({error})")
                return


def _memory() -> int:
    """Return the descriptor of a piece of memory that a child can share: a file without a name."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("windlass-cell")
    else:  # not Linux
        import tempfile

        file, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108 - as it was named by mkstemp
        fd = file
    os.ftruncate(fd, messages.CELL)
    return fd
