"""What a plugin's timetable is asked and what it answers, as data that travels to a child and back.

A question holds everything that the answer may depend on, so that it can be asked again after a crash, and an answer
can be judged by who was not there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from windlass.errors import ProtocolError


class TimetableQuestion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When is the next run of a DAG due; or, with ``run`` set, which data interval does that manual run cover?"""

    dag_id: str
    #: What the DAG's spec calls the timetable, and what its ``serialize`` returned.
    name: str
    data: dict[str, Any]
    spec_version: str
    code_version: str
    bundle: str
    file: str
    #: The instant of asking; for a manual run its ``run_after``.
    now: datetime
    run: int = 0
    last_start: datetime | None = None
    last_end: datetime | None = None
    earliest: datetime | None = None
    latest: datetime | None = None
    catchup: bool = False
    unpaused_at: datetime | None = None
    run_on_unpause: bool = True


class TimetableAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A run to come, or for a manual run its interval (``run_after`` says nothing then)."""

    run_after: datetime
    start: datetime
    end: datetime


_answer_decoder: msgspec.json.Decoder[TimetableAnswer | None] = msgspec.json.Decoder(TimetableAnswer | None)
_question_decoder = msgspec.json.Decoder(TimetableQuestion)


def encode_answer(answer: TimetableAnswer | None) -> bytes:
    """Return the JSON of an answer; None: the timetable wants no run."""
    return msgspec.json.encode(answer)


def decode_answer(data: bytes) -> TimetableAnswer | None:
    """Return the answer in ``data``.

    :raises ProtocolError: if it is none.
    """
    try:
        return _answer_decoder.decode(data)
    except msgspec.MsgspecError as error:
        msg = f"what a timetable's process sent is no answer: {error}"
        raise ProtocolError(msg) from error


def encode_question(question: TimetableQuestion) -> bytes:
    """Return the JSON of a question."""
    return msgspec.json.encode(question)


def decode_question(data: bytes) -> TimetableQuestion:
    """Return the question in ``data``, which :func:`encode_question` made."""
    return _question_decoder.decode(data)
