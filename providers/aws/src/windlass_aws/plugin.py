"""The manifest of windlass-aws."""

from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="aws",
        description="Use Amazon S3, Secrets Manager and the Parameter Store from Windlass.",
    )
