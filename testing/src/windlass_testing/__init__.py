"""Test DAGs and providers of Windlass: a pytest plugin, simulated schedules, conformance suites and fakes.

What a test imports is loaded when it is first used: pytest imports this package at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass.app.clocks import VirtualClock as VirtualClock
    from windlass.app.inproc.results import CallbackCall as CallbackCall
    from windlass.app.inproc.results import DagTestResult as DagTestResult
    from windlass.app.inproc.results import TaskResult as TaskResult
    from windlass.app.inproc.results import TaskTestResult as TaskTestResult
    from windlass.app.inproc.testing import run_task as run_task
    from windlass_testing.bag import DagBag as DagBag
    from windlass_testing.bag import load_bag as load_bag
    from windlass_testing.fixtures import Given as Given
    from windlass_testing.fixtures import RunDag as RunDag
    from windlass_testing.fixtures import RunTask as RunTask
    from windlass_testing.fixtures import SetConnection as SetConnection
    from windlass_testing.fixtures import SetVariable as SetVariable

_HOMES = {
    "VirtualClock": "windlass.app.clocks",
    "DagBag": "windlass_testing.bag",
    "load_bag": "windlass_testing.bag",
    "CallbackCall": "windlass.app.inproc.results",
    "DagTestResult": "windlass.app.inproc.results",
    "TaskResult": "windlass.app.inproc.results",
    "TaskTestResult": "windlass.app.inproc.results",
    "run_task": "windlass.app.inproc.testing",
    "Given": "windlass_testing.fixtures",
    "RunDag": "windlass_testing.fixtures",
    "RunTask": "windlass_testing.fixtures",
    "SetConnection": "windlass_testing.fixtures",
    "SetVariable": "windlass_testing.fixtures",
}


def __getattr__(name: str) -> object:
    """Load a name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Name everything that can be imported."""
    return sorted({*globals(), *_HOMES})
