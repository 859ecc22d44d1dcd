"""The modules with observer and policy hooks, loaded only in the process that calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windlass.interfaces.provider import Provider
from windlass.registry.catalog import BrokenPlugin
from windlass.registry.lookup import Registry


class PluginModules:
    """The hooks of one kind, ``observers`` or ``policies``, of all providers, each apart from the others."""

    def __init__(self, registry: Registry, kind: str) -> None:
        self.broken: list[BrokenPlugin] = []
        self._hooks: list[tuple[str, Any]] = []
        for provider in registry.providers:
            for module in getattr(provider, kind):
                self._load(provider, module)

    def _load(self, provider: Provider, module: str) -> None:
        from windlass.registry import discovery

        try:
            manager = discovery.load_hooks(discovery.import_module(module))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's module raises
            text = f"{module}: {type(error).__name__}: {error}"
            import logging  # not for `--help`, which only looks names up

            logging.getLogger(__name__).warning("hooks of provider %s cannot be used: %s", provider.name, text)
            remedy = f"upgrade or uninstall the distribution of provider {provider.name}"
            self.broken.append(BrokenPlugin(provider.name, text, remedy))
        else:
            self._hooks.append((provider.name, manager.hook))

    def callers(self, hook: str) -> Iterator[tuple[str, Any]]:
        """Yield (provider, callable) for every provider that implements ``hook``; call it with keyword arguments.

        The caller catches what each raises, and so keeps one from stopping the next.
        """
        for provider, hooks in self._hooks:
            caller = getattr(hooks, hook)
            if caller.get_hookimpls():
                yield provider, caller

    def __bool__(self) -> bool:
        return bool(self._hooks)
