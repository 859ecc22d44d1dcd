"""The manifest of windlass-testing. The pytest plugin has the name that a manifest has elsewhere."""

from __future__ import annotations

from windlass.plugin import Provider, hookimpl


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="testing",
        description="Test DAGs and providers, simulate schedules, and begin a new provider.",
        cli_commands={"simulate": "windlass_testing.simulate.command:simulate"},
        cli_help={"simulate": "Show what the scheduler would do in a period of time."},
        scaffolds={"provider": "windlass_testing.scaffold:new_provider"},
    )
