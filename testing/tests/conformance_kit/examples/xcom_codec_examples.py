"""Codecs that XComCodecSuite must reject, each with one thing wrong; the first is sound."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from variants import provider

from windlass.backends import XComCodec
from windlass_testing.conformance import XComCodecSuite

NAMES = (
    "Sound",
    "Unversioned",
    "Narrow",
    "Greedy",
    "Lossy",
    "Softening",
    "Spending",
    "Newer",
    "Pickling",
    "Showing",
    "Exiting",
)
LISTED = "".join(f'            "kit.{n}{"/1" * (n != "Unversioned")}": "{__name__}:{n}",\n' for n in NAMES)
provider(
    "kit",
    ("plugin.py", "        triggers={\n", f"        xcom_codecs={{\n{LISTED}        }},\n        triggers={{\n"),
)


@dataclass
class Basket:
    """What the codecs encode."""

    fruits: list[str] = field(default_factory=list)


class Sound(XComCodec):
    codec_id = "kit.Sound/1"
    type_names = (f"{__name__}.Basket",)

    def __init_subclass__(cls) -> None:
        cls.codec_id = f"kit.{cls.__name__}/1"

    def encode(self, value: Any) -> bytes:
        return json.dumps({"fruits": value.fruits}).encode()

    def decode(self, data: bytes) -> Any:
        return Basket(list(json.loads(data)["fruits"]))


class Kit(XComCodecSuite):
    """Tries some baskets."""

    stored: Mapping[bytes, Any] = {b'{"fruits": ["plum"]}': Basket(["plum"])}

    def values(self) -> Mapping[str, Any]:
        return {"empty": Basket(), "full": Basket(["Äpfel"] * 5000)}


class TestSound(Kit):
    breaks: set[str] = set()
    codec_class = Sound


class Unlisted(Sound):
    pass


class TestIsNotListed(Kit):
    breaks = {"test_its_provider_lists_it"}
    codec_class = Unlisted


class Unversioned(Sound):
    pass


Unversioned.codec_id = "kit.Unversioned"


class TestHasNoVersion(Kit):
    breaks = {"test_its_id_has_a_version"}
    codec_class = Unversioned


class Narrow(Sound):
    type_names = ("somewhere.else.Basket",)


class TestIsNotAskedForItsValues(Kit):
    breaks = {"test_it_is_asked_for_its_values"}
    codec_class = Narrow


class Greedy(Sound):
    type_names = ("builtins.object",)


class TestTakesEveryValue(Kit):
    breaks = {"test_it_is_asked_for_its_values"}
    codec_class = Greedy


class Lossy(Sound):
    def encode(self, value: Any) -> bytes:
        return super().encode(Basket(value.fruits[:100]))


class TestLosesPartOfAValue(Kit):
    breaks = {"test_values_come_back_equal"}
    codec_class = Lossy


class Softening(Sound):
    def decode(self, data: bytes) -> Any:
        class Other(Basket):
            def __eq__(self, other: object) -> bool:
                return isinstance(other, Basket) and self.fruits == other.fruits

            __hash__ = None  # type: ignore[assignment]

        return Other(super().decode(data).fruits)


class TestReturnsAnotherClass(Kit):
    breaks = {"test_values_come_back_equal"}
    codec_class = Softening


class Spending(Sound):
    def encode(self, value: Any) -> bytes:
        data = super().encode(value)
        value.fruits.clear()
        return data


class TestEmptiesWhatItEncodes(Kit):
    breaks = {"test_encoding_changes_nothing", "test_values_come_back_equal"}
    codec_class = Spending


class Newer(Sound):
    def encode(self, value: Any) -> bytes:
        return json.dumps(value.fruits).encode()

    def decode(self, data: bytes) -> Any:
        return Basket(list(json.loads(data)))


class TestNoLongerReadsWhatWasStored(Kit):
    breaks = {"test_what_was_stored_long_ago_is_still_read"}
    codec_class = Newer


class Pickling(Sound):
    def encode(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def decode(self, data: bytes) -> Any:
        return super().decode(data) if data.startswith(b"{") else pickle.loads(data)


class TestExecutesWhatItReads(Kit):
    breaks = {"test_reading_executes_nothing"}
    codec_class = Pickling


class Showing(Sound):
    def preview(self, value: Any) -> Any:
        return {"fruits": value.fruits}


class TestShowsEverything(Kit):
    breaks = {"test_its_preview_is_json"}
    codec_class = Showing


class Exiting(Sound):
    def decode(self, data: bytes) -> Any:
        try:
            return super().decode(data)
        except ValueError:
            raise SystemExit(1) from None


class TestEndsTheProcess(Kit):
    breaks = {"test_damaged_bytes_are_an_error_or_another_value", "test_reading_executes_nothing"}
    codec_class = Exiting
