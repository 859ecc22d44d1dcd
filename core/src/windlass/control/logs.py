"""Reading task logs: one file per try, JSON lines, complete also while it grows.

Paths are made from ids, which are hostile input, so every part is quoted and the result is checked to lie below the
log folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from windlass.control.tasks import Tasks
from windlass.control.visibility import Visible, everything
from windlass.errors import NotFound
from windlass.planning.attempts import log_path_of
from windlass.states import TaskState

_CHUNK: Final = 1 << 20


#: Returns at most so many bytes (the last argument) of a log that is stored elsewhere, from an offset on.
ReadStored = Callable[[str, int, int], bytes]


class LogChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Whole lines of a log from an offset on.

    ``offset`` is where to read on; ``more`` says that there is more already; ``ended`` that nothing will follow in
    this try's log, and ``done`` that no later try will come by itself either.
    """

    try_number: int
    latest_try: int
    lines: tuple[str, ...]
    offset: int
    more: bool
    ended: bool
    done: bool


class Logs:
    """Queries about logs."""

    def __init__(self, folder: Path, tasks: Tasks, stored: ReadStored | None = None) -> None:
        self._folder = folder
        self._stored = stored
        self._tasks = tasks

    def read(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: int = -1,
        *,
        try_number: int | None = None,
        offset: int = 0,
        visible: Visible = everything,
    ) -> LogChunk:
        """Return the lines of a try's log, of the latest try by default, from ``offset`` on.

        :raises NotFound: if there is no such DAG, run, task or try.
        :raises PluginError: if it is stored elsewhere, and cannot be read there.
        """
        # Read the state first: what was written before the end is then in the file.
        task = self._tasks.get(dag_id, run_id, task_id, map_index, visible=visible)
        latest = max(task.try_number, 1)
        wanted = try_number or latest
        if wanted > latest:
            raise NotFound(
                f"task {task_id!r} of run {run_id!r} has had {task.try_number} tries; there is no try {wanted}"
            )
        path = self.path(dag_id, run_id, task_id, map_index, wanted)
        ended = task.state.is_terminal or task.state is TaskState.UP_FOR_RETRY or wanted < latest
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            relative = log_path_of(dag_id, run_id, task_id, map_index, wanted)
            data = self._stored(relative, offset, _CHUNK) if self._stored is not None and ended else b""
        more = len(data) == _CHUNK
        whole = data if ended and not more else data[: data.rfind(b"\n") + 1]
        if more and not whole:  # one line longer than a chunk
            whole = data
        # Not splitlines(): a message may hold any other line separator of Unicode.
        lines = whole.decode(errors="replace").removesuffix("\n").split("\n") if whole else []
        return LogChunk(
            try_number=wanted,
            latest_try=latest,
            lines=tuple(lines),
            offset=offset + len(whole),
            more=more,
            ended=ended and not more,
            done=ended and not more and wanted == latest and task.state.is_terminal,
        )

    def path(self, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> Path:
        """Return the file of one try's log.

        :raises NotFound: if it would lie outside the log folder.
        """
        folder = self._folder.resolve()
        path = (folder / log_path_of(dag_id, run_id, task_id, map_index, try_number)).resolve()
        if not path.is_relative_to(folder):
            raise NotFound(f"the log of task {task_id!r} lies outside the log folder {folder}")
        return path
