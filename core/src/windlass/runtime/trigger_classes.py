"""From a trigger to its name and back: the name alone imports nothing.

A stored name is looked up in two places. Providers list their triggers in a manifest; whatever else a DAG uses must be
defined by the DAG file, or imported by it, in the code version that the run is pinned to: such a class is found among
those that exist once the file is imported, not by importing what the name says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windlass.errors import AuthoringError, PluginError
from windlass.interfaces.trigger import BaseTrigger
from windlass.registry import registry


def describe(trigger: object) -> tuple[str, dict[str, Any]]:
    """Return the name under which the class of ``trigger`` is found again, and the arguments that make its equal.

    :raises AuthoringError: if it is no trigger, or cannot be found again.
    """
    if not isinstance(trigger, BaseTrigger):
        raise AuthoringError(
            "a task defers to a trigger, an instance of a subclass of windlass.triggers.BaseTrigger; "
            f"{trigger!r} is none"
        )
    name, arguments = trigger.serialize()
    if registry().find("triggers", name) is not None:
        return name, dict(arguments)
    # Whatever name the author has written, the class that is at hand is the one that is meant.
    kind = type(trigger)
    if "<locals>" in kind.__qualname__:
        raise AuthoringError(
            f"the trigger {kind.__qualname__} is defined inside a function, where the trigger host cannot find it; "
            "define it at the top level of a module"
        )
    return _name(kind), dict(arguments)


def make(name: str, arguments: dict[str, Any]) -> BaseTrigger:
    """Return a new trigger of the class called ``name``.

    :raises PluginError: if neither a provider nor the code of this process has it.
    """
    if registry().find("triggers", name) is not None:
        kind = registry().lookup("triggers", name)
    else:
        kind = next((kind for kind in _defined() if _name(kind) == name), None)
    if kind is None:
        raise PluginError(
            f"no trigger {name} is there: no provider lists it, and the DAG file does not define or import it at its "
            "top level; import it there"
        )
    trigger = kind(**arguments)
    if not isinstance(trigger, BaseTrigger):
        raise PluginError(f"{name} is no trigger: it does not extend windlass.triggers.BaseTrigger")
    return trigger


def _name(kind: type[BaseTrigger]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _defined() -> Iterator[type[BaseTrigger]]:
    """Yield every class of triggers that this process has."""
    found = BaseTrigger.__subclasses__()
    for kind in found:
        yield kind
        found += kind.__subclasses__()
