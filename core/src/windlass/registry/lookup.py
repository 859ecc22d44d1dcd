"""From a name to the class behind it, imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from typing import Any

from windlass.config import Option
from windlass.errors import PluginError
from windlass.interfaces.provider import KINDS, ConnectionType, Provider
from windlass.registry.cache import cached_catalog
from windlass.registry.catalog import BrokenPlugin, Catalog, Duplicate, duplicates, names_of
from windlass.registry.core_provider import DEFAULT_PLUGINS


class Registry:
    """The installed providers. Discovery happens when something is asked that the core's own parts do not answer."""

    def __init__(
        self, discover: Callable[[], Catalog] = cached_catalog, defaults: Iterable[Provider] = DEFAULT_PLUGINS
    ) -> None:
        self._discover = discover
        self._defaults = tuple(defaults)

    @cached_property
    def _catalog(self) -> Catalog:
        return self._discover()

    @cached_property
    def providers(self) -> tuple[Provider, ...]:
        """All usable providers, the core first, then by name. On a duplicate name the first one wins."""
        return (*self._defaults, *self._catalog.providers)

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """The providers that are installed and cannot be used."""
        return self._catalog.broken

    @cached_property
    def duplicates(self) -> tuple[Duplicate, ...]:
        """The names that two providers claim."""
        return duplicates(self.providers)

    @cached_property
    def connection_types(self) -> dict[str, ConnectionType]:
        """The known types of connection by name, and behind them by alias."""
        entries = [entry for provider in self.providers for entry in provider.connection_types]
        found: dict[str, ConnectionType] = {}
        for entry in entries:
            found.setdefault(entry.conn_type, entry)
        for entry in entries:
            for alias in entry.aliases:
                found.setdefault(alias, entry)
        return found

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """The settings of all providers, for ``Settings.load(options=…)``."""
        return tuple(
            Option(
                entry.default, entry.description, kind=entry.kind, choices=entry.choices,
                secret=entry.secret, section=entry.section, key=entry.key,
            )
            for provider in self.providers
            for entry in provider.config_options
        )  # fmt: skip

    def names(self, kind: str) -> dict[str, str]:
        """Return all names of one kind (``executors``, ``task_decorators`` …) with their dotted strings."""
        _check_kind(kind)
        found: dict[str, str] = {}
        for provider in self.providers:
            for name, dotted in names_of(provider, kind).items():
                found.setdefault(name, dotted)
        return found

    def first(self, kind: str) -> str:
        """Return the dotted string of the first name of one kind, empty if no provider brings any."""
        return next(iter(self.names(kind).values()), "")

    def find(self, kind: str, name: str) -> str | None:
        """Return the dotted string behind a name, None if no provider brings it. Imports nothing of a provider's."""
        _check_kind(kind)
        for provider in self._defaults:
            if dotted := names_of(provider, kind).get(name):
                return dotted
        return self.names(kind).get(name)

    def lookup(self, kind: str, name: str) -> Any:  # noqa: ANN401 - what it is follows from the kind
        """Return the class (or command, or function) that ``name`` stands for, importing it.

        :raises PluginError: if no provider brings it, with the closest name; or if it cannot be imported.
        """
        dotted = self.find(kind, name)
        if dotted is None:
            raise self._unknown(kind, name)
        return import_name(dotted, f"{_singular(kind)} {name!r}")

    def name_of(self, kind: str, cls: type) -> str | None:
        """Return the name under which a class is registered, None if it is not.

        Of what is registered, only classes called the same are imported.
        """
        dotted = {f"{cls.__module__}:{cls.__qualname__}", f"{cls.__module__}.{cls.__qualname__}"}
        names = self.names(kind)
        for name, path in names.items():
            if path in dotted:
                return name
        alike = (name for name, path in names.items() if path.replace(":", ".").endswith(f".{cls.__qualname__}"))
        return next((name for name in alike if self.lookup(kind, name) is cls), None)

    def hook_class(self, conn_type: str | None) -> Any:  # noqa: ANN401 - a class of a provider's
        """Return the class of the hook for a type of connection, importing it.

        :raises PluginError: if no installed provider declares that type, or declares it without a hook.
        """
        entry = self.connection_types.get(conn_type or "")
        if entry is None:
            from windlass.registry.absent import unknown_type

            raise PluginError(unknown_type(conn_type, self.connection_types))
        if entry.hook is None:
            raise PluginError(f"connections of type {conn_type!r} have no hook; choose another type of connection")
        return import_name(entry.hook, f"hook of {conn_type!r}")

    def _unknown(self, kind: str, name: str) -> PluginError:
        from windlass.registry.absent import nearest, unusable

        known = sorted(self.names(kind))
        close = nearest(name, known)
        hint = f"did you mean {close}?" if close else f"there is {', '.join(known) or 'none'}"
        text = f"no installed provider brings the {_singular(kind)} {name!r}; {hint}"
        return PluginError(text + unusable(self.broken))


def import_name(dotted: str, what: str = "") -> Any:  # noqa: ANN401 - any object has a name
    """Return the object that ``package.module:Name`` (or ``package.module.Name``) names.

    :raises PluginError: if it cannot be imported or is not there; ``what`` it was for begins the sentence.
    """
    module_name, colon, attribute = dotted.partition(":")
    if not colon:
        module_name, _, attribute = dotted.rpartition(".")
    prefix = f"{what} ({dotted})" if what else dotted
    try:
        target: Any = importlib.import_module(module_name)
    except Exception as error:
        from windlass.registry.absent import what_it_needs

        why = what_it_needs(error) or f"cannot be imported: {type(error).__name__}: {error}"
        msg = f"{prefix} {why}"
        raise PluginError(msg) from error
    for part in attribute.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            msg = f"{prefix} does not exist: {module_name} has no {attribute}; its provider's manifest is wrong"
            raise PluginError(msg) from None
    return target


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        msg = f"there is no kind {kind!r} of plugin; the kinds are {', '.join(KINDS)}"
        raise PluginError(msg)


def _singular(kind: str) -> str:
    words = {
        "secrets_backends": "secrets backend",
        "xcom_codecs": "XCom codec",
        "cli_commands": "command",
        "moment_factories": "moment factory",
        "priority_weight_strategies": "priority weight strategy",
    }
    return words.get(kind, kind.removesuffix("s").replace("_", " "))


@cache
def registry() -> Registry:
    """Return the one registry of this process."""
    return Registry()


def lookup(kind: str, name: str) -> Any:  # noqa: ANN401 - what it is follows from the kind
    """Return what ``name`` stands for in this process's registry; see :meth:`Registry.lookup`."""
    return registry().lookup(kind, name)
