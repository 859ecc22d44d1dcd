"""The manifest of windlass-mysql."""

from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="mysql",
        description="Use MySQL and MariaDB from Windlass tasks.",
    )
