"""Params: the values that a run of a DAG takes, checked where they enter.

A run's ``conf`` overrides the defaults of the DAG's params by name; what it holds besides is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.errors import ParamInvalid
from windlass.spec.model import DagSpec, ParamSpec


def check_conf(spec: DagSpec, conf: Mapping[str, Any]) -> None:
    """Check what ``conf`` makes of the DAG's params.

    :raises ParamInvalid: if a value does not fit its schema, or a param without a default is not given.
    """
    for name, param in spec.params.items():
        _check_param(spec.dag_id, name, param, conf)


def _check_param(dag_id: str, name: str, param: ParamSpec, conf: Mapping[str, Any]) -> None:
    if name not in conf and not param.has_value:
        example = f"--conf '{{\"{name}\": …}}'"
        raise ParamInvalid(f"param {name!r} of DAG {dag_id!r} has no default; give a value with {example}")
    if not param.schema:
        return
    from windlass.spec.schemas import schema_problem  # most DAGs have no schema, and triggering must start fast

    problem = schema_problem(param.schema, f"param {name!r} of DAG {dag_id!r}", [conf.get(name, param.value)])
    if problem is not None:
        origin = "conf" if name in conf else "its default"
        raise ParamInvalid(f"param {name!r} of DAG {dag_id!r} does not fit its schema: {problem} (value from {origin})")
