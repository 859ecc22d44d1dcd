from __future__ import annotations

from pathlib import Path

import pytest
from testing.benchmarks import report
from testing.benchmarks.measures import Measure


@pytest.mark.parametrize(
    ("samples", "at_least", "verdict"),
    [
        ([0.5, 0.9, 1.0], False, "dream"),
        ([1.0, 2.0, 9.0], False, "met"),
        ([1.0, 3.5, 4.0], False, "missed"),
        ([1.0, 1.5, 2.0], True, "missed"),
    ],
)
def test_the_median_is_held_against_the_budget(samples: list[float], at_least: bool, verdict: str) -> None:
    budget, dream = (2.0, 3.0) if at_least else (2.0, 1.0)
    assert report.verdict(Measure("W1", "s", samples, budget, dream, at_least=at_least)) == verdict


def test_without_a_budget_there_is_no_verdict() -> None:
    assert report.verdict(Measure("W1", "s", [1.0])) == ""


def test_the_ratio_to_a_peer_is_that_of_the_medians() -> None:
    measure = Measure("W1", "s", [1.0, 2.0, 30.0], peers={"dbos": [4.0, 5.0, 1.0]})
    assert measure.ratio("dbos") == 0.5
    assert report.peer_rows([measure])[0][2:4] == ("dbos", "2")


def test_a_page_keeps_what_was_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "performance.md"
    page.write_text("a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n<!-- begin y -->\nkept\n<!-- end y -->\n")
    monkeypatch.setattr(report, "PAGE", page)
    report.write_page({"x": r"new \1"})
    assert page.read_text() == (
        "a\n<!-- begin x -->\n\nnew \\1\n\n<!-- end x -->\nb\n<!-- begin y -->\nkept\n<!-- end y -->\n"
    )
    with pytest.raises(ValueError, match="no part 'z'"):
        report.write_page({"z": ""})


def test_the_reference_page_has_every_part() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    for part in ("machine", "measures", "peers", "breakdown"):
        assert f"<!-- begin {part} -->\n" in page
        assert f"<!-- end {part} -->" in page
