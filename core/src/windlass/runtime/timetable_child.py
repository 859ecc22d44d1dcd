"""``windlass backfill create --dry-run`` of a DAG whose timetable is a plugin's: the process that asks it.

The question comes as JSON on standard input, the answer goes as JSON ``[answer, reason]`` to standard output, one of
them null; whatever the author's code prints goes to standard error, so that it cannot be taken for the answer. It loads
the code that the question names and nothing else: there is no database, no connection and no variable.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from windlass.errors import WindlassError
from windlass.planning.asking import TIMEOUT, NotAnAnswer
from windlass.protocol import TimetableQuestion
from windlass.protocol.timetables import decode_question, encode_answer
from windlass.runtime.timetables import place_of, said_by, table_of


def main(code: str) -> int:
    """Ask the question on standard input and print the answer."""
    question = decode_question(sys.stdin.buffer.read())
    answer = os.dup(1)
    os.dup2(2, 1)
    said: tuple[msgspec.Raw | None, str | None]
    try:
        said = msgspec.Raw(_answer(Path(code), question)), None
    except (NotAnAnswer, WindlassError) as error:
        said = None, str(error)
    except Exception as error:  # noqa: BLE001 - whatever the author's code raises
        said = None, f"raised {type(error).__name__}: {error}{place_of(error)}"
    with os.fdopen(answer, "wb") as line:
        line.write(msgspec.json.encode(said))
    return 0


def _answer(code: Path, question: TimetableQuestion) -> bytes:
    from windlass.authoring import scope
    from windlass.runtime.loader import load_snapshot

    dags = scope.collect(load_snapshot(code, question.code_version, question.file))
    dag = next(dag for dag in dags if dag.dag_id == question.dag_id)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process, whatever the author's code catches
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT)
    said = encode_answer(said_by(table_of(dag, question), question))
    signal.setitimer(signal.ITIMER_REAL, 0)
    return said
