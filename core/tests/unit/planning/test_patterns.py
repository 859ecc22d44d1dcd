"""Regular expressions over names: the same answers as the usual engine gives, in time linear in the name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.errors import UsageError
from windlass.planning.patterns import Pattern

_ATOMS = st.sampled_from(
    ["a", "b", "_", ".", r"\.", "[ab]", "[^a]", "[a-c_]", r"\d", r"\w", r"\W", r"[\d.]", "0", "^", "$"]
)
_SIGNS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?"])
EXPRESSIONS = st.recursive(
    st.builds(lambda atom, sign: atom if atom in "^$" else atom + sign, _ATOMS, _SIGNS),
    lambda inner: st.one_of(
        st.builds("".join, st.lists(inner, max_size=3)),
        st.builds("({}){}".format, inner, _SIGNS),
        st.builds("(?:{}|{})".format, inner, inner),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(expression=EXPRESSIONS, name=st.text(alphabet="abc_.01", max_size=12))
def test_it_finds_what_the_usual_engine_finds(expression: str, name: str) -> None:
    assert Pattern(expression).search(name) is (re.search(expression, name) is not None)


def test_what_keeps_the_usual_engine_busy_for_years_takes_one_walk() -> None:
    assert not Pattern(r"^(a+)+$").search("a" * 250 + "!")
    assert not Pattern(r"^(a|a)*$").search("a" * 250 + "!")
    assert Pattern(r"(x*x*)*y").search("x" * 249 + "y")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(", "a ( is not closed"),
        ("a)", "a ) closes nothing"),
        ("[a", "something is missing after ["),
        ("*a", "nothing that * could repeat"),
        ("a**", "one repetition follows another"),
        ("a{,2}", "after { comes {m}, {m,} or {m,n}"),
        ("a{3,2}", "upper bound is below its lower one"),
        ("[z-a]", "z-a is no range"),
        (r"(a)\1", "back references cannot be matched in linear time"),
        ("(?=a)", "only (?:…) is known"),
        ("(?i)a", "only (?:…) is known"),
        ("((a{100}){100}){100}", "its repetitions are too many"),
        ("a\\", "something is missing after \\"),
    ],
)
def test_what_is_not_of_the_language_is_refused_with_the_reason(expression: str, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        Pattern(expression)
