"""A JSON schema says what it says everywhere else, and cannot keep a server busy."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from windlass.errors import ParamInvalid
from windlass.spec.schemas import schema_problem

TREE: dict[str, Any] = {
    f"d{depth}": {"allOf": [{"$ref": f"#/$defs/d{depth + 1}"}, {"$ref": f"#/$defs/d{depth + 1}"}]}
    for depth in range(40)
} | {"d40": {"type": "integer"}}


@pytest.mark.parametrize(
    ("schema", "value", "reason"),
    [
        ({"$ref": "#/$defs/d0", "$defs": TREE}, 1, "takes more than 200,000 steps"),
        ({"$ref": "#"}, 1, "takes more than 200,000 steps"),
        ({"items": {"enum": list(range(5000))}}, [-1] * 5000, "takes more than 200,000 steps"),
        ({"pattern": "(a|b)*a(a|b){300}c"}, "ab" * 200_000, "takes more than 200,000 steps"),
        ({"pattern": "(?=a)b"}, "b", "has a pattern that cannot be used"),
        ({"properties": {"x": {"pattern": "("}}}, {}, "has a pattern that cannot be used"),
        ({"patternProperties": {"(?=a)": {}}}, {}, "has a pattern that cannot be used"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, {}, "use additionalProperties"),
        ({"$ref": "#/$defs/none"}, 1, "which it does not contain"),
        ({"$ref": "http://127.0.0.1:1/x.json"}, 1, "refers to 'http://127.0.0.1:1/x.json'"),
        ({"type": "number of things"}, 1, "is no JSON schema"),
        ({"pattern": 7}, 1, "is no JSON schema"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_an_error_that_names_it(
    schema: dict[str, Any], value: object, reason: str
) -> None:
    with pytest.raises(ParamInvalid, match=reason) as refusal:
        schema_problem(schema, "param 'n' of DAG 'etl'", [value])
    assert "param 'n' of DAG 'etl'" in str(refusal.value)


SCHEMAS: list[dict[str, Any]] = [
    {"pattern": "^a+$"},
    {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
    {"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
    {"properties": {"y": {}}, "patternProperties": {"^x": {}, "z$": {"minimum": 2}}, "additionalProperties": False},
    {"uniqueItems": True},
    {"items": {"type": "integer"}, "uniqueItems": True},
]
VALUES: list[Any] = [
    "aa", "ab", "", 1, None, {}, {"x": 1}, {"x": "a"}, {"y": 1}, {"y": "s"}, {"z": 1}, {"z": 3, "xz": 2}, [1, 1.0],
    [1, True], [0, False], [[1], [1]], [{"a": 1}, {"a": 1.0}], [{"a": 1}, {"a": True}], [1, 2], ["a", "a"], [None, 0],
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_our_keywords_agree_with_the_librarys(schema: dict[str, Any], value: object) -> None:
    theirs = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (schema_problem(schema, "n", [value]) is None) is theirs


def test_a_long_value_is_not_quoted_in_full() -> None:
    problem = schema_problem({"type": "integer"}, "n", ["x" * 100_000])
    assert problem is not None
    assert len(problem) < 600
