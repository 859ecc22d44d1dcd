"""The manifest of windlass-sql."""

from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="sql",
        description="What SQL databases share: operators, sensors, checks, transfers and the hook they use.",
    )
