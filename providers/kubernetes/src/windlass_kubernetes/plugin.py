"""The manifest of windlass-kubernetes."""

from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="kubernetes",
        description="Run Windlass tasks as Kubernetes pods and jobs, and manage Kubernetes objects.",
    )
