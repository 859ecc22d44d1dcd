"""Values that are kept elsewhere: the output of a command, the text of a file, an entry of a secrets backend.

A configuration only records them. They are fetched by the processes that use the setting, once, through
:meth:`windlass.config.Settings.resolve`: a command must not run because somebody asked for ``--help``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from windlass.errors import ConfigError

#: What may follow the key of a secret setting, and what the reference then names.
SUFFIXES: Final = {"_cmd": "command", "_file": "file", "_secret": "secret"}
_TIMEOUT = 60.0


class Reference(NamedTuple):
    """Where a secret setting's value is kept. ``target`` is a command line, a path, or a name in the backend."""

    kind: str
    target: str

    def fetch(self, name: str, read_secret: Callable[[str], str | None]) -> str:
        """Return the text that the setting ``name`` refers to, without the white space around it.

        :raises ConfigError: if there is none; neither the text nor a command's output is quoted.
        """
        if self.kind == "command":
            return _run(name, self.target)
        if self.kind == "file":
            try:
                return Path(self.target).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                msg = f"{name} is to be read from {self.target}, but that cannot be read: {reason}"
                raise ConfigError(msg) from None
        value = read_secret(self.target)
        if value is None:
            msg = f"{name} is to be read from the secrets backend, which has no configuration entry {self.target!r}"
            raise ConfigError(msg)
        return value.strip()


def _run(name: str, command: str) -> str:
    import shlex
    import subprocess

    try:
        done = subprocess.run(
            shlex.split(command), check=True, capture_output=True, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = {
            subprocess.CalledProcessError: "it failed with exit code {0.returncode}",
            subprocess.TimeoutExpired: "it did not end within {0.timeout:g} s",
        }.get(type(error), "it cannot be run: {0}")
        msg = f"{name} is to be the output of a command, but {reason.format(error)}; try it in a shell"
        raise ConfigError(msg) from None
    return done.stdout.strip()
