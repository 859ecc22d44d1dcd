"""What a supervisor and its trigger hosts say to each other: frames of msgpack structs on a stream socketpair.

A host is opened once (:class:`Open`: for the triggers of providers, or with the code whose triggers it shall run) and
answers :class:`Opened` or :class:`Unopenable`. From then on each :class:`Begin` starts a trigger, which ends with
:class:`Event` or :class:`Failure`, or is cancelled by :class:`End`. In between a trigger may ask (:class:`Question`,
:class:`Told`) and write (:class:`Output`). :class:`Ping` is answered by the loop that all triggers share, and
:class:`Blocked` names the trigger that does not let it.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final

import msgspec

from windlass.protocol.framing import decoded, frame
from windlass.protocol.messages import Verb, XComValue

#: Names a wait: the task instance, and the epoch of the attempt that deferred it.
WaitKey = tuple[int, int]
#: Bytes of the cell that a host shares with its supervisor: the key of the wait whose code runs at this moment.
CELL = 16
#: What the module of a DAG file is called besides the file's own name.
_DAG_MODULE = re.compile(r"^windlass_dag_[0-9a-f]{8}_")


class Open(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="open"):
    """Get ready; with a ``code_version``, import ``file`` of that snapshot below ``code`` first."""

    code: str = ""
    code_version: str = ""
    file: str = ""
    #: The lowest level of ``logging`` that triggers write.
    log_level: str = "INFO"


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag="begin"):
    """Run the trigger of this class with these arguments; ``name`` is the task's, for messages."""

    key: WaitKey
    name: str
    trigger: str
    kwargs: XComValue


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """Cancel a trigger: nobody waits for it any more."""

    key: WaitKey


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="told"):
    """The answer to question ``id``."""

    id: int
    result: Any = None
    error: str | None = None
    code: str | None = None


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """Say that the loop turns."""

    number: int


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    """The host is ready."""


class Unopenable(msgspec.Struct, frozen=True, kw_only=True, tag="unopenable"):
    """The code cannot be imported; ``error`` is for its author. The host exits."""

    error: str


class Event(msgspec.Struct, frozen=True, kw_only=True, tag="event"):
    """The trigger fired."""

    key: WaitKey
    value: XComValue


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag="failure"):
    """The trigger will never fire, and why, in one line."""

    key: WaitKey
    reason: str


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="question"):
    """A trigger asks, or (without a key) the DAG file while it is imported."""

    id: int
    verb: Verb
    key: WaitKey | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True, tag="output"):
    """What a trigger printed or logged, as a task's process writes it."""

    key: WaitKey
    data: bytes


class Blocked(msgspec.Struct, frozen=True, kw_only=True, tag="blocked"):
    """A trigger has not let the others run for this many seconds; ``where`` is the line it stands at."""

    key: WaitKey
    seconds: float
    where: str


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag="pong"):
    """The loop turns."""

    number: int


ToHost = Open | Begin | End | Told | Ping
FromHost = Opened | Unopenable | Event | Failure | Question | Output | Blocked | Pong
#: Between whom these messages go.
_LINE: Final = "a supervisor and a trigger host"

_encoder = msgspec.msgpack.Encoder()
_to_host: msgspec.msgpack.Decoder[ToHost] = msgspec.msgpack.Decoder(ToHost)
_from_host: msgspec.msgpack.Decoder[FromHost] = msgspec.msgpack.Decoder(FromHost)


def shown(trigger: str) -> str:
    """Return the name of a trigger's class as people know it: a DAG file goes by its own name."""
    return _DAG_MODULE.sub("", trigger)


def pack(message: ToHost | FromHost) -> bytes:
    """Return the frame of ``message``.

    :raises ProtocolError: if it exceeds the limit of a frame.
    """
    return frame(_encoder.encode(message))


def to_host(payload: bytes) -> ToHost:
    """Return what a supervisor sent.

    :raises ProtocolError: if it is not one of these messages.
    """
    return decoded(_to_host, payload, _LINE)


def from_host(payload: bytes) -> FromHost:
    """Return what a host sent.

    :raises ProtocolError: if it is not one of these messages.
    """
    return decoded(_from_host, payload, _LINE)


def host_command(sock: int, cell: int, parent: int) -> list[str]:
    """Return the arguments that start a trigger host of the supervisor with pid ``parent``.

    It inherits the socket and the file of the cell.
    """
    runtime = [sys.executable, "-P", "-m", "windlass.runtime", "triggers"]
    return [*runtime, str(sock), str(cell), str(parent)]
