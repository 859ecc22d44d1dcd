"""``windlass scheduler``: the server alone; its supervisor outlives it and is adopted by the next one."""

from __future__ import annotations

from windlass.app.server import Server
from windlass.app.server_log import configure
from windlass.config import Settings
from windlass.secrets.resolver import resolve_settings


def run(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; return 0."""
    settings = resolve_settings(settings)
    configure(settings)
    with Server(settings) as server:
        server.run(ready=lambda: None)
    return 0
