"""The hooks: each says which process calls it and what an exception does, and pluggy takes them as they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType

import pluggy
import pytest

from windlass import hookspecs

HOOKS: list[Callable[..., object]] = [
    value
    for value in vars(hookspecs).values()
    if isinstance(value, FunctionType) and value.__module__ == hookspecs.__name__
]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_every_hook_says_where_it_is_called_and_what_an_exception_does(hook: Callable[..., object]) -> None:
    text = inspect.getdoc(hook) or ""
    assert "Process: " in text
    assert "Exception: " in text
    assert hook.__annotations__.keys() == {*inspect.signature(hook).parameters, "return"}


def test_every_function_of_the_file_is_a_hook() -> None:
    manager = pluggy.PluginManager("windlass")
    manager.add_hookspecs(hookspecs)
    known = {name for name in vars(manager.hook) if not name.startswith("_")}
    assert known == {hook.__name__ for hook in HOOKS}
