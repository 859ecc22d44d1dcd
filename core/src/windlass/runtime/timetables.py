"""Asking the timetable of a DAG's pinned code, in a process like a task's that is given five seconds.

The class is the one that the DAG of this very code version was made with, never one that data names; the instance is
made anew from its serialised parameters, so that an answer depends on what the spec holds and on nothing else.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from windlass.authoring.dag import DAG
from windlass.authoring.schedule import AssetOrTimeSchedule
from windlass.interfaces.timetable import Timetable
from windlass.planning.asking import NotAnAnswer, answer_of
from windlass.planning.paging import page_of
from windlass.ports import TaskSession
from windlass.protocol import Finish, Outcome, TimetableAnswer, TimetablePage, TimetableQuestion, XComSet, XComValue
from windlass.protocol.timetables import encode_answer
from windlass.runtime.attempt import trimmed

#: Where our own code lies.
_OURS = str(Path(__file__).parent.parent) + "/"
log = logging.getLogger("windlass.timetable")


def answer_question(dag: DAG, question: TimetableQuestion, session: TaskSession) -> Finish:
    """Send what the timetable answers, and return whether it did; connections and variables are not to be had."""
    started_at, started = datetime.now(UTC), time.perf_counter()
    reason = None
    try:
        data = encode_answer(said_by(table_of(dag, question), question))
        session.tell(XComSet(key="answer", value=XComValue(codec="json", data=data)))
    except Exception as error:  # whatever it raises
        log.error(  # noqa: TRY400 - the traceback begins in the author's code
            "timetable %s failed: %s", question.name, error, exc_info=(type(error), error, trimmed(error.__traceback__))
        )
        said = f"raised {type(error).__name__}: {error}{place_of(error)}"
        reason = str(error) if isinstance(error, NotAnAnswer) else said
    return Finish(
        outcome=Outcome.SUCCESS if reason is None else Outcome.FAIL,
        started_at=started_at,
        ended_at=datetime.now(UTC),
        duration=time.perf_counter() - started,
        reason=reason,
    )


def said_by(table: Timetable, question: TimetableQuestion) -> TimetableAnswer | TimetablePage | None:
    """Return what a timetable says to a question of whatever kind. Whatever it raises passes through."""
    return page_of(table, question) if question.limit else answer_of(table, question)


def place_of(error: BaseException) -> str:
    """Return where the author's code raised ``error``; nothing if it did not."""
    step, place = error.__traceback__, ""
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not file.startswith((_OURS, "<")):
            place = f" ({Path(file).name}:{step.tb_lineno})"
        step = step.tb_next
    return place


def declared_timetable(dag: DAG) -> object:
    """Return what the DAG file gives as its timetable, alone or besides assets."""
    return dag.schedule.timetable if isinstance(dag.schedule, AssetOrTimeSchedule) else dag.schedule


def table_of(dag: DAG, question: TimetableQuestion) -> Timetable:
    """Return the DAG's timetable, made anew from what the question says of it.

    :raises TypeError: if the DAG file gives something else as its schedule than it did.
    """
    declared = declared_timetable(dag)
    if not isinstance(declared, Timetable):
        msg = f"the DAG file gives its schedule as {declared!r} when it is imported to ask its timetable"
        raise TypeError(msg)
    return type(declared).deserialize(question.data)
