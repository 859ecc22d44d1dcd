"""The datetimes of contexts, made by a provider's factory where one is installed.

A package that moves DAG files over from elsewhere may want contexts to hold datetimes with more methods than ours have.
Its manifest names the factory, under ``moment_factories``; of several the first is used, and ``windlass plugins`` shows
the others as duplicates when they use the same name. A factory that cannot be used costs a warning, and contexts hold
plain datetimes: what a task does with them works with those too, or says what it misses.

A zygote is told the factory by its supervisor, which knows the manifests anyway: reading them there would cost every
child some sixty pages.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from windlass.errors import PluginError
from windlass.moment import MomentFactory, install_factory

KIND: Final = "moment_factories"
_PROBE: Final = datetime(2000, 2, 29, 12, 30, tzinfo=UTC)


def use_factory(dotted: str) -> None:
    """Have the function of this dotted name, empty for none, make the datetimes of contexts in this process."""
    if not dotted:
        return
    from windlass.registry import import_name

    try:
        install_factory(_checked(dotted, import_name(dotted, "moment factory")))
    except PluginError as error:
        import logging

        logging.getLogger(__name__).warning("contexts hold plain datetimes: %s", error)


def _checked(dotted: str, factory: MomentFactory) -> MomentFactory:
    """Return ``factory`` if it makes a datetime of the same instant.

    :raises PluginError: if it does not.
    """
    try:
        made: object = factory(_PROBE)
    except Exception as error:
        msg = f"moment factory {dotted} raised {type(error).__name__}: {error}; upgrade or uninstall its provider"
        raise PluginError(msg) from error
    if not isinstance(made, datetime) or made != _PROBE:
        msg = f"moment factory {dotted} makes {made!r} of {_PROBE.isoformat()}, which is not the same datetime"
        raise PluginError(f"{msg}; upgrade or uninstall its provider")
    return factory
