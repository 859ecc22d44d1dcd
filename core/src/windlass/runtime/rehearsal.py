"""A rehearsal: what every child will do, done a few times in its zygote, so that it is shared and not done again.

Python adapts its bytecode while it runs, in place, and fills its caches of types and names on the way. Left to the
children, each would do so again after its fork, and copy the pages in which it does: a third of what an attempt costs.
So a zygote plays attempts of its own against itself, over a socket of its own, as a child plays them with a
supervisor. Nothing of them is kept.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import closing
from datetime import UTC, datetime

from windlass.authoring import scope
from windlass.authoring.dag import DAG
from windlass.authoring.taskflow import PythonDecoratedOperator
from windlass.protocol import AttemptContext, Reply, encode, frame
from windlass.protocol.forking import NO_TOKEN
from windlass.runtime import child, limits
from windlass.runtime.attempt import run_attempt

#: How often Python runs a line before it adapts it (PEP 659), with some to spare.
_ROUNDS = 10


class Rehearsal:
    """Two attempts to play: one that takes from its context, and one that takes another's result."""

    def __init__(self, mark: limits.LeaseMark) -> None:
        self._mark = mark
        with scope.detached():
            self._dag = DAG("rehearsal", auto_register=False)
            self._first = PythonDecoratedOperator(
                task_id="first", dag=self._dag, python_callable=lambda ds, ti: [ds, ti.task_id]
            )
            self._then = PythonDecoratedOperator(
                task_id="then", dag=self._dag, python_callable=lambda x: x, op_args=[self._first.output]
            )
        for task in self._dag.tasks:
            task.get_ready()

    def play(self, rounds: int = _ROUNDS) -> None:
        """Play both, ``rounds`` times. At its end a child ignores SIGTERM; afterwards it is handled as before."""
        handler = signal.getsignal(signal.SIGTERM)
        for _ in range(rounds):
            self._play()
        signal.signal(signal.SIGTERM, handler)

    def _play(self) -> None:
        limits.die_with_parent(os.getppid())
        self._mark.set(self._mark.of(NO_TOKEN))
        self._then.op_args = [self._first.output]  # a child renders its operator in place
        for task_id in (self._first.task_id, self._then.task_id):
            self._play_one(task_id)

    def _play_one(self, task_id: str) -> None:
        now = datetime.now(UTC)
        attempt = AttemptContext(
            dag_id=self._dag.dag_id, run_id="rehearsal", task_id=task_id, map_index=-1, try_number=1, max_tries=0,
            epoch=1, lease_id="", run_type="manual", logical_date=now, data_interval_start=now, data_interval_end=now,
            run_after=now,
        )  # fmt: skip
        ours, theirs = socket.socketpair()
        with ours, closing(child.PipeSession(child.line(theirs.detach()))) as session:
            # The welcome, and an answer to the one question that may come: there is no such XCom.
            ours.sendall(frame(encode(Reply(1, attempt))) + frame(encode(Reply(2, []))))
            child.attend({self._dag.dag_id: self._dag}, run_attempt, session)
