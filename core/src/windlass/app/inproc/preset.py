"""What a test says that upstream tasks have left: their XComs, as if they had run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.app.inproc.engine import InlineEngine
from windlass.errors import UsageError
from windlass.planning.decisions import label
from windlass.planning.endings import RESULT_KEY
from windlass.planning.topology import topology_of
from windlass.ports import RunFacts
from windlass.runtime.xcom import pack

#: A task id for what the task returned, or a task id and a key.
XComs = Mapping[str | tuple[str, str], Any]


def preset_xcoms(engine: InlineEngine, run: RunFacts, xcoms: XComs) -> None:
    """Put ``xcoms`` where the tasks of ``run`` find them. Of a mapped task, the value is a list by map index.

    :raises UsageError: if the value for a mapped task is no list.
    """
    topology = topology_of(engine.store.spec(run.dag_id, run.spec_version))
    for name, value in xcoms.items():
        task_id, key = (name, RESULT_KEY) if isinstance(name, str) else name
        if topology.unit_of[topology.position[task_id]] is None:
            _put(engine, run, task_id, -1, key, value)
            continue
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise UsageError(f"task {task_id!r} is mapped; give a list with the result of each of its instances")
        engine.store.expand(run.id, task_id, len(value))
        for index, item in enumerate(value):
            _put(engine, run, task_id, index, key, item)


def _put(engine: InlineEngine, run: RunFacts, task_id: str, map_index: int, key: str, value: object) -> None:
    task = next(
        task for task in engine.store.tasks_of(run.id) if (task.task_id, task.map_index) == (task_id, map_index)
    )
    packed = pack(value, f"the given XCom {key!r} of {label(task_id, map_index)!r}", engine.session(task))
    engine.store.xcoms.setdefault(task.id, {})[key] = packed
