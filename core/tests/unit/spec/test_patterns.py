"""Patterns find what Python's matcher finds, and the work they make grows with the text and no faster."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.spec.patterns import MAX_STATES, Pattern, PatternRefused

ATOMS = st.sampled_from(
    ["a", "b", "A", ".", r"\d", r"\w", r"\s", r"\D", "[ab]", "[^a]", "[a-c1]", "\n", "^", "$", r"\b", r"\A", r"\Z"]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{1,3}", "{2}", "{0,2}?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.tuples(st.sampled_from(["i", "m", "s"]), inner).map(lambda pair: f"(?{pair[0]}:{pair[1]})"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=8,
)


@settings(max_examples=1500, deadline=None)
@given(EXPRESSIONS, st.lists(st.text(alphabet="abA1 \n_é٣", max_size=7), min_size=1, max_size=5))
def test_it_finds_what_python_finds(expression: str, texts: list[str]) -> None:
    theirs, ours = re.compile(expression), Pattern(expression)
    for text in texts:
        assert ours.search(text) == bool(theirs.search(text)), (expression, text)


@pytest.mark.parametrize(
    "expression", ["^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "(.*a){12}$", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_work_grows_with_the_text_and_no_faster(expression: str) -> None:
    def work(length: int) -> int:
        """Return how many moves of single states a search takes that remembers nothing."""
        machine = Pattern(expression)
        steps = 0
        move = machine._move

        def counting(states: frozenset[int], character: str) -> frozenset[int]:
            nonlocal steps
            steps += len(states)
            return move(states, character)

        machine._move = counting  # type: ignore[method-assign]
        assert not machine.search("a" * length + "!")
        return steps

    assert work(400) <= 4.5 * work(100)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("(?=a)b", "look-ahead"),
        ("(?<!a)b", "look-ahead or look-behind"),
        (r"(a)\1", "a reference to a group"),
        ("(?(1)a|b)", "not a regular expression"),
        ("(", "not a regular expression"),
        (r"\p{L}", "not a regular expression: bad escape"),
        ("(a{100}){100}", f"more than {MAX_STATES} states"),
        ("(" * 5000 + ")" * 5000, "not a regular expression"),
    ],
)
def test_what_is_not_linear_is_refused_by_name(expression: str, problem: str) -> None:
    with pytest.raises(PatternRefused, match=re.escape(problem)):
        Pattern(expression)
