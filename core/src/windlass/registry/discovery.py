"""Finding the installed providers: their entry points, and the manifest behind each. Slow, so :mod:`.cache` keeps it.

Every provider is loaded apart, in a plugin manager of its own, so that whatever one does wrong (it does not import, a
hook is misspelt, its manifest is no manifest) is recorded against its name and the next one is loaded all the same.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Final

import msgspec
import pluggy

from windlass import hookspecs
from windlass.errors import PluginError
from windlass.interfaces.provider import KINDS, SPEC_VERSION, Provider
from windlass.registry.catalog import BrokenPlugin, Catalog, names_of
from windlass.registry.core_provider import DEFAULT_PLUGINS
from windlass.registry.tracing import trace

GROUP: Final = "windlass.providers"

_log = logging.getLogger(__name__)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")


def installed() -> tuple[EntryPoint, ...]:
    """Return the entry points of all installed providers."""
    return tuple(entry_points(group=GROUP))


def discover(candidates: Iterable[EntryPoint]) -> Catalog:
    """Return the manifests behind entry points, sorted by name; log those that cannot be used."""
    providers: list[Provider] = []
    broken: list[BrokenPlugin] = []
    taken = {provider.name for provider in DEFAULT_PLUGINS}
    for entry in sorted(candidates, key=lambda entry: (entry.name, entry.value)):
        try:
            manifest = _manifest(entry, taken)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's module raises
            problem = BrokenPlugin(entry.name, _describe(error), _remedy(entry, error))
            _log.warning("provider %s cannot be used: %s; %s", problem.name, problem.error, problem.remedy)
            broken.append(problem)
        else:
            taken.add(manifest.name)
            providers.append(manifest)
    return Catalog(tuple(providers), tuple(broken))


def load_hooks(module: ModuleType) -> pluggy.PluginManager:
    """Return a plugin manager that holds one module.

    :raises PluginError: if the module has a hook that does not exist or takes an argument that is not there.
    """
    manager = pluggy.PluginManager("windlass")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        msg = f"{module.__name__} has a hook that does not fit: {' '.join(str(error).split())}"
        raise PluginError(msg) from error
    trace(manager)
    return manager


def import_module(name: str) -> ModuleType:
    """Import a provider's module.

    :raises PluginError: if it tries to leave the process; whatever else it raises passes.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except SystemExit as error:
        msg = f"importing {name} called sys.exit({error.code!r})"
        raise PluginError(msg) from error


def _manifest(entry: EntryPoint, taken: set[str]) -> Provider:
    manager = load_hooks(import_module(entry.module))
    manifest = manager.hook.windlass_provider()
    if not isinstance(manifest, Provider):
        msg = f"{entry.module} has no hook windlass_provider that returns a Provider"
        raise PluginError(msg)
    # Before anything else is looked at: a newer manifest may mean other things by the same fields.
    if manifest.spec_version > SPEC_VERSION:
        msg = f"it needs plugin interface {manifest.spec_version}, and this Windlass has {SPEC_VERSION}"
        raise PluginError(msg)
    try:
        # Structs do not check their arguments; the cache file will, so a wrong type is found here.
        manifest = msgspec.convert(msgspec.to_builtins(manifest), Provider)
    except (msgspec.ValidationError, TypeError) as error:
        msg = f"its manifest is wrong: {error}"
        raise PluginError(msg) from error
    for kind in KINDS:
        for name, dotted in names_of(manifest, kind).items():
            if not _DOTTED.fullmatch(dotted):
                msg = f"its manifest is wrong: {kind}[{name!r}] is {dotted!r}, which is no package.module:Name"
                raise PluginError(msg)
    for package in manifest.example_dags:
        if not all(part.isidentifier() for part in package.split(".")):
            msg = f"its manifest is wrong: example_dags has {package!r}, which is no name of a package"
            raise PluginError(msg)
    if manifest.name in taken:
        msg = f"another provider is already called {manifest.name!r}"
        raise PluginError(msg)
    version = entry.dist.version if entry.dist is not None else manifest.version
    return msgspec.structs.replace(manifest, version=version)


def source_files(providers: Iterable[EntryPoint]) -> list[str]:
    """Return the files that the manifests came from: every loaded module of the providers' packages."""
    tops = {entry.module.partition(".")[0] for entry in providers}
    return sorted(
        str(module.__file__)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in tops and getattr(module, "__file__", None)
    )


def _describe(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"


def _remedy(entry: EntryPoint, error: Exception) -> str:
    dist = entry.dist.name if entry.dist is not None else entry.name
    if isinstance(error, ModuleNotFoundError):
        return f"install what is missing, or reinstall {dist}"
    if isinstance(error, PluginError) and "plugin interface" in str(error):
        return f"upgrade windlass, or install an older {dist}"
    return f"upgrade or uninstall {dist}, or report this to its authors"
