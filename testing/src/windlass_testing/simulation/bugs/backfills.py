"""What goes wrong with backfills."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import msgspec

from windlass.planning.runs import BackfillLimit, choose_runs
from windlass.scheduler import calendar
from windlass.store import backfills, commands, filling
from windlass_testing.simulation.bugs.planting import bug, replace, without


@bug("a backfill does not keep its place")
def _lose_the_place(stack: ExitStack) -> None:
    without(stack, filling, "_ADVANCE", ", reached = :reached")


@bug("a backfill goes on though it was cancelled")
def _cancelled_goes_on(stack: ExitStack) -> None:
    without(stack, filling, "_ADVANCE", " AND cancelled_at IS NULL AND completed_at IS NULL")


@bug("cancelling a backfill forgets the runs that wait for their start")
def _waiting_forgotten(stack: ExitStack) -> None:
    replace(stack, backfills, "_WAITING", backfills._WAITING.replace("'queued'", "'none'"))  # noqa: SLF001


@bug("any number of a backfill's runs may be active")
def _any_number_of_backfill_runs(stack: ExitStack) -> None:
    original = choose_runs

    def choose(queued: Any, running: Any, dags: Any, limits: dict[int, BackfillLimit]) -> Any:  # noqa: ANN401
        free = {number: msgspec.structs.replace(limit, max_active_runs=-1) for number, limit in limits.items()}
        return original(queued, running, dags, free)

    replace(stack, calendar, "choose_runs", choose)


@bug("a backfill is completed while runs of it are open")
def _completed_too_soon(stack: ExitStack) -> None:
    open_runs = " AND NOT EXISTS (SELECT 1 FROM run WHERE run.backfill_id = :id AND run.state IN ('queued','running'))"
    for module in (filling, backfills):
        without(stack, module, "COMPLETE", open_runs)


@bug("a cleared run leaves its backfill completed")
def _stays_completed(stack: ExitStack) -> None:
    replace(stack, commands, "_REOPEN", "UPDATE run SET conf = conf WHERE id = :run")
