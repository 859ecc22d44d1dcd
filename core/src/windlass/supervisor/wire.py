"""What a server and a supervisor say to each other on ``run/supervisor.sock``: frames of msgpack structs.

The server greets with its version; the supervisor answers :class:`Welcome`, or :class:`Refused` and closes. After that
the server only sends orders, none of which is acknowledged: everything that matters is in the store, and an order that
got lost is found again there. :class:`GetStats` alone is answered.
"""

from __future__ import annotations

from typing import Final

import msgspec

from windlass.ports import StopRequest, Workload
from windlass.protocol.framing import decoded

#: Rises with any change that an older peer could not read.
WIRE_VERSION = 1


class Greeting(msgspec.Struct, frozen=True, kw_only=True, tag="greeting"):
    """The first word of a server."""

    version: str
    wire: int = WIRE_VERSION


class Submit(msgspec.Struct, frozen=True, kw_only=True, tag="submit"):
    """Run these. From now on at most ``parallelism`` tasks run at once, of whatever order; 0 = no limit."""

    workloads: list[Workload]
    parallelism: int = 0


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """Stop these attempts."""

    requests: list[StopRequest]


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag="prepare"):
    """Start the zygotes of these (bundle, file, code_version)."""

    code: list[tuple[str, str, str]]


class Drain(msgspec.Struct, frozen=True, kw_only=True, tag="drain"):
    """Take nothing new, and exit once all attempts have ended."""


class Shutdown(msgspec.Struct, frozen=True, kw_only=True, tag="shutdown"):
    """Stop all attempts and exit; they are reported as lost."""


class GetStats(msgspec.Struct, frozen=True, kw_only=True, tag="get_stats"):
    """Ask for :class:`Stats`."""


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """The supervisor is ready. ``instance`` differs after every start: then what was submitted before is forgotten."""

    version: str
    supervisor: str
    instance: str
    pid: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """The supervisor will not work for this server, and why."""

    reason: str


class Stats(msgspec.Struct, frozen=True, kw_only=True, tag="stats"):
    """How the supervisor is doing."""

    running: int
    waiting: int
    zygotes: dict[str, int]
    forks: int
    reports_held: int
    claiming: bool


Order = Greeting | Submit | Stop | Prepare | Drain | Shutdown | GetStats
Answer = Welcome | Refused | Stats
#: Between whom these messages go.
_LINE: Final = f"a server and its supervisor (wire version {WIRE_VERSION})"

_encoder = msgspec.msgpack.Encoder()
_orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def pack(message: Order | Answer) -> bytes:
    """Return the payload of ``message``, to be framed."""
    return _encoder.encode(message)


def order(payload: bytes) -> Order:
    """Return what a server sent.

    :raises ProtocolError: if it is not one of these messages.
    """
    return decoded(_orders, payload, _LINE)


def answer(payload: bytes) -> Answer:
    """Return what a supervisor sent.

    :raises ProtocolError: if it is not one of these messages.
    """
    return decoded(_answers, payload, _LINE)
