"""The folders with the example DAGs of providers, found without running anything of theirs.

A server asks, which may import no provider. The import system says where a package lies without running it, but for one
inside another it runs the outer one first: so it is asked for the outermost alone, and the rest is a path below that.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable
from pathlib import Path

from windlass.interfaces.provider import Provider

_log = logging.getLogger(__name__)


def example_folders(providers: Iterable[Provider]) -> dict[str, Path]:
    """Return the folder of each package in ``example_dags`` of these manifests, by the package's name.

    One that is not there is logged, and keeps nothing else from being found.
    """
    found: dict[str, Path] = {}
    for provider in providers:
        for package in provider.example_dags:
            folder = folder_of(package)
            if folder is None:
                text = "the examples of provider %s are not there: no folder of package %s; reinstall its distribution"
                _log.warning(text, provider.name, package)
            else:
                found[package] = folder
    return found


def folder_of(package: str) -> Path | None:
    """Return the folder of a package by its dotted name, None if there is none. Nothing is imported."""
    outermost, *inner = package.split(".")
    try:
        spec = importlib.util.find_spec(outermost)
    except (ImportError, ValueError):  # what is loaded and has no spec, such as __main__
        spec = None
    places = None if spec is None else spec.submodule_search_locations
    folders = (Path(place, *inner) for place in places or ())
    return next((folder for folder in folders if folder.is_dir()), None)
