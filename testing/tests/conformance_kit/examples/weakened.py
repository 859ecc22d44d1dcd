"""Ways to keep a rude greeting from failing a suite without a word: each is listed with what it says in `told`."""

from __future__ import annotations

import pytest
from politeness import PolitenessSuite

from windlass_testing.conformance import deviation


class Rude(PolitenessSuite):
    word = "hey"


class TestIsSound(PolitenessSuite):
    told: set[str] = set()
    word = "hello"


class TestDeviates(Rude):
    told = {"it speaks another language"}

    @deviation("it speaks another language")
    def test_it_is_polite(self, listener: str) -> None: ...


class TestIsMarkedAsAClass(Rude):
    told = {"skip: not today"}
    pytestmark = pytest.mark.skip(reason="not today")


@pytest.mark.skip
class TestIsMarkedWithoutAReason(Rude):
    told = {"skip: unconditional skip"}


@pytest.mark.skip("by position")
class TestGivesItsReasonByPosition(Rude):
    told = {"skip: by position"}


@pytest.mark.skipif(True, reason="on this machine")
class TestIsMarkedOnACondition(Rude):
    told = {"skip: on this machine"}


@pytest.mark.skipif(False, reason="on another machine")
class TestIsMarkedOnAConditionThatDoesNotHold(PolitenessSuite):
    told = {"skip: on another machine"}
    word = "hello"


@pytest.mark.xfail(reason="it is rude")
class TestIsExpectedToFail(Rude):
    told = {"xfail: it is rude"}


@pytest.mark.xfail(strict=False)
class TestIsExpectedToFailAndDoesNot(PolitenessSuite):
    told = {"xfail: no reason given"}
    word = "hello"


class TestHasAFixtureThatSkips(Rude):
    told = {"skip: by a fixture"}

    @pytest.fixture
    def listener(self) -> str:
        pytest.skip("by a fixture")


class TestHasASetUpThatSkips(Rude):
    told = {"skip: before all"}

    def setup_method(self) -> None:
        pytest.skip("before all")


class TestHasAFixtureThatExpectsAFailure(Rude):
    told = {"xfail: by a fixture"}

    @pytest.fixture
    def listener(self) -> str:
        pytest.xfail("by a fixture")


class TestSkipsInWhatItGives(Rude):
    told = {"skip: while it is asked"}

    def said(self, listener: str) -> str:
        pytest.skip("while it is asked")


class TestIsTriedWithNothing(Rude):
    told = {"skip: got empty parameter set"}

    @pytest.fixture
    def listener(self, nothing: str) -> str:
        return nothing

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "nothing" in metafunc.fixturenames:
            metafunc.parametrize("nothing", [])


class TestSkipsATestOfItsOwn(PolitenessSuite):
    told: set[str] = set()
    word = "hello"

    def test_it_is_loud(self) -> None:
        pytest.skip("it is no test of the suite")
