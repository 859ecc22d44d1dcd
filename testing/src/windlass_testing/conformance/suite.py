"""What all suites share: a subclass fills in attributes and fixtures, and cannot weaken a test without saying so.

A suite is a class of tests over attributes that it only declares. A provider's test is a subclass whose name starts
with ``Test``, which gives them values. Overriding one of the suite's tests there would make a promise smaller while
the report stays green, so it is refused when pytest collects the class, as is overriding what the tests are made of:
private names, and what is marked ``@final``. Who has to differ says why, with :func:`deviation`. Pytest's summary
lists the reason at the end of every run, and beside it every test of a suite that a mark or a fixture has skipped.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import pytest

_Test = TypeVar("_Test", bound=Callable[..., Any])

#: The attribute of a function that holds the reason of its deviation.
REASON: Final = "windlass_deviation"


def deviation(reason: str) -> Callable[[_Test], _Test]:
    """Let a subclass replace a test of its suite: ``@deviation("the protocol has no …")``.

    The test that it marks runs instead of the suite's, and the reason is listed at the end of pytest's output.

    :raises TypeError: if there is no reason.
    """
    given: object = reason  # forgotten, it is the function
    if not isinstance(given, str) or not given.strip():
        raise TypeError('a deviation needs a reason: write @deviation("why this cannot be so here")')

    def mark(test: _Test) -> _Test:
        setattr(test, REASON, " ".join(reason.split()))
        return test

    return mark


class Suite:
    """The base of every suite. Its tests are all methods whose names start with ``test``."""

    if not TYPE_CHECKING:  # a checker shall go on to complain about names that do not exist

        def __getattr__(self, name: str) -> NoReturn:
            """Say which attribute a subclass has forgotten."""
            declared = any(name in inspect.get_annotations(base) for base in type(self).__mro__)
            if declared:
                pytest.fail(f"{type(self).__name__} must set {name}; the suite says what it is", pytrace=False)
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


def complaints_about(cls: type[Suite]) -> list[str]:
    """Say what a class overrides of its suites though it must not, each in a sentence with the remedy."""
    complaints = []
    for name, suite in _kept_by_suites(cls).items():
        replaced = next(base for base in cls.__mro__ if name in vars(base))
        if replaced is suite:
            continue
        if not name.startswith("test"):
            complaints.append(
                f"{cls.__name__} overrides {name}, which {suite.__name__} keeps for itself; "
                "call it otherwise, or give values to the attributes and fixtures of the suite"
            )
        elif not hasattr(vars(replaced)[name], REASON):
            complaints.append(
                f"{cls.__name__} overrides {name}, a test of {suite.__name__}, and so weakens it silently; "
                'remove the override, or mark it with @deviation("why")'
            )
    return complaints


def suite_of(cls: type[Suite], test: str) -> type | None:
    """Return the suite among the bases of ``cls`` that has brought ``test``, None if it is the subclass's own."""
    return _kept_by_suites(cls).get(test)


def _kept_by_suites(cls: type) -> dict[str, type]:
    """Return every name that a suite among the bases of ``cls`` keeps, with the suite that defined it first."""
    found: dict[str, type] = {}
    for base in reversed(cls.__mro__[1:]):
        if base is not Suite and issubclass(base, Suite):
            for name, value in vars(base).items():
                if name.startswith("test") or _is_private(name) or _is_final(value):
                    found.setdefault(name, base)
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_final(value: object) -> bool:
    """Return whether a method, a property or a fixture is marked with :func:`typing.final`."""
    marked = value.fget if isinstance(value, property) else value
    return not isinstance(marked, type) and getattr(marked, "__final__", None) is True


def must_give(suite: Suite, what: str) -> NoReturn:
    """Fail a test, or a fixture, for which the subclass has to give something that it does not."""
    pytest.fail(f"{type(suite).__name__} must define {what}; the suite says what it is", pytrace=False)
