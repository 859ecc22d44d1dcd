"""Rendering the templated fields of an operator before it runs.

Jinja is imported only when some text of a field is a template or names a template file; most tasks have none. The
environment is sandboxed (templates come from DAG authors, the values in them from anybody), undefined names are errors
that name the field, the task and the name. What a reference resolves to is data and is never rendered itself.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from windlass.authoring.dag import DAG
from windlass.authoring.operator import BaseOperator
from windlass.authoring.param import DagParam
from windlass.authoring.xcom_arg import XComArg
from windlass.errors import AuthoringError
from windlass.runtime.resolve import resolve
from windlass.runtime.xcom import LazyXComs

if TYPE_CHECKING:
    from windlass.runtime.task_instance import TaskInstance

_MARKS = ("{{", "{%", "{#")
#: Characters of a rendered field that are sent to be shown; more is described, not cut (a cut could halve a secret).
SHOWN = 32_000
_DEEPEST = 20


def is_template(value: Any, extensions: Iterable[str] = ()) -> bool:
    """Return whether ``value`` holds a template, at any depth, or names a template file."""
    if isinstance(value, str):
        return any(mark in value for mark in _MARKS) or (bool(extensions) and value.endswith(tuple(extensions)))
    if isinstance(value, Mapping):
        return any(is_template(item, extensions) for item in value.values())  # keys are left as they are
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(is_template(item, extensions) for item in value)
    return not isinstance(value, type) and hasattr(value, "template_fields")


class Renderer:
    """Renders the fields of one operator for one attempt."""

    def __init__(self, ti: TaskInstance) -> None:
        self._ti = ti
        self._task = ti.task
        self._extensions = tuple(ti.task.template_ext or ())

    def render_fields(self, operator: BaseOperator) -> dict[str, Any]:
        """Render the fields of ``operator`` in place and return what people may see of them."""
        shown: dict[str, Any] = {}
        for name in operator.filled_fields():
            value = getattr(operator, name)
            rendered = self.render(value, name)
            if rendered is not value:
                setattr(operator, name, rendered)
            if name in operator.template_fields:
                shown[name] = showable(rendered)
        return shown

    def render(self, value: Any, field: str, depth: int = 0) -> Any:
        """Return ``value`` rendered; itself when there is nothing in it to render.

        :raises AuthoringError: naming the field, the task and the cause.
        """
        if isinstance(value, str):
            if is_template(value, self._extensions):
                return self._render_text(value, field)
            return value
        if isinstance(value, (XComArg, DagParam)):
            return resolve(value, self._ti)
        if depth > _DEEPEST:
            raise AuthoringError(
                f"task {self._task.task_id!r}: field {field!r} is nested deeper than {_DEEPEST} levels"
            )
        again = partial(self.render, field=field, depth=depth + 1)
        kind = type(value)
        if kind in (list, tuple, set, frozenset):
            return kind(again(item) for item in value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return kind(*(again(item) for item in value))
        if isinstance(value, dict):
            return {key: again(item) for key, item in value.items()}
        if not isinstance(value, (type, BaseOperator)) and hasattr(value, "template_fields"):
            value = copy(value)
            for name in value.template_fields:
                setattr(value, name, self.render(getattr(value, name), f"{field}.{name}", depth + 1))
        return value

    def _render_text(self, text: str, field: str) -> Any:
        from jinja2 import TemplateError, TemplateNotFound, UndefinedError

        from windlass.runtime import jinja

        where = f"task {self._task.task_id!r}, template field {field!r}"
        dag = self._ti.dag
        try:
            environment = jinja.environment(dag)
            if text.endswith(self._extensions) and self._extensions:
                template = environment.get_template(text)
            else:
                template = environment.from_string(text)
            return jinja.render(template, self._ti.context)
        except UndefinedError as error:
            raise AuthoringError(f"{where}: {error.message}; see the names that a template may use") from error
        except TemplateNotFound as error:
            folders = ", ".join(jinja.search_path(dag)) or "none"
            raise AuthoringError(f"{where}: file {error.name!r} was not found; looked in {folders}") from error
        except TemplateError as error:
            raise AuthoringError(f"{where}: {type(error).__name__}: {error.message}") from error


def needs_jinja(dag: DAG) -> bool:
    """Return whether any task of ``dag`` has a template, so that a zygote can import Jinja before it forks."""
    for task in dag.tasks:
        values: list[Any] = [getattr(task, name, None) for name in task.template_fields]
        values.append(getattr(task, "partial_kwargs", None))
        values.append(getattr(getattr(task, "expand_input", None), "values", None))
        if task.map_index_template or is_template(values, task.template_ext or ()):
            return True
    return False


def showable(value: Any, depth: int = 0) -> Any:
    """Return ``value`` as JSON data for people to see."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else str(value)
    if isinstance(value, str):
        text = value.encode("utf-8", "backslashreplace").decode()
        return text if len(text) <= SHOWN else f"<text of {len(text)} characters, too long to show>"
    if isinstance(value, LazyXComs):
        return repr(value)
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        shown = {str(key): showable(item, depth + 1) for key, item in list(value.items())[:200]}
        return shown if len(value) <= 200 else {**shown, "…": f"<{len(value) - 200} more>"}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [showable(item, depth + 1) for item in list(value)[:200]]
        return items if len(value) <= 200 else [*items, f"<{len(value) - 200} more>"]
    if callable(value) and hasattr(value, "__qualname__"):
        return f"<{value.__qualname__}>"
    try:
        return showable(str(value))
    except Exception:  # noqa: BLE001 - an object of the author's that cannot even be shown
        return f"<{type(value).__qualname__}>"
