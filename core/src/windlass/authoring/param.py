"""Params: values that a run may override, each with the JSON schema that its value must meet.

The schema is checked where values enter (``dagfiles``, ``control``), not here: authoring stays free of jsonschema.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from windlass.errors import AuthoringError

_NO_VALUE = object()


class Param:
    """A param with a default, a description and the keywords of its JSON schema: ``Param(3, type="integer")``."""

    def __init__(self, default: Any = _NO_VALUE, description: str | None = None, **schema: Any) -> None:
        self.has_value = default is not _NO_VALUE
        self.value = default if self.has_value else None
        self.description = description
        self.schema: dict[str, Any] = schema.pop("schema", None) or schema

    def __repr__(self) -> str:
        default = repr(self.value) if self.has_value else "no default"
        return f"Param({default}, {', '.join(f'{key}={value!r}' for key, value in self.schema.items())})"

    def resolve(self) -> Any:
        """Return the default.

        :raises AuthoringError: if there is none.
        """
        if not self.has_value:
            raise AuthoringError("the param has no default; give the run a value for it")
        return self.value


class ParamsDict(Mapping[str, Any]):
    """The params of a DAG or an operator by name. Reading one gives its value; :meth:`get_param` gives the Param."""

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        items = params.param_items() if isinstance(params, ParamsDict) else (params or {}).items()
        self._params = {name: value if isinstance(value, Param) else Param(value) for name, value in items}
        #: The values alone: merging plain dicts costs a child no line of Python.
        self.values_by_name: dict[str, Any] = {name: param.value for name, param in self._params.items()}

    def __getitem__(self, name: str) -> Any:
        return self._params[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __repr__(self) -> str:
        return f"ParamsDict({self._params!r})"

    def get_param(self, name: str) -> Param:
        """Return the Param itself."""
        return self._params[name]

    def param_items(self) -> Iterator[tuple[str, Param]]:
        """Yield names and Params."""
        return iter(self._params.items())


class DagParam:
    """``dag.param("name")``: the value of a param in the run, usable as an argument of any task."""

    def __init__(self, name: str, default: Any = _NO_VALUE) -> None:
        self.name = name
        self.default = default

    def __str__(self) -> str:
        return f"{{{{ params[{self.name!r}] }}}}"

    def resolve(self, params: Mapping[str, Any]) -> Any:
        """Return the value in ``params``, else the default.

        :raises AuthoringError: if there is neither.
        """
        if self.name in params:
            return params[self.name]
        if self.default is _NO_VALUE:
            raise AuthoringError(f"the DAG has no param {self.name!r}; declare it in params={{…}}")
        return self.default
