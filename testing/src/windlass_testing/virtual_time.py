"""What author-side code takes for the time while a test's clock is in charge.

Sensors, ``LatestOnlyOperator`` and their like read the machine's clock, as they should in a process of their own. While
an attempt runs on a virtual clock, the modules named here see that clock instead, and a sleep lets it go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from importlib import import_module
from typing import Any, Final

from windlass.ports import Clock

#: Modules that ask for the time in the name of a task.
_MODULES: Final = (
    "windlass.authoring.sensor",
    "windlass.authoring.weekday",
    "windlass.authoring.operators.latest_only",
    "windlass.authoring.operators.time_sensors",
    "windlass.authoring.operators.trigger_run",
    "windlass.runtime.attempt",
    "windlass.runtime.callbacks",
)


class _AnyDatetime(type):
    """Lets ``isinstance(value, datetime)`` hold for real ones as well."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)


class _Sleeping:
    """The module ``time``, as far as author-side code uses it."""

    def __init__(self, clock: Clock, sleep: Callable[[float], None]) -> None:
        self.monotonic = self.perf_counter = clock.monotonic
        self.sleep = sleep


@contextmanager
def virtual_time(clock: Clock, sleep: Callable[[float], None]) -> Iterator[None]:
    """Let author-side code see ``clock`` for the duration of the block, and call ``sleep`` instead of sleeping."""

    class Now(datetime, metaclass=_AnyDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:  # noqa: ANN401 - a plain datetime, not one of this class
            return clock.now().astimezone(tz)

    replaced: dict[str, Any] = {"datetime": Now, "time": _Sleeping(clock, sleep)}
    saved: list[tuple[dict[str, Any], str, Any]] = []
    for module in map(vars, map(import_module, _MODULES)):
        for name, value in replaced.items():
            # `time` is a class of the standard library where an operator compares times of the day.
            if name in module and (name == "datetime" or not isinstance(module[name], type)):
                saved.append((module, name, module[name]))
                module[name] = value
    try:
        yield
    finally:
        for module, name, value in saved:
            module[name] = value
