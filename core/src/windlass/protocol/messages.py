"""The 16 verbs of the task protocol and their replies, as msgpack structs.

A child sends a :class:`Request` ``(id, verb)``. The supervisor answers ``Reply(id, …)``. A request with id 0 expects
no answer: the supervisor applies it before anything that comes later on the same pipe, so that a child may send its
XComs and its ``finish`` in one write and leave. Unknown fields are ignored, unknown verbs refused.

The 16: hello, get_connection, variable, xcom_get, xcom_set, xcom_info, query, trigger_run, asset_event, artifact_open,
artifact_commit, rendered, mask, progress, and the endings defer, reschedule and finish (``artifact`` counts once).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from windlass.errors import ProtocolError
from windlass.protocol.timetables import TimetableQuestion

PROTOCOL_VERSION = 1


class Outcome(StrEnum):
    """How user code ended."""

    SUCCESS = "success"
    FAIL = "fail"
    FAIL_NO_RETRY = "fail_no_retry"
    SKIP = "skip"


class XComValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An encoded value. Servers store it and never decode it.

    ``data`` holds the encoded bytes unless the value was spilled: then ``artifact`` names its content in the artifact
    store. ``length`` is the number of items of a list or dict, which mapping needs; None for anything else.
    ``preview`` is masked JSON for people, at most 2 KB.
    """

    codec: str
    data: bytes = b""
    artifact: str | None = None
    size: int = 0
    length: int | None = None
    preview: str = ""


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """The first word of a child; answered with :class:`AttemptContext` once the claim is committed."""

    pid: int
    protocol: int = PROTOCOL_VERSION


class GetConnection(msgspec.Struct, frozen=True, kw_only=True, tag="get_connection"):
    """Ask for a connection; answered with its fields as a dict (interfaces.Connection.from_fields)."""

    conn_id: str


class Variable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="variable"):
    """Read, write or delete a variable; ``get`` answers with its text."""

    op: str  # get | set | delete
    key: str
    value: str | None = None
    description: str | None = None


class XComGet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="xcom_get"):
    """Read XComs of one task of a run; answered with ``[[map_index, XComValue], …]`` in map-index order.

    ``map_index`` None means every instance; ``offset`` and ``limit`` slice them. ``include_prior_dates`` looks back
    through earlier runs of the DAG for the newest one that has the key.
    """

    task_id: str
    key: str = "return_value"
    dag_id: str | None = None
    run_id: str | None = None
    map_index: int | None = None
    offset: int = 0
    limit: int | None = None
    include_prior_dates: bool = False


class XComSet(msgspec.Struct, frozen=True, kw_only=True, tag="xcom_set"):
    """Store an XCom of this attempt's task instance."""

    key: str
    value: XComValue


class XComInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="xcom_info"):
    """Ask how many instances a (mapped) task has, how many of them have the key, and the length of a single one.

    Answered with ``{"instances", "count", "length"}``.
    """

    task_id: str
    key: str = "return_value"
    run_id: str | None = None


class Query(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="query"):
    """Ask about runs, task states, the previous run, or asset events; answered with a list of dicts."""

    what: str  # runs | task_states | previous | asset_events
    filters: dict[str, Any] = msgspec.field(default_factory=dict)
    offset: int = 0
    limit: int = 100


class TriggerRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="trigger_run"):
    """Create a manual run of a DAG; answered with the run's fields."""

    dag_id: str
    run_id: str | None = None
    logical_date: datetime | None = None
    conf: dict[str, Any] = msgspec.field(default_factory=dict)
    reset: bool = False


class AssetEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="asset_event"):
    """Record that an asset was updated."""

    uri: str
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    alias: str | None = None


class ArtifactOpen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="artifact_open"):
    """Open an artifact for writing (digest None) or reading.

    Answered with ``{"path": …}`` for the local store, or with ``{"store": …, "arguments": {…}}``: the name by which a
    manifest lists the store that the child opens itself, and what to make it with. There nothing is committed.
    """

    digest: str | None = None


class ArtifactCommit(msgspec.Struct, frozen=True, kw_only=True, tag="artifact_commit"):
    """Say that the artifact written at ``path`` is complete; the digest is its SHA-256 in hex."""

    path: str
    digest: str
    size: int


class Rendered(msgspec.Struct, frozen=True, kw_only=True, tag="rendered"):
    """The rendered template fields, for people to see: masked and truncated by the receiver."""

    fields: dict[str, Any]
    map_index_label: str | None = None


