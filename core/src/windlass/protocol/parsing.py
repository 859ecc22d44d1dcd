"""What ``dagfiles`` and the parse server say to each other.

``dagfiles`` starts the parse server (:func:`parse_server_command`) with one end of a stream socketpair and sends
:class:`ParseRequest`; for each one :class:`ParseResult` comes back, in any order, carrying the request's id. In
between, a file that reads a connection or a variable at its top level makes the server send :class:`ParseAsk`, which
must be answered with :class:`ParseAnswer` (an error is an answer too). Closing the socket ends the server and every
parse in flight.

The frames are those of the task protocol, but a file's specs may be larger than a task's message, so they have a limit
of their own.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, Final

import msgspec

from windlass.errors import ProtocolError
from windlass.protocol.findings import Observed
from windlass.protocol.framing import decoded
from windlass.protocol.messages import GetConnection, Mask, Variable

#: The most bytes one message may have; a file whose specs exceed it gets an error that says so.
PARSE_FRAME_LIMIT = 64 << 20
_LENGTH = struct.Struct(">I")


class ParseRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="parse"):
    """Parse ``file`` (relative, forward slashes) of the bundle folder ``root`` (absolute) in a child of its own."""

    id: int
    bundle: str
    root: str
    file: str
    #: Seconds of wall clock, and of CPU, before the child is killed.
    timeout: float = 30.0
    #: Bytes of address space; 0 = unlimited.
    memory: int = 2 << 30
    #: In which naive dates are read, an IANA name.
    timezone: str = "UTC"
    #: Look for what ``dags lint`` finds, with clocks that are ahead by so many seconds; None = only parse.
    lint: float | None = None


class ParseResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="result"):
    """What one file said. Exactly one of ``specs`` (possibly empty) and ``error`` counts."""

    id: int
    #: Canonical specs (spec.encode_spec), one per DAG, in order of definition.
    specs: list[bytes] = msgspec.field(default_factory=list)
    #: One clear sentence with file and line, then the user's own traceback.
    error: str | None = None
    #: Path below the root -> SHA-256 (hex) of everything under it that the file imported or read, itself included.
    #: Also filled after an error, as far as known, so that a change of a broken import parses the file again.
    inputs: dict[str, str] = msgspec.field(default_factory=dict)
    #: Paths below the root that were looked for and are not there: creating one may change the result.
    missing: list[str] = msgspec.field(default_factory=list)
    #: The newest lines of what the file printed, at most 64 KB.
    output: str = ""
    #: Python warnings raised while it was imported, one line each.
    warnings: list[str] = msgspec.field(default_factory=list)
    #: Seconds.
    duration: float = 0.0
    #: The shortest interval after which a DAG of this file asks to be parsed again.
    min_interval: float | None = None
    #: What was seen beside the DAGs, if the request wanted that.
    observed: Observed | None = None


class ParseAsk(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """File ``id`` asks for a connection or a variable while it is parsed, or has a secret hidden."""

    id: int
    verb: GetConnection | Variable | Mask


class ParseAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="answer"):
    """The answer to a :class:`ParseAsk` of request ``id``."""

    id: int
    result: Any = None
    error: str | None = None
    code: str | None = None


#: Between whom these messages go.
_LINE: Final = "dagfiles and its parse server"

_encoder = msgspec.msgpack.Encoder()
_to_server: msgspec.msgpack.Decoder[ParseRequest | ParseAnswer] = msgspec.msgpack.Decoder(ParseRequest | ParseAnswer)
_from_server: msgspec.msgpack.Decoder[ParseResult | ParseAsk] = msgspec.msgpack.Decoder(ParseResult | ParseAsk)


def pack(message: ParseRequest | ParseAnswer | ParseResult | ParseAsk) -> bytes:
    """Return the frame of ``message``: its length and its msgpack bytes.

    :raises ProtocolError: if it exceeds :data:`PARSE_FRAME_LIMIT`.
    """
    payload = _encoder.encode(message)
    if len(payload) > PARSE_FRAME_LIMIT:
        msg = f"a parse message of {len(payload)} bytes exceeds the limit of {PARSE_FRAME_LIMIT}"
        raise ProtocolError(msg)
    return _LENGTH.pack(len(payload)) + payload


def unpack_to_server(payload: bytes) -> ParseRequest | ParseAnswer:
    """Return what ``dagfiles`` sent, from a payload that ``FrameReader(PARSE_FRAME_LIMIT)`` cut out.

    :raises ProtocolError: if it is not one of these messages.
    """
    return decoded(_to_server, payload, _LINE)


def unpack_from_server(payload: bytes) -> ParseResult | ParseAsk:
    """Return what the parse server sent.

    :raises ProtocolError: if it is not one of these messages.
    """
    return decoded(_from_server, payload, _LINE)


def parse_server_command(fd: int, *, concurrency: int = 2) -> list[str]:
    """Return the arguments that start a parse server speaking on the inherited stream socket ``fd``.

    Start it with ``pass_fds=(fd,)`` and an environment without WINDLASS_CONN_*, WINDLASS_VAR_* and WINDLASS__*.
    """
    runtime = [sys.executable, "-P", "-m", "windlass.runtime", "parse"]
    return [*runtime, "--fd", str(fd), "--concurrency", str(concurrency)]
