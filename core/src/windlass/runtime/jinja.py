"""The Jinja environments of DAGs. The only module that imports Jinja; :mod:`.templates` loads it on demand."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import weakref
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jinja2
from jinja2.nativetypes import NativeEnvironment, native_concat
from jinja2.runtime import Context as JinjaContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import concat, missing

from windlass.authoring.dag import DAG

_HIDDEN = "__windlass_context__"
_environments: weakref.WeakKeyDictionary[DAG, jinja2.Environment] = weakref.WeakKeyDictionary()


class LazyContext(JinjaContext):
    """Looks names up in the task's context when a template uses them, instead of copying them all first."""

    def resolve_or_missing(self, key: str) -> Any:
        """Return a name of the template, of the environment, or of the task's context."""
        value = super().resolve_or_missing(key)
        if value is missing:
            values = self.parent.get(_HIDDEN)
            if values is not None and key in values:
                return values[key]
        return value


class Sandbox(SandboxedEnvironment):
    """Text templates."""

    context_class = LazyContext

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow names with one leading underscore, which are only private; refuse Python's internals."""
        return not jinja2.sandbox.is_internal_attribute(obj, attr)


class NativeSandbox(Sandbox, NativeEnvironment):
    """Templates that give Python values."""


def _filters() -> dict[str, Any]:
    def formatted(pattern: str) -> Any:
        return lambda value: value.strftime(pattern) if isinstance(value, datetime) else value

    return {
        "ds": formatted("%Y-%m-%d"),
        "ds_nodash": formatted("%Y%m%d"),
        "ts": lambda value: value.isoformat() if isinstance(value, datetime) else value,
        "ts_nodash": formatted("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": formatted("%Y%m%dT%H%M%S%z"),
    }


def search_path(dag: DAG) -> list[str]:
    """Return the folders in which template files are looked for."""
    return [*dag.template_searchpath, dag.folder]


def environment(dag: DAG) -> jinja2.Environment:
    """Return the environment of ``dag``, made once per process."""
    found = _environments.get(dag)
    if found is None:
        found = _environments[dag] = _make(dag)
    return found


def _make(dag: DAG) -> jinja2.Environment:
    options: dict[str, Any] = {
        "loader": jinja2.FileSystemLoader(search_path(dag)),
        "undefined": dag.template_undefined or jinja2.StrictUndefined,
        "extensions": ["jinja2.ext.do"],
        "cache_size": 0,
        **dag.jinja_environment_kwargs,
    }
    made = (NativeSandbox if dag.render_template_as_native_obj else Sandbox)(**options)
    made.filters.update(_filters())
    made.globals.update(dag.user_defined_macros)
    made.filters.update(dag.user_defined_filters)
    return made


def render(template: jinja2.Template, values: Mapping[str, Any]) -> Any:
    """Return the rendered text (or value, natively); names are looked up in ``values``."""
    context = template.new_context({_HIDDEN: values})
    native = isinstance(template.environment, NativeEnvironment)
    pieces = template.root_render_func(context)
    try:
        return native_concat(pieces) if native else concat(pieces)
    except Exception:
        template.environment.handle_exception()
        raise
