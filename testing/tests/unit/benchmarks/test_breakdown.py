from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from testing.benchmarks import breakdown
from testing.benchmarks.engine import BenchmarkError

TRACING = Path(breakdown.__file__).with_name("tracing")


def trace_of(path: Path, *stamps: tuple[str, int, int]) -> breakdown.Trace:
    path.write_text("".join(f"{label} 1 {start} {end}\n" for label, start, end in stamps))
    return breakdown.Trace(path, since=0)


def one_task(at: int) -> list[tuple[str, int, int]]:
    """The stamps between the end of user code at ``at`` ms and that of the next task 15 ms later."""
    edges = [(label, edge) for label, edge, *_ in breakdown._LINE]
    times = {pair: (at + i + 1) * 1_000_000 for i, pair in enumerate(edges)}
    labels = dict.fromkeys(label for label, _ in edges)
    return [
        (label, times.get((label, "start"), at * 1_000_000), times.get((label, "end"), at * 1_000_000))
        for label in labels
    ]


def test_the_line_is_cut_at_its_stamps(tmp_path: Path) -> None:
    steps = [breakdown.Step(what, process, []) for _, _, what, process in breakdown._LINE]
    first_end = ("user", 0, 1_000_000)
    breakdown._cut(trace_of(tmp_path / "trace", first_end, *one_task(1)), steps)
    assert [step.samples for step in steps] == [[1.0]] * len(breakdown._LINE)


def test_a_seam_that_was_renamed_is_an_error_not_an_empty_table(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="ring"):
        breakdown._cut(trace_of(tmp_path / "trace", *(s for s in one_task(1) if s[0] != "ring")), [])


def test_every_seam_exists_and_is_wrapped(tmp_path: Path) -> None:
    code = (
        "import importlib, operator, sitecustomize\n"
        "for module, paths in sitecustomize.POINTS.items():\n"
        "    for path in paths:\n"
        "        found = operator.attrgetter(path)(importlib.import_module(module))\n"
        "        assert hasattr(found, '__wrapped__'), f'{module}.{path} is not wrapped'\n"
    )
    environ = os.environ | {"PYTHONPATH": str(TRACING), "BENCHMARK_TRACE": str(tmp_path / "trace")}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
