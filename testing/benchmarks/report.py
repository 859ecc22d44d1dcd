"""The measurements as a table, as JSON, and as the generated parts of the reference page."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testing.benchmarks.machine import Limits, as_json
from testing.benchmarks.measures import Measure

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "performance.md"


def number(value: float) -> str:
    """Return a number with three significant digits, thousands separated."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def verdict(measure: Measure) -> str:
    """Return how a measure stands to its budget."""
    if measure.met is None:
        return ""
    if not measure.met:
        return "missed"
    return "dream" if measure.dream_met else "met"


def _bound(measure: Measure, value: float | None) -> str:
    return "" if value is None else f"{'>=' if measure.at_least else '<='} {number(value)}"


HEAD = ("", "unit", "median", "min", "max", "n", "budget", "dream", "verdict")


def rows(measures: Sequence[Measure]) -> list[tuple[str, ...]]:
    """Return the measures as the cells of a table."""
    return [
        (
            measure.name,
            measure.unit,
            number(measure.median),
            number(min(measure.samples)),
            number(max(measure.samples)),
            str(len(measure.samples)),
            _bound(measure, measure.budget),
            _bound(measure, measure.dream),
            verdict(measure),
        )
        for measure in measures
    ]


def peer_rows(measures: Sequence[Measure]) -> list[tuple[str, ...]]:
    """Return the comparisons as the cells of a table."""
    return [
        (
            measure.name,
            measure.unit,
            peer,
            number(measure.median),
            number(statistics.median(samples)),
            f"{number(min(samples))} - {number(max(samples))}",
            f"{measure.ratio(peer):.2f}",
        )
        for measure in measures
        for peer, samples in measure.peers.items()
    ]


PEER_HEAD = ("", "unit", "peer", "Windlass", "peer's median", "peer's min - max", "Windlass / peer")


def text_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal."""
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *body)]
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table for a page."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cell.replace('|', '') for cell in line)} |" for line in lines)


def limits_text(before: Limits, after: Limits) -> str:
    """Return the machine's limits before and after as sentences; the difference is the noise."""
    return (
        f"A bare zygote forks, and waits for the exit of, one child in {before.fork_ms:.2f} ms "
        f"(after all measurements: {after.fork_ms:.2f} ms); on all cores {number(before.forks_per_second)} a second "
        f"(after: {number(after.forks_per_second)}). A SQLite commit with synchronous=FULL takes "
        f"{before.commit_ms:.2f} ms (after: {after.commit_ms:.2f}), a round trip over a Unix socket "
        f"{before.round_trip_ms:.3f} ms."
    )


def as_document(
    description: Mapping[str, str],
    before: Limits,
    after: Limits,
    measures: Sequence[Measure],
    breakdown: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return everything for a JSON file."""
    return {
        "machine": dict(description),
        "limits": {"before": as_json(before), "after": as_json(after)},
        "measures": [measure.as_json() for measure in measures],
        "breakdown": list(breakdown),
    }


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write the JSON file."""
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def write_page(parts: Mapping[str, str]) -> None:
    """Replace the generated parts of the reference page, which stand between markers."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        found = pattern.search(page)
        if found is None:
            raise ValueError(f"{PAGE} has no part {name!r} between markers")
        page = f"{page[: found.start()]}{found[1]}\n{text}\n\n{found[2]}{page[found.end() :]}"
    PAGE.write_text(page, encoding="utf-8")
