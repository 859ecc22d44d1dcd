"""What a provider's hooks are called with and what they answer, for their author: ``WINDLASS_TRACE_HOOKS=1``.

One line on stderr for each call, which in a child of the engine goes where that child's stderr goes: a parse child's to
the output of its file, a supervisor's to its log. Values are cut short, and a connection's ``repr`` hides its secrets.
"""

from __future__ import annotations

import os
import reprlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pluggy

VARIABLE: Final = "WINDLASS_TRACE_HOOKS"

_short = reprlib.Repr()
_short.maxstring = 80
_short.maxother = 200


def trace(manager: pluggy.PluginManager) -> None:
    """Have every call of the manager's hooks printed, if the environment asks for it."""
    if os.environ.get(VARIABLE, "") in {"", "0"}:
        return

    def before(name: str, methods: object, arguments: Mapping[str, Any]) -> None:
        pass

    def after(
        outcome: pluggy.Result[Any], name: str, methods: Sequence[pluggy.HookImpl], arguments: Mapping[str, Any]
    ) -> None:
        module = ", ".join(method.plugin_name for method in methods) or "nobody"
        given = ", ".join(f"{key}={_short.repr(value)}" for key, value in arguments.items())
        answer = f"raised {outcome.exception!r}" if outcome.exception else _short.repr(outcome.get_result())
        sys.stderr.write(f"hook of {module}: {name}({given}) -> {answer}\n")

    manager.add_hookcall_monitoring(before, after)
