"""What a supervisor and its zygotes say to each other, one datagram of a SOCK_SEQPACKET socketpair per message.

A zygote is told once what to load (:class:`Load`) and answers :class:`Ready` or :class:`Unloadable`. From then on each
:class:`Fork` makes children; for each of them it brings two descriptors, the child's end of its protocol socketpair and
the write end of its log pipe. The zygote answers :class:`Forked`, and :class:`Exited` once it has reaped some.
While it loads, the DAG file may ask for connections and variables (:class:`Ask`, :class:`Answer`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from windlass.errors import ProtocolError
from windlass.protocol.framing import decoded
from windlass.protocol.messages import GetConnection, Mask, Variable

#: The most bytes of one datagram. The kernel's default send buffer holds about 200 KB.
MAX_DATAGRAM = 128 << 10
#: The most children of one :class:`Fork`; the kernel passes at most 253 descriptors at once.
MAX_FORKS = 64
#: The environment variable that marks every process of an attempt: ``<tag of the supervisor>.<token of the attempt>``.
LEASE_VARIABLE = "WINDLASS_LEASE_ID"
#: Has the dynamic linker look up what the C libraries call of each other when a zygote starts; else each child would,
#: at its first call. For the zygote alone: it takes this away from what its children pass on.
BIND_AT_START = {"LD_BIND_NOW": "zygote"}
#: The token of a zygote, which belongs to no attempt. As long as any token: children overwrite it in place.
NO_TOKEN = "0" * 32


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load"):
    """Import ``file`` of the snapshot ``code_version`` found below ``code`` (the folder of blobs and versions)."""

    code: str
    code_version: str
    file: str
    #: The lowest level of ``logging`` that tasks write.
    log_level: str = "INFO"
    #: Dotted name of the provider's function that makes the datetimes of contexts; empty: they are plain.
    moment_factory: str = ""


class Fork(msgspec.Struct, frozen=True, kw_only=True, tag="fork"):
    """Fork a child for each attempt marked by one of ``tokens``; the descriptors come along, in this order."""

    tokens: list[str]


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="answer"):
    """The answer to an :class:`Ask`."""

    result: Any = None
    error: str | None = None
    code: str | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ready"):
    """The file is imported. ``threads`` names the ones it left behind: then nothing may be forked from here."""

    dags: list[str]
    threads: list[str] = msgspec.field(default_factory=list)
    #: It asked for a connection or a variable, so what it holds grows stale.
    asked: bool = False


class Unloadable(msgspec.Struct, frozen=True, kw_only=True, tag="unloadable"):
    """The file cannot be imported; ``error`` is for its author. The zygote exits."""

    error: str


class Forked(msgspec.Struct, frozen=True, kw_only=True, tag="forked"):
    """These children live: token -> pid."""

    pids: dict[str, int]


class Unforked(msgspec.Struct, frozen=True, kw_only=True, tag="unforked"):
    """The child of ``token`` could not be forked: the system is out of processes or memory."""

    token: str
    error: str


class Exited(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="exited"):
    """These children are gone: pid -> wait status. ``orphans``: the zygote has adopted processes of some child."""

    statuses: dict[int, int]
    orphans: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """The file asks for something while it is imported, or has a secret hidden."""

    verb: GetConnection | Variable | Mask


ToZygote = Load | Fork | Answer
FromZygote = Ready | Unloadable | Forked | Unforked | Exited | Ask
#: Between whom these messages go.
_LINE: Final = "a supervisor and its zygote"

_encoder = msgspec.msgpack.Encoder()
_to_zygote: msgspec.msgpack.Decoder[ToZygote] = msgspec.msgpack.Decoder(ToZygote)
_from_zygote: msgspec.msgpack.Decoder[FromZygote] = msgspec.msgpack.Decoder(FromZygote)


def datagram(message: ToZygote | FromZygote) -> bytes:
    """Return the bytes of ``message``.

    :raises ProtocolError: if they exceed :data:`MAX_DATAGRAM`.
    """
    data = _encoder.encode(message)
    if len(data) > MAX_DATAGRAM:
        msg = f"a zygote message of {len(data)} bytes exceeds the limit of {MAX_DATAGRAM}"
        raise ProtocolError(msg)
    return data


def to_zygote(data: bytes) -> ToZygote:
    """Return what a supervisor sent.

    :raises ProtocolError: if it is not one of these messages.
    """
    return decoded(_to_zygote, data, _LINE)


def from_zygote(data: bytes) -> FromZygote:
    """Return what a zygote sent.

    :raises ProtocolError: if it is not one of these messages.
    """
    return decoded(_from_zygote, data, _LINE)
