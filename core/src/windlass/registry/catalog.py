"""The installed providers as one value: manifests in order, what was refused, and who was second with a name."""

from __future__ import annotations

import msgspec

from windlass.interfaces.provider import KINDS, Provider


class BrokenPlugin(msgspec.Struct, frozen=True):
    """A provider that is installed and cannot be used."""

    name: str
    error: str
    remedy: str


class Duplicate(msgspec.Struct, frozen=True):
    """A name that two providers claim: ``first`` has it, ``second`` does not."""

    kind: str
    name: str
    first: str
    second: str


class Catalog(msgspec.Struct, frozen=True):
    """What discovery found, and what the cache file keeps."""

    providers: tuple[Provider, ...] = ()
    broken: tuple[BrokenPlugin, ...] = ()


def names_of(provider: Provider, kind: str) -> dict[str, str]:
    """Return the names of one kind that a provider brings."""
    return dict(getattr(provider, kind))


def claims_of(provider: Provider) -> list[tuple[str, str]]:
    """Return every (kind, name) that a provider claims."""
    claims = [("providers", provider.name)]
    claims += [(kind, name) for kind in KINDS for name in names_of(provider, kind)]
    claims += [
        ("connection_types", name) for entry in provider.connection_types for name in (entry.conn_type, *entry.aliases)
    ]
    claims += [("config_options", f"{entry.section}.{entry.key}") for entry in provider.config_options]
    return claims


def duplicates(providers: tuple[Provider, ...]) -> tuple[Duplicate, ...]:
    """Return every claim of a provider to a name that an earlier one has."""
    owners: dict[tuple[str, str], str] = {}
    found: list[Duplicate] = []
    for provider in providers:
        for kind, name in claims_of(provider):
            if (kind, name) in owners:
                found.append(Duplicate(kind, name, owners[kind, name], provider.name))
            else:
                owners[kind, name] = provider.name
    return tuple(found)
