"""A rehearsal: what every child will do, done a few times in its zygote, so that it is shared and not done again.

Python adapts its bytecode while it runs, in place, and fills its caches of types and names on the way. Left to the
children, each would do so again after its fork, and copy the pages in which it does: a third of what an attempt costs.
So a zygote plays attempts of its own against itself, over a socket of its own, as a child plays them with a
supervisor. Nothing of them is kept.
"""

from __future__ import annotations

import os
import socket
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from windlass.authoring import scope
from windlass.authoring.dag import DAG
from windlass.authoring.taskflow import PythonDecoratedOperator
from windlass.protocol import AttemptContext, Reply, encode, frame
from windlass.protocol.forking import NO_TOKEN
from windlass.runtime import child, limits
from windlass.runtime.attempt import run_attempt

#: How often Python runs a line before it adapts it (PEP 659), with some to spare.
_ROUNDS = 10


def rehearse(mark: limits.LeaseMark, rounds: int = _ROUNDS) -> None:
    """Play an attempt that takes from its context, and one that takes another's result, ``rounds`` times each."""
    for _ in range(rounds):
        limits.die_with_parent(os.getppid())
        mark.set(NO_TOKEN)
    with scope.detached():
        dag = DAG("rehearsal", auto_register=False)
        first = PythonDecoratedOperator(task_id="first", dag=dag, python_callable=lambda ds, ti: [ds, ti.task_id])
        then = PythonDecoratedOperator(task_id="then", dag=dag, python_callable=lambda x: x, op_args=[first.output])
    for task in dag.tasks:
        task.get_ready()
    for _ in range(rounds):
        then.op_args = [first.output]  # a child renders its operator in place
        _play(dag, first.task_id)
        _play(dag, then.task_id)
    child.inherit_signals()  # at its end a child ignores SIGTERM


def _play(dag: DAG, task_id: str) -> None:
    now = datetime.now(UTC)
    attempt = AttemptContext(
        dag_id=dag.dag_id, run_id="rehearsal", task_id=task_id, map_index=-1, try_number=1, max_tries=0, epoch=1,
        lease_id="", run_type="manual", logical_date=now, data_interval_start=now, data_interval_end=now, run_after=now,
    )  # fmt: skip
    ours, theirs = socket.socketpair()
    with ours, closing(child.line(theirs.detach())) as line:
        # The welcome, and an answer to the one question that may come: there is no such XCom.
        ours.sendall(frame(encode(Reply(1, attempt))) + frame(encode(Reply(2, []))))
        child.attend({dag.dag_id: dag}, partial(run_attempt, last=True), line)
