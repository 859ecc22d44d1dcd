"""A server that a test starts: its process, its port, and waiting until it answers."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

#: Seconds in which a server must answer once it was started, and end once it was told to.
PATIENCE = 60.0


class ServerMissing(Exception):
    """No server of this kind can be had here; the text says what to install."""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Return whether something listens on a port of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class ServerProcess:
    """A folder that is removed at the end, and a server process that works in it."""

    def __init__(self, name: str) -> None:
        # Not in pytest's folder: a socket's path must be short, and another user must be able to enter.
        self.folder = Path(tempfile.mkdtemp(prefix=f"windlass-{name}-"))
        #: A server such as PostgreSQL refuses to run as root; then it runs as this user.
        self.user = "nobody" if os.geteuid() == 0 else None
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def own(self, *paths: Path) -> None:
        """Give files to the user of the server."""
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            for path in paths:
                os.chown(path, entry.pw_uid, entry.pw_gid)

    def prepare(self, command: Sequence[str | Path], user: str | None) -> str:
        """Run a command that must succeed, and return what it wrote."""
        done = subprocess.run(
            list(map(str, command)), user=user, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ServerMissing(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
        return done.stdout

    def start(self, command: Sequence[str | Path], user: str | None, answers: Callable[[], None]) -> None:
        """Start the server and wait until ``answers`` no longer raises.

        :raises ServerMissing: if it ends before, or takes too long.
        """
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(map(str, command)), user=user, cwd=self.folder, stdout=output, stderr=output,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answers()
            except Exception as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise ServerMissing(f"{command[0]} did not start: {log.read_text()[-1000:]}") from error
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server, if it runs, by a signal."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the server and remove its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
