"""Stands in for authoring and ``runtime.attempt``: the supervisor's tests need children, not DAGs.

A test's "DAG file" defines ``DAG_ID`` and one function per task, called with (context, session). What it returns is how
the attempt ends: None or a value is a success, an exception a failure, an ending is itself.
"""

# ruff: noqa: ANN401 - it must not import what it stands in for
from __future__ import annotations

import sys
import types
from datetime import UTC, datetime
from typing import Any


class StandInDag:
    def __init__(self, module: types.ModuleType) -> None:
        self.dag_id = module.DAG_ID
        self.module = module


def collect(module: types.ModuleType) -> list[StandInDag]:
    return [StandInDag(module)]


def run_attempt(dag: StandInDag, context: Any, session: Any, *, last: bool) -> Any:
    import msgspec

    from windlass.protocol import Finish, Outcome, XComSet, XComValue

    started = datetime.now(UTC)
    try:
        value = getattr(dag.module, context.task_id)(context, session)
    except Exception as error:
        import logging

        logging.getLogger("task").exception("failed")
        return Finish(outcome=Outcome.FAIL, started_at=started, ended_at=datetime.now(UTC), reason=str(error))
    if isinstance(value, msgspec.Struct):
        return value
    if value is not None:
        data = msgspec.json.encode(value)
        session.tell(XComSet(key="return_value", value=XComValue(codec="json", data=data, size=len(data))))
    return Finish(outcome=Outcome.SUCCESS, started_at=started, ended_at=datetime.now(UTC))


class Rehearsal:
    def __init__(self, mark: Any) -> None:
        pass

    def play(self, rounds: int = 1) -> None:
        pass


authoring = types.ModuleType("windlass.authoring")
authoring.collect = collect  # type: ignore[attr-defined]
attempt = types.ModuleType("windlass.runtime.attempt")
attempt.run_attempt = run_attempt  # type: ignore[attr-defined]
attempt.preload = lambda: None  # type: ignore[attr-defined]
attempt.prepare = lambda dags: None  # type: ignore[attr-defined]
rehearsal = types.ModuleType("windlass.runtime.rehearsal")
rehearsal.Rehearsal = Rehearsal  # type: ignore[attr-defined]
sys.modules["windlass.authoring"] = authoring
sys.modules["windlass.runtime.attempt"] = attempt
sys.modules["windlass.runtime.rehearsal"] = rehearsal
