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
    """When is the next run of a DAG due?

    With ``run`` set: which data interval does that manual run cover? With ``limit`` set: which intervals, so many at
    most, come after ``reached`` between ``earliest`` and ``latest``, for a backfill?
    """

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
    #: The backfill that asks for intervals; 0: a person who wants to see them.
    backfill: int = 0
    limit: int = 0
    backwards: bool = False
    #: The logical date that the backfill has come to, None at its start.
    reached: datetime | None = None

    @property
    def about(self) -> int:
        """What is asked about: a run's number, that of a backfill below zero, or 0: the DAG's next run."""
        return -self.backfill if self.backfill else self.run


class TimetableAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A run to come, or for a manual run its interval (``run_after`` says nothing then)."""

    run_after: datetime
    start: datetime
    end: datetime


class TimetablePage(msgspec.Struct, frozen=True, kw_only=True):
    """The next intervals of a backfill, in its direction; ``is_last``: there are no more behind them."""

    runs: tuple[TimetableAnswer, ...]
    is_last: bool


_answer_decoder: msgspec.json.Decoder[TimetableAnswer | None] = msgspec.json.Decoder(TimetableAnswer | None)
_page_decoder = msgspec.json.Decoder(TimetablePage)
_question_decoder = msgspec.json.Decoder(TimetableQuestion)


def encode_answer(answer: TimetableAnswer | TimetablePage | None) -> bytes:
    """Return the JSON of an answer; None: the timetable wants no run."""
    return msgspec.json.encode(answer)


def decode_answer(data: bytes) -> TimetableAnswer | None:
    """Return the answer in ``data``.

    :raises ProtocolError: if it is none.
    """
    try:
        return _answer_decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"what a timetable's process sent is no answer: {error}") from error


def decode_page(data: bytes) -> TimetablePage:
    """Return the intervals in ``data``.

    :raises ProtocolError: if it is no such answer.
    """
    try:
        return _page_decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"what a timetable's process sent is no list of intervals: {error}") from error


def encode_question(question: TimetableQuestion) -> bytes:
    """Return the JSON of a question."""
    return msgspec.json.encode(question)


def decode_question(data: bytes) -> TimetableQuestion:
    """Return the question in ``data``, which :func:`encode_question` made."""
    return _question_decoder.decode(data)
