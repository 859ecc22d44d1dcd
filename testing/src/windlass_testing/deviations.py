"""What the pytest plugin does for the conformance suites: it refuses what weakens one silently, and lists the rest.

Whatever keeps a test of a suite from being run as it stands is a deviation: another test in its place, which has to
carry a reason, a mark, or a fixture that skips. A test that finds by itself that there is nothing to check is none.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

#: The user property of a report that holds the reason of a deviation.
PROPERTY: Final = "windlass_deviation"
#: Pytest's marks that keep a test from failing -> what the summary calls them.
_MARKS: Final = {"skip": "skip", "skipif": "skip", "xfail": "xfail"}
#: What it says of those that give no reason; for a skip in pytest's own words, so that it is listed once.
_NO_REASON: Final = {"skip": "unconditional skip", "xfail": "no reason given"}


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class) -> Generator[None, Any, Any]:
    """Refuse a class of tests that overrides what its suite keeps, whatever else it may do."""
    collected = yield
    if isinstance(collected, pytest.Class) and _is_of_a_suite(collected.obj):
        from windlass_testing.conformance.suite import complaints_about

        if complaints := complaints_about(collected.obj):
            raise collector.CollectError("\n".join(complaints))
    return collected


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the reports of a test that deviates from its suite carry the reasons."""
    report = yield
    for reason in _reasons(item, report):
        if (PROPERTY, reason) not in report.user_properties:
            item.user_properties.append((PROPERTY, reason))  # for the reports to come
            report.user_properties.append((PROPERTY, reason))
    return report


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """List every deviation from a conformance suite, whatever became of its test."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    told = {
        f"{report.nodeid}: {value}"
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY
    }
    if told:
        terminalreporter.section("deviations from conformance suites")
        for line in sorted(told):
            terminalreporter.line(line)


def _is_of_a_suite(cls: object) -> bool:
    """Return whether a class is a suite's; the suites are loaded only where a test has loaded them."""
    module = sys.modules.get("windlass_testing.conformance.suite")
    return module is not None and isinstance(cls, type) and issubclass(cls, module.Suite)


def _reasons(item: pytest.Item, report: pytest.TestReport) -> Iterator[str]:
    """Yield why a test is not, or may not be, what its suite says."""
    if not isinstance(item, pytest.Function) or not _is_of_a_suite(item.cls):
        return
    from windlass_testing.conformance.suite import REASON, suite_of

    suite = suite_of(item.cls, item.originalname)
    if suite is None:
        return
    if hasattr(item.function, REASON):
        yield getattr(item.function, REASON)
    for mark in item.iter_markers():
        if mark.name in _MARKS:
            given = mark.kwargs.get("reason") or " ".join(map(str, mark.args))
            yield f"{_MARKS[mark.name]}: {given or _NO_REASON[_MARKS[mark.name]]}"
    if hasattr(report, "wasxfail"):
        yield f"xfail: {report.wasxfail.removeprefix('reason: ') or _NO_REASON['xfail']}"
    elif report.skipped and isinstance(report.longrepr, tuple):
        file, _, reason = report.longrepr
        if report.when != "call" or file != inspect.getfile(suite):
            yield f"skip: {reason.removeprefix('Skipped: ')}"
