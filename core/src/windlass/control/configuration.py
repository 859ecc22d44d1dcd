"""The configuration, with what the installed providers declare and what it refers to."""

from __future__ import annotations

from collections.abc import Mapping

from windlass.config import Reference, Settings
from windlass.registry import registry


def load_settings(flags: Mapping[str, str] | None = None) -> Settings:
    """Return the configuration that holds here, with the settings that the installed providers declare."""
    return Settings.load(flags=flags, options=registry().options)


def resolved(settings: Settings) -> Settings:
    """Return the configuration with every reference replaced by what it names.

    What fetches them is imported only if there is one, since most commands have none and must start fast.
    """
    if not any(isinstance(setting.value, Reference) for setting in settings):
        return settings
    from windlass.secrets.resolver import resolve_settings

    return resolve_settings(settings)
