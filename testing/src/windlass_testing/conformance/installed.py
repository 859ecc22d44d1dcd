"""A provider as it is installed: its distribution, its entry point, its manifest and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from windlass.plugin import Provider
from windlass.registry.discovery import GROUP, import_module, load_hooks
from windlass_testing.conformance.sources import files_of


@dataclass(frozen=True)
class Installed:
    """What the checks of a manifest look at."""

    distribution: Distribution
    entry: EntryPoint
    manifest: Provider

    @property
    def package(self) -> str:
        """The import package of the provider."""
        return self.entry.module.partition(".")[0]

    @property
    def files(self) -> list[Path]:
        """The Python files of the provider."""
        return files_of(self.package)

    @property
    def requirements(self) -> dict[str, Requirement]:
        """Its dependencies and those of its extras, by canonical name."""
        parsed = [Requirement(text) for text in self.distribution.requires or ()]
        return {canonicalize_name(requirement.name): requirement for requirement in parsed}


@cache
def installed(name: str) -> Installed:
    """Return the provider that the distribution ``name`` brings; a test that asks fails if there is not exactly one."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        pytest.fail(f"distribution {name!r} is not installed here; install it, with pip install -e say", pytrace=False)
    entries = list(found.entry_points.select(group=GROUP))
    if len(entries) != 1:
        names = ", ".join(entry.name for entry in entries) or "none"
        pytest.fail(f"{name} must have one entry point in the group {GROUP}; it has {names}", pytrace=False)
    manifest = load_hooks(import_module(entries[0].module)).hook.windlass_provider()
    if not isinstance(manifest, Provider):
        pytest.fail(f"{entries[0].module}.windlass_provider() must return a Provider, not {manifest!r}", pytrace=False)
    return Installed(found, entries[0], manifest)


@cache
def _packages() -> Mapping[str, list[str]]:
    """Return the distributions by the top-level modules that they bring; reading that takes most of a second."""
    return packages_distributions()


def distributions_of(module: str) -> set[str]:
    """Return the canonical names of the distributions that bring a top-level module."""
    known = _packages().get(module, [])
    # An editable installation lists no files, and its distribution is called like its package.
    return {canonicalize_name(name) for name in known} or {canonicalize_name(module)}


def modules_of(name: str) -> set[str]:
    """Return the top-level modules that an installed distribution brings, without private ones."""
    wanted = canonicalize_name(name)
    found = {module for module, names in _packages().items() if wanted in {canonicalize_name(name) for name in names}}
    return {module for module in found if module.isidentifier() and not module.startswith("_")}
