"""The commands that explanations advise, as a person can paste them into a shell."""

from __future__ import annotations

import shlex
from typing import Final

from windlass.ports import RunFacts, TaskFacts

SERVE: Final = "windlass standalone"


def windlass(*words: str) -> str:
    """Return a command line."""
    return shlex.join(["windlass", *words])


def of_task(verb: str, run: RunFacts, task: TaskFacts) -> str:
    """Return the command ``windlass tasks VERB`` for one task instance."""
    index = () if task.map_index < 0 else ("--map-index", str(task.map_index))
    return windlass("tasks", verb, run.dag_id, task.task_id, run.run_id, *index)


def clear_failed(run: RunFacts, newest: str) -> str:
    """Return the command that lets what has failed in a run run again, with the ``newest`` code if that is another."""
    latest = () if run.code_version == newest else ("--latest",)
    return windlass("tasks", "clear", run.dag_id, "--run-id", run.run_id, "--only-failed", *latest)
