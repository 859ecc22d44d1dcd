"""What running code asks for: variables, connections and the context of the task around it.

All of it goes through the session that ``runtime`` (or ``dag.test()``) has set; elsewhere it is an error that says so.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.errors import ContextUnavailable, UsageError, VariableNotDefined

_NO_DEFAULT: Any = object()


def get_current_context() -> Mapping[str, Any]:
    """Return the context of the running task.

    :raises ContextUnavailable: outside a running task.
    """
    from windlass.ports import current_session

    context = current_session().context
    if context is None:
        raise ContextUnavailable(
            "get_current_context() was called while a DAG file is parsed, where no task runs; call it inside a task"
        )
    return context


class Variable:
    """The variables: text, or JSON on request, kept outside the DAG files."""

    @staticmethod
    def get(key: str, default: Any = _NO_DEFAULT, *, deserialize_json: bool = False, **legacy: Any) -> Any:
        """Return a variable, decoded from JSON with ``deserialize_json``; ``default`` if there is none.

        :raises VariableNotDefined: if there is none and no default was given.
        """
        default = legacy.pop("default_var", default)
        if legacy:
            raise UsageError(f"Variable.get() has no argument {min(legacy)!r}; it takes default and deserialize_json")
        from windlass.ports import current_session
        from windlass.protocol import Variable as VariableVerb

        try:
            text = current_session().ask(VariableVerb(op="get", key=key))
        except VariableNotDefined:
            if default is _NO_DEFAULT:
                raise
            return default
        return _from_json(key, text) if deserialize_json else text

    @staticmethod
    def set(key: str, value: Any, description: str | None = None, *, serialize_json: bool = False) -> None:
        """Store a variable; with ``serialize_json`` as JSON, else as text."""
        import json

        from windlass.ports import current_session
        from windlass.protocol import Variable as VariableVerb

        text = json.dumps(value) if serialize_json else str(value)
        current_session().ask(VariableVerb(op="set", key=key, value=text, description=description))

    @staticmethod
    def delete(key: str) -> None:
        """Delete a variable; one that is not there is fine."""
        from windlass.ports import current_session
        from windlass.protocol import Variable as VariableVerb

        try:
            current_session().ask(VariableVerb(op="delete", key=key))
        except VariableNotDefined:
            return


def _from_json(key: str, text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError:
        # never show the text: it may be a secret
        raise UsageError(f"variable {key!r} is not JSON; correct it, or read it without deserialize_json") from None
