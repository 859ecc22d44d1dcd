"""A suite of two tests, for the examples that weaken it."""

from __future__ import annotations

import pytest

from windlass_testing.conformance import Suite


class PolitenessSuite(Suite):
    """Checks a greeting."""

    #: What is said.
    word: str

    @pytest.fixture
    def listener(self) -> str:
        """Return who is greeted. Override it."""
        return "Ada"

    def said(self, listener: str) -> str:
        """Return the whole greeting. Override it where more is said."""
        return f"{self.word}, {listener}"

    def test_it_is_polite(self, listener: str) -> None:
        """It greets whoever listens."""
        assert self.said(listener) == f"hello, {listener}"

    def test_it_has_nothing_to_check(self) -> None:
        """What a suite skips by itself is no deviation."""
        pytest.skip("there is nothing to check")
