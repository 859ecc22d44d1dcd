"""The core's own encoding of values does what every codec must, and still reads what it wrote long ago."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import PurePath, PurePosixPath
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from windlass.backends import XComCodec
from windlass.runtime import codecs
from windlass_testing.conformance import XComCodecSuite, deviation


class Tagged(XComCodec):
    """The core's functions in the shape of a provider's codec."""

    codec_id: ClassVar[str] = codecs.TAGGED
    type_names: ClassVar[tuple[str, ...]] = (
        "builtins.tuple", "builtins.set", "builtins.dict", "builtins.list", "datetime.datetime", "datetime.timedelta",
        "decimal.Decimal", "uuid.UUID", f"{PurePath.__module__}.PurePath", "builtins.float", "builtins.bytearray",
    )  # fmt: skip

    def encode(self, value: object) -> bytes:
        codec_id, data = codecs.encode(value, "the value")
        assert codec_id == codecs.TAGGED
        return data

    def decode(self, data: bytes) -> object:
        return codecs.decode(codecs.TAGGED, data)


class TestTagged(XComCodecSuite):
    codec_class = Tagged
    stored: Mapping[bytes, Any] = {
        b'{"__windlass__":"tuple","value":[1,"a"]}': (1, "a"),
        b'{"__windlass__":"set","value":[1,2]}': {1, 2},
        b'{"__windlass__":"decimal","value":"1.10"}': Decimal("1.10"),
        b'{"__windlass__":"datetime","value":["2026-10-25T02:30:00","Europe/Berlin",1]}': datetime(
            2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1
        ),
        b'{"a":{"__windlass__":"dict","value":[[1,null]]}}': {"a": {1: None}},
    }

    def values(self) -> Mapping[str, Any]:
        return {
            "a tuple": (1, ("ü", None)),
            "an empty set": set(),
            "a set of tuples": {(1, 2), (3, 4)},
            "a dict with numbers for keys": {1: "a", 2: {3: "b"}},
            "a list of dates": [
                datetime(2026, 1, 1, tzinfo=UTC),
                datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
            ],
            "a duration": timedelta(days=-1, microseconds=1),
            "a decimal": Decimal("-0.10"),
            "an id": UUID(int=1),
            "a path": PurePosixPath("/a/b"),
            "infinity": float("inf"),
            "bytes that can change": bytearray(b"\0\xff"),
            "many": [(number, str(number)) for number in range(10_000)],
        }

    @deviation("the core's encoding is built in: no manifest lists it")
    def test_its_provider_lists_it(self) -> None:
        """What it reads and writes without one is the subject of `testing/tests/conformance/test_4_values.py`."""
