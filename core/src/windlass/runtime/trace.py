"""What failed, for the authors of DAG files: in one line, and in their own lines of a traceback, without ours."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from windlass.errors import TaskSkipped

_OURS = str(Path(__file__).parent) + "/"
_MACHINERY = ("<frozen importlib",)
_LONGEST = 500


def user_traceback(error: BaseException) -> str:
    """Return the traceback of ``error`` from the author's first line on; the error alone where none is theirs."""
    first = error.__traceback__
    while first is not None and _is_machinery(first):
        first = first.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, first))
    except RecursionError:
        return f"{type(error).__name__}: {error}\n"


def reason_of(error: BaseException) -> str:
    """Return one line that says what happened; where a provider's library is missing, also how to install it."""
    if isinstance(error, ImportError):
        from windlass.registry.absent import missing_library  # only who lacks something pays for it

        if said := missing_library(error):
            return shortened(said)
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:  # noqa: BLE001 - an exception of the author's that cannot be shown
        text = "(its text cannot be shown)"
    name = type(error).__name__
    return shortened(text if isinstance(error, TaskSkipped) else f"{name}: {text}" if text else name)


def shortened(line: str) -> str:
    """Return ``line``, cut where a reason must end."""
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def where(error: BaseException, root: str) -> str:
    """Return ``file:line`` of the innermost line below ``root`` that ``error`` passed through; "" if there is none."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{_below(error.filename, root)}:{error.lineno}"
    found = ""
    step = error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name.startswith(root.rstrip("/") + "/"):
            found = f"{_below(name, root)}:{step.tb_lineno}"
        step = step.tb_next
    return found


def made_at(error: BaseException, root: str) -> str:
    """Return ``file:line`` of the DAG that ``error`` blames, if that was made below ``root``; else ""."""
    file, line = getattr(error, "windlass_place", ("", 0))
    return f"{_below(file, root)}:{line}" if file.startswith(root.rstrip("/") + "/") else ""


def _below(path: str, root: str) -> str:
    prefix = root.rstrip("/") + "/"
    return path.removeprefix(prefix)


def _is_machinery(step: TracebackType) -> bool:
    name = step.tb_frame.f_code.co_filename
    return name.startswith((_OURS, *_MACHINERY))
