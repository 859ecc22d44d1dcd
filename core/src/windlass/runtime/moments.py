"""The datetimes of contexts, made by a provider's factory where one is installed.

A package that moves DAG files over from elsewhere may want contexts to hold datetimes with more methods than ours have.
Its manifest names the factory, under ``moment_factories``; of several the first is used, and ``windlass plugins`` shows
the others as duplicates when they use the same name. A factory that cannot be used costs a warning, and contexts hold
plain datetimes: what a task does with them works with those too, or says what it misses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from windlass.errors import PluginError
from windlass.moment import MomentFactory, install_factory
from windlass.registry import registry

KIND: Final = "moment_factories"
_PROBE: Final = datetime(2000, 2, 29, 12, 30, tzinfo=UTC)


def use_provided_factory() -> None:
    """Have the first installed provider's factory make the datetimes of contexts in this process."""
    name = next(iter(registry().names(KIND)), None)
    if name is None:
        return
    try:
        install_factory(_checked(name, registry().lookup(KIND, name)))
    except PluginError as error:
        import logging

        logging.getLogger(__name__).warning("contexts hold plain datetimes: %s", error)


def _checked(name: str, factory: MomentFactory) -> MomentFactory:
    """Return ``factory`` if it makes a datetime of the same instant.

    :raises PluginError: if it does not.
    """
    try:
        made: object = factory(_PROBE)
    except Exception as error:
        msg = f"moment factory {name!r} raised {type(error).__name__}: {error}; upgrade or uninstall its provider"
        raise PluginError(msg) from error
    if not isinstance(made, datetime) or made != _PROBE:
        msg = f"moment factory {name!r} makes {made!r} of {_PROBE.isoformat()}, which is not the same datetime"
        raise PluginError(f"{msg}; upgrade or uninstall its provider")
    return factory
