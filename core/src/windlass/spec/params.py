"""Params: the values that a run of a DAG takes, checked where they enter.

A run's ``conf`` overrides the defaults of the DAG's params by name; what it holds besides is kept as it is. The JSON
schema library is imported only when a param has a schema, because ``windlass dags trigger`` counts its milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from windlass.errors import ExtraMissing, ParamInvalid
from windlass.spec.model import DagSpec, ParamSpec


def check_conf(spec: DagSpec, conf: Mapping[str, Any]) -> None:
    """Check what ``conf`` makes of the DAG's params.

    :raises ParamInvalid: if a value does not fit its schema, or a param without a default is not given.
    """
    for name, param in spec.params.items():
        _check_param(spec.dag_id, name, param, conf)


def schema_problem(schema: dict[str, Any], name: str, values: Iterable[object]) -> str | None:
    """Return how the first of ``values`` that does not fit ``schema`` fails to, None if all fit.

    ``name`` is what errors call the param. A ``$ref`` to an address is an error, not a request to it. The library is
    imported only here, because ``windlass dags trigger`` counts its milliseconds.

    :raises ParamInvalid: if ``schema`` is no JSON schema.
    :raises ExtraMissing: if the library is not installed.
    """
    try:
        import jsonschema
        from referencing import Registry
    except ImportError:
        raise ExtraMissing(f"{name} has a schema, which needs jsonschema") from None
    kind = jsonschema.Draft202012Validator
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ParamInvalid(f"the schema of {name} is no JSON schema: {error.message}") from None
    checker = kind(schema, format_checker=jsonschema.FormatChecker(), registry=Registry())
    for value in values:
        problem = jsonschema.exceptions.best_match(checker.iter_errors(value))
        if problem is not None:
            return str(problem.message)
    return None


def _check_param(dag_id: str, name: str, param: ParamSpec, conf: Mapping[str, Any]) -> None:
    if name not in conf and not param.has_value:
        example = f"--conf '{{\"{name}\": …}}'"
        raise ParamInvalid(f"param {name!r} of DAG {dag_id!r} has no default; give a value with {example}")
    if not param.schema:
        return
    problem = schema_problem(param.schema, f"param {name!r} of DAG {dag_id!r}", [conf.get(name, param.value)])
    if problem is not None:
        origin = "conf" if name in conf else "its default"
        raise ParamInvalid(f"param {name!r} of DAG {dag_id!r} does not fit its schema: {problem} (value from {origin})")
