"""What the operator, the sensor and the decorator share: from a task's fields to a finished command."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windlass_bash import process

log = logging.getLogger("windlass_bash")

#: What the environment tells a command about its task: variable -> key of the context.
_CONTEXT = {
    "WINDLASS_CTX_DAG_RUN_ID": "run_id",
    "WINDLASS_CTX_LOGICAL_DATE": "ts",
    "WINDLASS_CTX_TRY_NUMBER": "try_number",
}


def run_command(
    command: str,
    context: Mapping[str, Any],
    *,
    env: Mapping[str, str] | None,
    append_env: bool,
    cwd: str | None,
    encoding: str,
) -> tuple[int, str]:
    """Run a command for the task of ``context``; return its exit code and the last line of its output.

    Each line goes to the task's log while the command runs.
    """
    if cwd is not None:
        folder = Path(cwd)
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise NotADirectoryError(f"cwd {cwd!r} {what} on the machine that runs the task")
    last = ""

    def emit(raw: bytes) -> None:
        nonlocal last
        last = raw.decode(encoding, errors="backslashreplace").rstrip()
        log.info("%s", last)

    environment = process.environment(env, append=append_env, context=_about(context), inherited=os.environ)
    return process.run(command, env=environment, cwd=cwd, line=emit), last


def check_env(who: str, env: object) -> Mapping[str, str] | None:
    """Return ``env`` with texts for values, as an environment needs them.

    :raises TypeError: if it is no mapping of names to texts and numbers.
    """
    if env is None:
        return None
    if not isinstance(env, Mapping):
        raise TypeError(f"{who}: env must be a dict of names and values, not {type(env).__name__}")
    for name, value in env.items():
        if (
            not isinstance(name, str)
            or isinstance(value, bool)
            or not isinstance(value, str | int | float | os.PathLike)
        ):
            raise TypeError(f"{who}: env[{name!r}] must be a text, not {type(value).__name__}")
    return {name: os.fspath(value) if isinstance(value, os.PathLike) else str(value) for name, value in env.items()}


def _about(context: Mapping[str, Any]) -> dict[str, str]:
    about = {variable: str(context[key]) for variable, key in _CONTEXT.items() if key in context}
    task = context.get("task")
    if task is not None:
        about |= {
            "WINDLASS_CTX_DAG_ID": task.dag_id,
            "WINDLASS_CTX_TASK_ID": task.task_id,
            "WINDLASS_CTX_DAG_OWNER": task.owner,
        }
    return about