class Mask(msgspec.Struct, frozen=True, kw_only=True, tag="mask"):
    """Hide these texts from now on in everything of this attempt."""

    values: list[str]


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="progress"):
    """User code starts (``started_at``), or tells how far it is."""

    started_at: datetime | None = None
    fraction: float | None = None
    text: str | None = None


class Defer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="defer"):
    """End this attempt; a trigger waits, then the task resumes at ``method``."""

    trigger: str
    trigger_kwargs: XComValue
    method: str
    kwargs: XComValue
    timeout: float | None = None
    started_at: datetime
    ended_at: datetime


class Reschedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="reschedule"):
    """End this attempt and start another of the same try at ``at``."""

    at: datetime
    first_poke: datetime | None = None
    started_at: datetime
    ended_at: datetime


class Finish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="finish"):
    """The end of an attempt. Times are stamped by the child around user code; duration is monotonic, in seconds."""

    outcome: Outcome
    started_at: datetime
    ended_at: datetime
    duration: float = 0.0
    #: Why it failed or was skipped, in one line.
    reason: str | None = None
    #: Task ids that this task's decision skips.
    skip_targets: tuple[str, ...] = ()
    outlets: tuple[AssetEvent, ...] = ()


Verb = (
    Hello
    | GetConnection
    | Variable
    | XComGet
    | XComSet
    | XComInfo
    | Query
    | TriggerRun
    | AssetEvent
    | ArtifactOpen
    | ArtifactCommit
    | Rendered
    | Mask
    | Progress
    | Defer
    | Reschedule
    | Finish
)


class Request(msgspec.Struct, frozen=True, array_like=True):
    """A numbered verb; 0 expects no reply."""

    id: int
    verb: Verb


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to request ``id``: a result, or an error sentence with a stable ``code`` (WindlassError.code)."""

    id: int
    result: Any = None
    error: str | None = None
    code: str | None = None


class AttemptContext(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a child needs to know about its attempt; the reply to ``hello``."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    max_tries: int
    epoch: int
    lease_id: str
    run_type: str
    logical_date: datetime
    data_interval_start: datetime
    data_interval_end: datetime
    run_after: datetime
    queued_at: datetime | None = None
    run_start_date: datetime | None = None
    conf: dict[str, Any] = msgspec.field(default_factory=dict)
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    #: Stable until a clear; user code sends it to systems that deduplicate.
    idempotency_key: str = ""
    #: Number of instances of this task in the run; None for an unmapped one.
    mapped_count: int | None = None
    #: When the sensor of an earlier attempt of this try first poked.
    first_poke: datetime | None = None
    #: Set when resuming from a deferral: the method, its kwargs and the event, encoded.
    resume_method: str | None = None
    resume_kwargs: XComValue | None = None
    resume_event: XComValue | None = None
    #: Why the wait ended without an event; with ``resume_timed_out`` because its timeout had come.
    resume_failure: str | None = None
    resume_timed_out: bool = False
    log_path: str | None = None
    #: Set for a callback, which is no attempt of a task: its event, and why the task or run ended as it did. A run's
    #: callback has no task: its id is empty.
    callback: str = ""
    reason: str = ""
    #: Set for a question to a plugin's timetable, which is no attempt of a task either.
    question: TimetableQuestion | None = None


_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_reply_decoder = msgspec.msgpack.Decoder(Reply)


def encode(message: msgspec.Struct) -> bytes:
    """Return the msgpack bytes of a request, a reply or a struct inside one."""
    return _encoder.encode(message)


def decode_request(data: bytes) -> Request:
    """Return the request in ``data``.

    :raises ProtocolError: if it is not one, or its verb is unknown.
    """
    try:
        return _request_decoder.decode(data)
    except msgspec.MsgspecError as error:
        msg = f"a task sent a message that the protocol (version {PROTOCOL_VERSION}) does not know: {error}"
        raise ProtocolError(msg) from error


def decode_reply(data: bytes) -> Reply:
    """Return the reply in ``data``.

    :raises ProtocolError: if it is not one.
    """
    try:
        return _reply_decoder.decode(data)
    except msgspec.MsgspecError as error:
        msg = f"the supervisor sent a reply that this protocol (version {PROTOCOL_VERSION}) cannot read: {error}"
        raise ProtocolError(msg) from error
