"""The manifest of windlass-vault."""

from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="vault",
        description="Read connections, variables and secrets from HashiCorp Vault.",
    )
