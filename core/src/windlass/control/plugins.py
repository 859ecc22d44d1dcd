"""What is installed."""

from __future__ import annotations

import msgspec

from windlass.control.visibility import did_you_mean
from windlass.errors import NotFound
from windlass.registry import KINDS, BrokenPlugin, Duplicate, Provider, registry
from windlass.version import __version__


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A provider in a list."""

    name: str
    version: str
    description: str
    brings: tuple[str, ...]
    docs_url: str


class PluginRow(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin, usable or not."""

    name: str
    version: str
    status: str
    error: str | None = None
    remedy: str | None = None


def providers() -> tuple[ProviderRow, ...]:
    """Return the providers that can be used, the core first."""
    return tuple(
        ProviderRow(
            name=provider.name,
            version=_version(provider),
            description=provider.description,
            brings=_brought(provider),
            docs_url=provider.docs_url,
        )
        for provider in registry().providers
    )


def provider(name: str) -> Provider:
    """Return the manifest of one provider.

    :raises NotFound: if there is none that can be used.
    """
    known = {entry.name: entry for entry in registry().providers}
    if name in known:
        return known[name]
    broken = {entry.name: entry for entry in registry().broken}
    if name in broken:
        raise NotFound(f"provider {name!r} cannot be used: {broken[name].error}. {broken[name].remedy}")
    hint = did_you_mean(name, known)
    raise NotFound(f"provider {name!r} is not installed.{hint} `windlass providers list` shows all")


def plugins() -> tuple[PluginRow, ...]:
    """Return every plugin: the usable ones, and the broken ones with what to do."""
    usable = [PluginRow(name=entry.name, version=_version(entry), status="ok") for entry in registry().providers]
    broken = [
        PluginRow(name=entry.name, version="", status="broken", error=entry.error, remedy=entry.remedy)
        for entry in registry().broken
    ]
    return (*usable, *broken)


def broken_plugins() -> tuple[BrokenPlugin, ...]:
    """Return the plugins that cannot be used."""
    return tuple(registry().broken)


def duplicate_names() -> tuple[Duplicate, ...]:
    """Return the names that two providers claim."""
    return tuple(registry().duplicates)


def _version(entry: Provider) -> str:
    return entry.version or (__version__ if entry.name == "core" else "")


def _brought(entry: Provider) -> tuple[str, ...]:
    counts = {kind: len(getattr(entry, kind)) for kind in ("connection_types", *KINDS)}
    return tuple(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items() if count)
