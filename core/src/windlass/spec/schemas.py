"""JSON schemas, checked in a bounded number of steps: the schema is an author's, the value anybody's, the process ours.

A schema can ask for more than any machine can do: a pattern that Python's matcher tries in exponentially many ways,
references that branch, ``uniqueItems`` over mixed items, an ``enum`` for every item of a long list. So every keyword
that is applied is counted by the work it may make, patterns are matched in linear time (:mod:`windlass.spec.patterns`),
and whoever exceeds the budget, which is a second or two, gets an error.

The JSON schema library is imported only when a schema is checked, since ``windlass dags trigger`` counts milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

from windlass.errors import ExtraMissing, ParamInvalid
from windlass.spec.patterns import Pattern, PatternRefused, pattern

#: Steps that one check may take; a step takes some microseconds.
BUDGET: Final = 200_000
#: States that a pattern moves in one step.
_MOVES: Final = 20
#: Items of a value that a keyword looks at in one step.
_ITEMS: Final = 16
#: What holds values, not schemas.
_VALUES: Final = frozenset({"const", "default", "enum", "examples"})

Keyword = Callable[..., Iterator[Any] | None]
_left: ContextVar[list[int]] = ContextVar("_left")


class _OutOfBudget(Exception):
    """The check takes too long."""


def schema_problem(schema: dict[str, Any], name: str, values: Iterable[object]) -> str | None:
    """Return how the first of ``values`` that does not fit ``schema`` fails to, None if all fit.

    ``name`` is what errors call the param. A ``$ref`` to an address is an error, not a request to it.

    :raises ParamInvalid: if ``schema`` is no JSON schema, or checking takes more than :data:`BUDGET` steps.
    :raises ExtraMissing: if the library is not installed.
    """
    try:
        import jsonschema
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ImportError:
        raise ExtraMissing(f"{name} has a schema, which needs jsonschema") from None
    kind = _validator()
    token = _left.set([BUDGET])
    try:
        wrong = jsonschema.exceptions.best_match(kind(kind.META_SCHEMA).iter_errors(schema))
        if wrong is not None:
            raise ParamInvalid(f"the schema of {name} is no JSON schema: {_short(wrong.message)}")
        _check_patterns(schema, name)
        checker = kind(schema, format_checker=jsonschema.FormatChecker(), registry=Registry())
        for value in values:
            problem = jsonschema.exceptions.best_match(checker.iter_errors(value))
            if problem is not None:
                return _short(str(problem.message))
    except PatternRefused as error:
        raise ParamInvalid(f"the schema of {name} has a pattern that cannot be used: {error}") from None
    except Unresolvable as error:
        raise ParamInvalid(f"the schema of {name} refers to {error.ref!r}, which it does not contain") from None
    except (_OutOfBudget, RecursionError):
        text = f"checking a value against the schema of {name} takes more than {BUDGET:,} steps"
        raise ParamInvalid(f"{text}; make the schema simpler, or the value smaller") from None
    finally:
        _left.reset(token)
    return None


def _short(message: str, most: int = 500) -> str:
    """Return a message that may quote a whole value, cut to a length that people read."""
    return message if len(message) <= most else f"{message[: most // 2]} … {message[-most // 2 :]}"


def _check_patterns(schema: object, name: str) -> None:
    """Compile every pattern of a schema, also those of parts that nothing refers to.

    :raises PatternRefused: if one cannot be matched in linear time.
    """
    waiting, keywords = [schema], set[str]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        if not isinstance(part, dict):
            continue
        keywords |= part.keys()
        patterns = part.get("patternProperties")
        for text in [part.get("pattern"), *(patterns if isinstance(patterns, dict) else ())]:
            if isinstance(text, str):
                pattern(text)
        waiting += [inner for key, inner in part.items() if key not in _VALUES]
    if {"patternProperties", "unevaluatedProperties"} <= keywords:  # the library matches these by itself
        raise ParamInvalid(
            f"the schema of {name} uses unevaluatedProperties with patternProperties; use additionalProperties"
        )


@cache
def _validator() -> Any:  # noqa: ANN401 - the library makes the class at run time
    """Return the library's newest kind of validator with every keyword counted, and ours in place of the slow ones."""
    import jsonschema

    base = jsonschema.Draft202012Validator
    ours: Mapping[str, Keyword] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties(base.VALIDATORS["additionalProperties"]),
        "uniqueItems": _unique_items,
    }
    extend: Any = jsonschema.validators.extend
    return extend(base, {name: _counted(ours.get(name, keyword)) for name, keyword in base.VALIDATORS.items()})


def _counted(keyword: Keyword) -> Keyword:
    def counted(validator: object, value: object, instance: object, schema: object) -> Iterator[Any] | None:
        _spend((1 + _size(value)) * (1 + _size(instance) // _ITEMS))
        return keyword(validator, value, instance, schema)

    return counted


def _spend(steps: int) -> None:
    left = _left.get()
    left[0] -= steps
    if left[0] < 0:
        raise _OutOfBudget


def _size(value: object) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _matches(matcher: Pattern, text: str) -> bool:
    _spend(len(text) * matcher.states // _MOVES)
    return matcher.search(text)


def _error(message: str) -> Exception:
    from jsonschema.exceptions import ValidationError

    return ValidationError(message)


def _pattern(_validator: object, value: str, instance: object, _schema: object) -> Iterator[Any]:
    if isinstance(instance, str) and not _matches(pattern(value), instance):
        yield _error(f"{instance!r} does not match {value!r}")


def _pattern_properties(
    validator: Any,  # noqa: ANN401 - as the library has it
    value: dict[str, Any],
    instance: object,
    _schema: object,
) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for text, inner in value.items():
        matcher = pattern(text)
        for key, item in instance.items():
            if _matches(matcher, key):
                yield from validator.descend(item, inner, path=key, schema_path=text)


def _additional_properties(theirs: Keyword) -> Keyword:
    """Return the keyword, asked only about the properties that no pattern matches."""

    def keyword(validator: object, value: object, instance: object, schema: dict[str, Any]) -> Iterator[Any] | None:
        matchers = [pattern(text) for text in schema.get("patternProperties", ())]
        if not matchers or not isinstance(instance, dict):
            return theirs(validator, value, instance, schema)
        rest = {key: item for key, item in instance.items() if not any(_matches(matcher, key) for matcher in matchers)}
        plain = {key: inner for key, inner in schema.items() if key != "patternProperties"}
        return theirs(validator, value, rest, plain)

    return keyword


def _unique_items(_validator: object, value: object, instance: object, _schema: object) -> Iterator[Any]:
    if value and isinstance(instance, list):
        _spend(len(instance))
        if len({_key(item) for item in instance}) < len(instance):
            yield _error(f"{instance!r} has non-unique elements")


def _key(item: object) -> str:
    """Return a text that is equal for items that JSON schema calls equal: 1 is 1.0, and neither is true."""
    return json.dumps(_plain(item), sort_keys=True, default=repr)


def _plain(item: object) -> object:
    match item:
        case bool():
            return item
        case float() if item.is_integer():
            return int(item)
        case list():
            return [_plain(inner) for inner in item]
        case dict():
            return {key: _plain(inner) for key, inner in item.items()}
    return item
