"""What all suites share: a subclass fills in attributes and fixtures, and cannot weaken a test without saying so.

A suite is a class of tests over attributes that it only declares. A provider's test is a subclass whose name starts
with ``Test``, which gives them values. Overriding one of the suite's tests there would make a promise smaller while the
report stays green, so it is refused when the class is made, which pytest shows as an error of collection. Who has to
differ says why, with :func:`deviation`; pytest's summary then lists the reason at the end of every run.
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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a class that replaces a suite's test without a reason.

        :raises TypeError: naming the test, the suite, and what to do.
        """
        super().__init_subclass__(**kwargs)
        for name, suite in _tests_of(cls).items():
            replaced = next(base for base in cls.__mro__ if name in vars(base))
            if replaced is not suite and not hasattr(vars(replaced)[name], REASON):
                raise TypeError(
                    f"{cls.__name__} overrides {name}, a test of {suite.__name__}, and so weakens it silently; "
                    f'remove the override, or mark it with @deviation("why")'
                )

    if not TYPE_CHECKING:  # a checker shall go on to complain about names that do not exist

        def __getattr__(self, name: str) -> NoReturn:
            """Say which attribute a subclass has forgotten."""
            declared = any(name in inspect.get_annotations(base) for base in type(self).__mro__)
            if declared:
                pytest.fail(f"{type(self).__name__} must set {name}; the suite says what it is", pytrace=False)
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


def _tests_of(cls: type) -> dict[str, type]:
    """Return every test that a suite among the bases of ``cls`` defines, with the suite that defined it first."""
    found: dict[str, type] = {}
    for base in reversed(cls.__mro__[1:]):
        if issubclass(base, Suite):
            for name in vars(base):
                if name.startswith("test"):
                    found.setdefault(name, base)
    return found


def must_give(suite: Suite, what: str) -> NoReturn:
    """Fail a test, or a fixture, for which the subclass has to give something that it does not."""
    pytest.fail(f"{type(suite).__name__} must define {what}; the suite says what it is", pytrace=False)
