"""A suite cannot be weakened silently: overriding one of its tests is refused, or reported with a reason."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from windlass_testing.conformance import OperatorSuite, SensorSuite, Suite, deviation


class Greeting(Suite):
    word: str

    def test_it_is_polite(self) -> None:
        assert self.word == "hello"

    def test_it_is_short(self) -> None:
        assert len(self.word) < 10


def test_a_subclass_that_overrides_a_test_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"TestRude overrides test_it_is_polite, a test of Greeting, and so weakens it"):

        class TestRude(Greeting):
            def test_it_is_polite(self) -> None: ...


@pytest.mark.parametrize("value", [None, lambda self: None, pytest.mark.skip(lambda self: None)])
def test_whatever_takes_the_place_of_a_test_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="overrides test_it_is_short"):
        type("TestRude", (Greeting,), {"test_it_is_short": value})


def test_a_class_between_and_one_beside_are_no_way_around() -> None:
    class Beside:
        def test_it_is_polite(self) -> None: ...

    with pytest.raises(TypeError, match="overrides test_it_is_polite"):
        type("TestRude", (Beside, Greeting), {})
    with pytest.raises(TypeError, match="overrides test_it_does_its_work, a test of OperatorSuite"):
        type("TestRude", (SensorSuite,), {"test_it_does_its_work": lambda self: None})


def test_a_deviation_of_a_deviation_needs_its_own_reason() -> None:
    class TestDeviates(Greeting):
        @deviation("it speaks another language")
        def test_it_is_polite(self) -> None: ...

    with pytest.raises(TypeError, match="overrides test_it_is_polite"):
        type("TestRude", (TestDeviates,), {"test_it_is_polite": lambda self: None})
    type("TestSame", (TestDeviates,), {"word": "hallo"})


@pytest.mark.parametrize("reason", ["", "  ", None, lambda: None])
def test_a_deviation_needs_a_reason(reason: object) -> None:
    with pytest.raises(TypeError, match="a deviation needs a reason"):
        deviation(reason)  # type: ignore[arg-type] # the point


def test_an_attribute_that_is_not_set_is_named() -> None:
    class TestForgetful(Greeting): ...

    with pytest.raises(pytest.fail.Exception, match="TestForgetful must set word"):
        TestForgetful().test_it_is_polite()
    with pytest.raises(AttributeError, match="TestForgetful has no attribute 'worth'"):
        TestForgetful().worth  # type: ignore[attr-defined] # noqa: B018 - the point


TESTS = """
import pytest
from windlass_testing.conformance import Suite, deviation

class Greeting(Suite):
    @pytest.mark.parametrize("number", [1, 2])
    def test_it_is_polite(self, number):
        raise AssertionError

class TestGreeting(Greeting):
    @pytest.mark.parametrize("number", [1, 2])
    {decorator}
    def test_it_is_polite(self, number):
        assert number
"""


@pytest.fixture
def run(tmp_path: Path) -> object:
    def pytest_says(decorator: str, *args: str) -> str:
        (tmp_path / "test_greeting.py").write_text(TESTS.format(decorator=decorator), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", *args]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    return pytest_says


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["in one process", "in two"])
def test_the_summary_lists_every_deviation_once_per_test(run: object, args: tuple[str, ...]) -> None:
    assert callable(run)
    told = run('@deviation("it speaks\\n another language")', *args)
    assert "deviations from conformance suites" in told
    lines = re.findall(r"^test_greeting\.py::TestGreeting::test_it_is_polite\[\d\]: (.+)$", told, re.MULTILINE)
    assert lines == ["it speaks another language"] * 2
    assert "2 passed" in told


def test_an_override_is_an_error_of_collection(run: object) -> None:
    assert callable(run)
    told = run("")
    assert "TestGreeting overrides test_it_is_polite, a test of Greeting" in told
    assert "1 error" in told


def test_a_suite_keeps_its_own_tests() -> None:
    inherited = {name for name in vars(OperatorSuite) if name.startswith("test")}
    assert inherited
    assert not inherited & set(vars(SensorSuite))
