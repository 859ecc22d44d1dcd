"""The words of the task protocol are pinned: an older or newer peer must be able to read them, or be told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from windlass.errors import ProtocolError
from windlass.protocol import (
    PROTOCOL_VERSION,
    AttemptContext,
    Finish,
    Hello,
    Outcome,
    Reply,
    Request,
    Verb,
    XComGet,
    XComSet,
    XComValue,
    decode_reply,
    decode_request,
    encode,
)
from windlass.protocol.timetables import TimetableQuestion

AT = datetime(2026, 11, 27, 4, 0, 0, 1, tzinfo=UTC)
#: What every peer of this version reads and writes.
GOLDEN = Path(__file__).with_name("protocol.txt")


def described(kind: type[msgspec.Struct]) -> list[str]:
    """Return the shape of ``kind`` as it is on the wire: its name, and each field with its type and default."""
    config = kind.__struct_config__
    shape = "array" if config.array_like else f"map, {config.tag_field}={config.tag}" if config.tag else "map"
    lines = [f"{kind.__name__} ({shape})"]
    for field in msgspec.structs.fields(kind):
        default = "" if field.required else " = …" if field.default is msgspec.NODEFAULT else f" = {field.default!r}"
        of_type = field.type.__name__ if type(field.type) is type else str(field.type)
        lines.append(f"    {field.encode_name}: {re.sub(r'[a-z_]+[.]', '', of_type)}{default}")
    return lines


def test_the_words_are_those_of_this_version() -> None:
    kinds = [Request, Reply, AttemptContext, XComValue, TimetableQuestion, *get_args(Verb)]
    lines = [line for kind in kinds for line in described(kind)]
    now = "\n".join([f"version {PROTOCOL_VERSION}", *lines, f"Outcome: {', '.join(Outcome)}", ""])
    assert now == GOLDEN.read_text(encoding="utf-8"), (
        "the protocol has changed: where an older peer cannot read that, raise PROTOCOL_VERSION; then bring "
        "protocol.txt up to date"
    )


def test_there_are_sixteen_verbs() -> None:
    names = {kind.__struct_config__.tag for kind in get_args(Verb)}
    assert len(names - {"artifact_open", "artifact_commit"} | {"artifact"}) == 16


def test_a_field_that_is_not_known_is_ignored() -> None:
    known = msgspec.msgpack.decode(encode(Request(3, Hello(pid=7))))
    known[1]["mood"] = "good"
    assert decode_request(msgspec.msgpack.encode(known)) == Request(3, Hello(pid=7))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param([1, {"type": "sing", "song": "x"}], id="a verb that is not known"),
        pytest.param([1, {"type": "hello"}], id="a field too few"),
        pytest.param([1, {"type": "hello", "pid": "seven"}], id="a field of another type"),
        pytest.param({"id": 1}, id="no request"),
    ],
)
def test_what_is_no_request_is_refused(message: object) -> None:
    with pytest.raises(
        ProtocolError, match=rf"a message that the protocol \(version {PROTOCOL_VERSION}\) does not know"
    ):
        decode_request(msgspec.msgpack.encode(message))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01"], ids=["empty", "no msgpack", "cut off"])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="does not know"):
        decode_request(data)
    with pytest.raises(ProtocolError, match="cannot read"):
        decode_reply(data)


@pytest.mark.parametrize(
    "request_",
    [
        Request(0, Finish(outcome=Outcome.FAIL_NO_RETRY, started_at=AT, ended_at=AT, reason="größer 1 µs")),
        Request(2**31, XComGet(task_id="t", key="schlüssel", map_index=0)),
        Request(1, XComSet(key="k", value=XComValue(codec="json", data=bytes(range(256)), size=256))),
    ],
)
def test_a_request_comes_back_equal(request_: Request) -> None:
    assert decode_request(encode(request_)) == request_


def test_a_context_comes_back_equal_in_its_reply() -> None:
    context = AttemptContext(
        dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, max_tries=2, epoch=3, lease_id="l",
        run_type="manual", logical_date=AT, data_interval_start=AT, data_interval_end=AT, run_after=AT, conf={"ü": [1]},
    )  # fmt: skip
    assert msgspec.convert(decode_reply(encode(Reply(1, context))).result, AttemptContext) == context
