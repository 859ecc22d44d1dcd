"""A suite cannot be weakened silently: overriding one of its tests is refused, or reported with a reason."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import final

import pytest

from windlass_testing.conformance import (
    HookSuite,
    OperatorSuite,
    SecretsBackendSuite,
    SensorSuite,
    Suite,
    deviation,
)
from windlass_testing.conformance.corpus import TEXTS
from windlass_testing.conformance.suite import complaints_about
from windlass_testing.deviations import PROPERTY


class Greeting(Suite):
    word: str

    def test_it_is_polite(self) -> None:
        assert self.word == "hello"

    def test_it_is_short(self) -> None:
        assert self.letters() < self.most

    def _letters(self) -> int:
        return len(self.word)

    @final
    def letters(self) -> int:
        return self._letters()

    @property
    @final
    def most(self) -> int:
        return 10


def complaint(*bases: type, **body: object) -> str:
    """Return what pytest would say of a class when it collects it."""
    return "\n".join(complaints_about(type("TestRude", bases, body)))


def test_a_subclass_that_overrides_a_test_is_refused_by_name() -> None:
    class TestRude(Greeting):
        def test_it_is_polite(self) -> None: ...

    (told,) = complaints_about(TestRude)
    assert told.startswith("TestRude overrides test_it_is_polite, a test of Greeting, and so weakens it silently;")


@pytest.mark.parametrize("value", [None, lambda self: None, pytest.mark.skip(lambda self: None)])
def test_whatever_takes_the_place_of_a_test_is_refused(value: object) -> None:
    assert "overrides test_it_is_short" in complaint(Greeting, test_it_is_short=value)


def test_a_class_between_and_one_beside_are_no_way_around() -> None:
    class Beside:
        def test_it_is_polite(self) -> None: ...

    assert "overrides test_it_is_polite" in complaint(Beside, Greeting)
    told = complaint(SensorSuite, test_it_does_its_work=lambda self: None)
    assert "overrides test_it_does_its_work, a test of OperatorSuite" in told


def test_a_class_between_that_takes_over_the_making_of_classes_is_no_way_around() -> None:
    class Between(Greeting):
        def __init_subclass__(cls, **kwargs: object) -> None: ...

    assert "overrides test_it_is_polite" in complaint(Between, test_it_is_polite=lambda self: None)


@pytest.mark.parametrize("name", ["_letters", "letters", "most"])
def test_what_the_tests_are_made_of_cannot_be_overridden(name: str) -> None:
    told = complaint(Greeting, **{name: 0})
    assert told.startswith(f"TestRude overrides {name}, which Greeting keeps for itself; call it otherwise, or give")
    reasoned = deviation("it is longer")(lambda self: 0)
    assert complaint(Greeting, **{name: reasoned}) == told  # the summary names tests, and no helper


@pytest.mark.parametrize("suite", [OperatorSuite, HookSuite])
def test_what_makes_the_object_under_test_cannot_be_overridden(suite: type[Suite]) -> None:
    assert f"overrides make, which {suite.__name__} keeps for itself" in complaint(suite, make=lambda self: None)


def test_values_and_names_of_its_own_are_a_subclass_s_to_choose() -> None:
    assert not complaint(Greeting, word="hello", _mine=1, test_mine=lambda self: None, make=lambda self: None)


def test_a_deviation_of_a_deviation_needs_its_own_reason() -> None:
    class TestDeviates(Greeting):
        @deviation("it speaks another language")
        def test_it_is_polite(self) -> None: ...

    assert not complaints_about(TestDeviates)
    assert not complaint(TestDeviates, word="hallo")
    assert "overrides test_it_is_polite" in complaint(TestDeviates, test_it_is_polite=lambda self: None)


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


EXAMPLES = Path(__file__).parent / "examples"
RUDE = """
from politeness import PolitenessSuite

class TestRude(PolitenessSuite):
    word = "hello"

    def test_it_is_polite(self, listener): ...
"""


def pytest_says(file: Path, *args: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "error"]
    command += ["--import-mode=prepend", f"--rootdir={file.parent}", *args, str(file)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WINDLASS_", "PYTEST_"))}
    environ |= {"PYTHONPATH": str(EXAMPLES), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["in one process", "in two"])
def test_the_summary_lists_whatever_keeps_a_test_of_a_suite_from_failing(
    args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    weakened = runpy.run_path(str(EXAMPLES / "weakened.py"))
    expected = {name: value.told for name, value in weakened.items() if name.startswith("Test")}
    said = pytest_says(EXAMPLES / "weakened.py", *args)
    assert "deviations from conformance suites" in said
    assert not re.search(r"\d (failed|error)", said)
    told: dict[str, set[str]] = {name: set() for name in expected}
    for name, reason in re.findall(r"^weakened\.py::(\w+)::test_it_is_polite(?:\[\S*\])?: (.+)$", said, re.MULTILINE):
        told[name].add(reason.partition(" for (")[0])
    assert told == expected
    assert len(re.findall(r"^weakened\.py::TestDeviates", said, re.MULTILINE)) == 1
    assert "TestIsSound" not in said
    assert "test_it_is_loud" not in said


def test_a_silent_override_is_an_error_of_collection_and_runs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "test_rude.py"
    file.write_text(RUDE, encoding="utf-8")
    said = pytest_says(file)
    assert "TestRude overrides test_it_is_polite, a test of PolitenessSuite, and so weakens it silently;" in said
    assert "Traceback" not in said
    assert re.search("^1 error in", said, re.MULTILINE)


def test_a_text_that_a_store_cannot_hold_is_left_out_and_the_reason_is_a_deviation(
    request: pytest.FixtureRequest,
) -> None:
    class TestShort(SecretsBackendSuite):
        impossible_texts = {"": "it keeps no empty text"}

    properties = request.node.user_properties
    assert TestShort()._possible_texts(request.node) == [text for text in TEXTS if text]
    assert properties.pop() == (PROPERTY, "it keeps no empty text")


def test_a_suite_keeps_its_own_tests() -> None:
    inherited = {name for name in vars(OperatorSuite) if name.startswith("test")}
    assert inherited
    assert not inherited & set(vars(SensorSuite))
