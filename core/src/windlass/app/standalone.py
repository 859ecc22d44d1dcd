"""``windlass standalone``: everything on this machine, and nothing left behind when it stops."""

from __future__ import annotations

import sys

from windlass.app.server import Server
from windlass.app.server_log import configure
from windlass.config import Settings
from windlass.secrets.resolver import resolve_settings


def run(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C, saying ``ready`` on stderr once work can be taken; return 0.

    On the first signal nothing new starts and running tasks have a few seconds to finish; a second signal stops them.
    """
    settings = resolve_settings(settings)
    configure(settings)
    with Server(settings) as server:
        try:
            server.run(ready=_say_ready)
        finally:
            server.stop_supervisor()
    return 0


def _say_ready() -> None:
    sys.stderr.write("ready\n")
    sys.stderr.flush()
