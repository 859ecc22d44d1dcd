"""The length of what is mapped, and whether a result may be expanded over."""

from __future__ import annotations

import pytest

from windlass.planning.mapping import Length, Unknown, check_map_length, map_length
from windlass.spec import (
    ConcatLength,
    DagSpec,
    GroupSpec,
    LengthSpec,
    LiteralLength,
    MapSpec,
    TaskSpec,
    XComLength,
    ZipLength,
)

LENGTHS: dict[str, Length] = {
    "two": 2,
    "three": 3,
    "later": Unknown.PENDING,
    "skipped": Unknown.NO_RESULT,
    "text": Unknown.NO_LIST,
}


def of(name: str) -> XComLength:
    return XComLength(task_id=name)


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ((of("two"),), 2),
        ((of("two"), of("three"), LiteralLength(4)), 24),
        ((LiteralLength(0), of("three")), 0),
        ((ZipLength(parts=(of("two"), of("three"))),), 2),
        ((ZipLength(parts=(of("two"), of("three")), longest=True),), 3),
        ((ConcatLength(parts=(of("two"), of("three"), LiteralLength(1))),), 6),
        ((ConcatLength(parts=(of("two"), ZipLength(parts=(of("three"), LiteralLength(9))))),), 5),
        ((of("two"), of("later")), Unknown.PENDING),
        ((of("skipped"), of("later")), Unknown.PENDING),
        ((ZipLength(parts=(of("two"), of("skipped"))),), Unknown.NO_RESULT),
        ((of("text"), of("two")), Unknown.NO_LIST),
    ],
)
def test_a_length_is_the_product_of_its_factors_or_the_reason_why_not(
    factors: tuple[LengthSpec, ...], expected: Length
) -> None:
    spec = MapSpec(factors=tuple((f"x{number}", factor) for number, factor in enumerate(factors)))
    assert map_length(spec, LENGTHS.__getitem__) == expected


SPEC = DagSpec(
    dag_id="d",
    max_map_length=3,
    tasks=(
        TaskSpec(task_id="a"),
        TaskSpec(task_id="plain"),
        TaskSpec(task_id="m", upstream=("a",), map=MapSpec(factors=(("x", of("a")),))),
        TaskSpec(task_id="g.x", group="g", upstream=("m",)),
    ),
    groups=(GroupSpec(group_id="g", map=MapSpec(factors=(("x", ConcatLength(parts=(of("m"), of("a")))),))),),
)


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_result_up_to_the_limit_may_be_expanded_over(length: int) -> None:
    assert check_map_length(SPEC, "a", length) is None


def test_a_result_over_the_limit_fails_the_upstream_naming_both_numbers() -> None:
    assert check_map_length(SPEC, "a", 4) == (
        "`a` returned 4 items to expand `m`, `g` over, but max_map_length of DAG `d` is 3; "
        "return fewer items or raise max_map_length"
    )


def test_a_result_that_is_no_list_fails_the_upstream() -> None:
    assert check_map_length(SPEC, "a", None) == (
        "`a` returned neither a list nor a dict, so `m`, `g` cannot be expanded over it; return one of them"
    )


@pytest.mark.parametrize("task_id", ["plain", "m", "g.x", "unknown"])
@pytest.mark.parametrize("length", [None, 5000])
def test_other_results_are_nobodys_business(task_id: str, length: int | None) -> None:
    """Nothing expands over it; or it is mapped itself, and what counts is how many instances it has."""
    assert check_map_length(SPEC, task_id, length) is None
