"""Stamps at the seams of a running Windlass, from outside.

With this folder on PYTHONPATH and the name of a file in BENCHMARK_TRACE, Python imports this module in every process at
its start. It wraps the functions below as their modules are imported; each call appends one line ``label pid start
end`` (nanoseconds of the monotonic clock, which all processes share) to the file. ``end`` is 0 for functions that may
never return. A stamp costs a few microseconds, and the product knows nothing of it.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

#: module -> the functions in it, and the label of their stamps.
POINTS: dict[str, dict[str, str]] = {
    "windlass.store.doorbell": {"DatagramBell.ring": "ring", "DatagramBell.wait": "bell"},
    "windlass.scheduler.scheduler": {
        "Scheduler._step": "step",
        "Scheduler._read": "read",
        "Scheduler._commit": "write",
    },
    "windlass.executors.local": {"LocalExecutor.submit": "submit"},
    "windlass.supervisor.loop": {"Supervisor._submit": "order", "Supervisor.on_ending": "ending"},
    "windlass.supervisor.zygotes": {"Zygote.fork": "ask_fork"},
    "windlass.store.gateway": {"SqlGateway.claim": "claim", "SqlGateway.report": "report"},
    "windlass.runtime.zygote": {"Zygote._fork_all": "fork", "Zygote._reap": "reap"},
    "windlass.runtime.child": {"PipeSession.hello": "hello", "PipeSession.end": "last_words", "become": "born"},
    "windlass.authoring.operators.python": {"PythonOperator.execute": "user"},
}
#: These end with the process.
NO_RETURN = {"born"}

_file = os.open(os.environ["BENCHMARK_TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _stamp(label: str, start: int, end: int) -> None:
    os.write(_file, f"{label} {os.getpid()} {start} {end}\n".encode())


def _wrap(function: Callable[..., Any], label: str) -> Callable[..., Any]:
    clock = time.monotonic_ns

    @functools.wraps(function)
    def wrapped(*args: object, **kwargs: object) -> object:
        start = clock()
        if label in NO_RETURN:
            _stamp(label, start, 0)
            return function(*args, **kwargs)
        try:
            return function(*args, **kwargs)
        finally:
            _stamp(label, start, clock())

    return wrapped


def _instrument(module: ModuleType) -> None:
    for path, label in POINTS[module.__name__].items():
        owner: Any = module
        *outer, name = path.split(".")
        for part in outer:
            owner = getattr(owner, part, None)
        if owner is not None and name in vars(owner):
            setattr(owner, name, _wrap(vars(owner)[name], label))


class _Loader(importlib.abc.Loader):
    """The module's own loader, with the wrapping after it."""

    def __init__(self, loader: Any) -> None:  # noqa: ANN401 - whatever the finder gave
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave it to the module's own loader."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute, then wrap."""
        self._loader.exec_module(module)
        _instrument(module)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - resources and sources are read through the loader
        return getattr(self._loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules with seams, by the ordinary finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the ordinary spec with our loader around its own."""
        if fullname not in POINTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
