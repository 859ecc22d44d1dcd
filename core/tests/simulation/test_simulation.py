"""Thousands of seeded runs of the real engine under faults, and proof that they would notice a missing guard."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from windlass_testing.simulation import simulate
from windlass_testing.simulation.bugs import BUGS
from windlass_testing.simulation.interference import table_written
from windlass_testing.simulation.world import World

pytestmark = pytest.mark.simulation

#: Seeds of a normal test run; a longer one is asked for with the environment variable.
SEEDS = int(os.environ.get("WINDLASS_SIMULATION_SEEDS", "2000"))
CHUNKS = 20
#: Every planted bug is found by one of the first seeds.
FIRST = 1000
#: Where to look first for bugs that few seeds notice; a seed that has lost its point costs only time.
NOTICES = {
    "answers-move-up": 54,
    "any-ticket": 16,
    "any-ticket-asks": 590,
    "cancelled-goes-on": 2339,
    "claim-running": 23,
    "claims-forgotten-on-failure": 92,
    "claims-given-up": 92,
    "claims-refused-on-conflict": 720,
    "clear-keeps-wait": 46,
    "completed-too-soon": 25,
    "conflict-with-itself": 23,
    "conflicts-unnoticed": 24,
    "consume-unseen": 926,
    "count-from-memory": 662,
    "count-while-paused": 1036,
    "create-for-others": 35,
    "credulous-pages": 70,
    "dead-host": 203,
    "deaf-heartbeat": 26,
    "empty-host": 203,
    "end-living": 445,
    "event-forgotten": 178,
    "event-of-another-wait": 351,
    "exchange-takes-running": 100,
    "granted-twice": 58,
    "half-conflict": 253,
    "hold-on": 103,
    "ignore-generation": 35,
    "keep-counters": 275,
    "keep-postponed": 490,
    "keep-xcoms": 46,
    "lapse-unnoticed": 35,
    "lose-the-place": 126,
    "move-any-state": 68,
    "narrow-interval": 18,
    "never-look": 1182,
    "no-resubmission": 386,
    "no-second-look": 5876,
    "overruled-too-early": 10,
    "overtaken": 1305,
    "page-by-due": 13,
    "pools-unread": 1725,
    "recover-all": 45,
    "refused-again": 23,
    "report-any-lease": 1626,
    "reports-forgotten-on-conflict": 48,
    "reports-forgotten-on-failure": 92,
    "shared-question": 54,
    "silent-deadline": 9,
    "silent-event": 7,
    "stays-completed": 140,
    "take-quietly": 35,
    "timeout-keeps-wait": 9,
    "tireless": 14,
    "trigger-goes-on": 9,
    "trust-the-calendar": 16,
    "unlearn-expansion": 2058,
    "unnoticed-deadline": 17,
    "waiting-forgotten": 25,
    "waits-left-behind": 222,
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_promise_holds_whatever_goes_wrong(chunk: int) -> None:
    size = SEEDS // CHUNKS
    broken = [result.line for seed in range(chunk * size, (chunk + 1) * size) if (result := simulate(seed)).broken]
    assert not broken, "\n".join([*broken, "replay: python -m windlass_testing.simulation --seed N --trace"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(BUGS))
def test_every_planted_bug_is_found(name: str) -> None:
    with BUGS[name].planted():
        seeds = (NOTICES.get(name, 0), *range(FIRST))
        found = next((result for seed in seeds if (result := simulate(seed)).broken), None)
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


def test_nothing_is_left_of_a_run() -> None:
    assert simulate(7).broken is None
    with BUGS["keep-epoch"].planted():
        assert simulate(0).broken is not None
    gc.collect()
    assert not [left for left in gc.get_objects() if isinstance(left, World)]


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ('INSERT INTO "signal" (kind) VALUES (:kind)', "signal"),
        ("UPDATE run SET state = :to", "run"),
        ("DELETE FROM xcom WHERE ti_id = :task", "xcom"),
        ("SELECT id FROM ti FOR_UPDATE", None),
    ],
)
def test_a_statement_of_a_write_says_which_table_it_changes(statement: str, table: str | None) -> None:
    assert table_written(statement) == table


def test_a_statement_that_does_not_say_what_it_changes_is_a_finding() -> None:
    with pytest.raises(LookupError, match="cannot tell which table this changes: WITH"):
        table_written("WITH x AS (SELECT 1) UPDATE ti SET state = 'none'")


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
