"""Thousands of seeded runs of the real engine under faults, and proof that they would notice a missing guard."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from windlass_testing.simulation import simulate
from windlass_testing.simulation.bugs import BUGS

pytestmark = pytest.mark.simulation

#: Seeds of a normal test run; a longer one is asked for with the environment variable.
SEEDS = int(os.environ.get("WINDLASS_SIMULATION_SEEDS", "2000"))
CHUNKS = 20
#: Every planted bug is found by one of the first seeds.
FIRST = 400
#: Seeds that found a bug of the engine, with what it was. They stay here for good.
FOUND = {
    82: "a run that was read again decided twice what its old plan had postponed",
    20: "one of two schedulers took the signals of the other's runs away",
    111: "fail_fast unlearned what the same step had decided, and the step was refused for ever",
    123: "a decision was written before the expansion that it followed from",
    192: "a supervisor's stop while its attempts changed",
    257: "a run waited for a run of another scheduler, of whose end nobody told it",
    322: "a scheduler that had lost a run took its signals away",
    447: "a stopped attempt left the XComs of a result that did not count",
    552: "a scheduler that had been frozen went on with a memory of runs that somebody else had ended",
    719: "a run marked success stayed so although a task of it was marked failed afterwards",
    833: "a stop of the scheduler's overruled the one that a person had asked for",
    937: "what a decision still to be written had ruled out was queued",
    107: "an expansion's answer undid the moves of the same step",
    246: "an expansion's answer undid the moves of the same step",
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_promise_holds_whatever_goes_wrong(chunk: int) -> None:
    size = SEEDS // CHUNKS
    broken = [result.line for seed in range(chunk * size, (chunk + 1) * size) if (result := simulate(seed)).broken]
    assert not broken, "\n".join([*broken, "replay: python -m windlass_testing.simulation --seed N --trace"])


@pytest.mark.parametrize("seed", FOUND)
def test_a_bug_that_was_found_stays_away(seed: int) -> None:
    assert simulate(seed).line.endswith("everything held")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(BUGS))
def test_every_planted_bug_is_found(name: str) -> None:
    with BUGS[name].planted():
        found = next((result for seed in range(FIRST) if (result := simulate(seed)).broken), None)
    assert found is not None, f"{name} ({BUGS[name].story}): {FIRST} seeds did not notice"
    assert simulate(found.seed).broken is None


def test_a_seed_is_the_same_run_every_time() -> None:
    once, again = simulate(7, keep_trace=True), simulate(7, keep_trace=True)
    assert once == again
    assert once.trace


def test_a_seed_is_the_same_run_in_another_process() -> None:
    program = (
        "from windlass_testing.simulation import simulate; print(simulate(11).trace_hash, simulate(12).trace_hash)"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_a_failing_seed_is_one_line_that_can_be_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    from windlass_testing.simulation.__main__ import main

    sys_argv, sys.argv = sys.argv, ["simulation", "--seed", "0", "--bug", "keep-epoch", "--trace"]
    try:
        assert main() == 1
    finally:
        sys.argv = sys_argv
    *trace, line = capsys.readouterr().out.splitlines()
    assert "seed 0, step" in line
    assert "5 epochs" in line
    assert any("none -> scheduled" in entry or "created -> queued" in entry for entry in trace)
