"""XComCodecSuite: values come back equal, what was stored long ago as well, and reading executes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from windlass.backends import XComCodec
from windlass.registry import registry
from windlass_testing.conformance.suite import Suite, must_give

#: What a payload that was executed leaves here.
EXECUTED: Final[list[str]] = []


class XComCodecSuite(Suite):
    """Checks a codec by some values of its types.

    A subclass::

        class TestGeometry(XComCodecSuite):
            codec_class = GeometryCodec
            stored = {b"POINT (1 2)": Point(1, 2)}

            def values(self): return {"a point": Point(1, 2), "nothing": Point()}
    """

    #: The class under test.
    codec_class: type[XComCodec]
    #: What earlier versions wrote -> the values that it stands for. Add to it with each release, and never change it.
    stored: Mapping[bytes, Any] = {}

    def values(self) -> Mapping[str, Any]:
        """Return values to try, by what is special about them: empty, large, with time zones … Override it."""
        must_give(self, "values(): values to try, by name")

    def same(self, left: Any, right: Any) -> bool:  # noqa: ANN401 - of the codec's own type
        """Return whether two values are equal; override it where ``==`` does not say so, as with frames."""
        return bool(left == right)

    def test_its_provider_lists_it(self) -> None:
        """Under its id."""
        assert registry().names("xcom_codecs").get(self.codec_class.codec_id), "xcom_codecs= of the manifest lacks it"
        assert registry().lookup("xcom_codecs", self.codec_class.codec_id) is self.codec_class

    def test_its_id_has_a_version(self) -> None:
        """`name/1`: a format that cannot be read by older readers gets the next number."""
        name, slash, number = self.codec_class.codec_id.rpartition("/")
        assert name, self.codec_class.codec_id
        assert slash, f"{self.codec_class.codec_id} has no version; call it {self.codec_class.codec_id}/1"
        assert number.isdigit(), self.codec_class.codec_id

    def test_it_is_asked_for_its_values(self) -> None:
        """`type_names` names the class of each, or a base of it."""
        for what, value in self.values().items():
            names = {f"{base.__module__}.{base.__qualname__}" for base in type(value).__mro__}
            assert names & set(self.codec_class.type_names), f"{what}: none of {sorted(names)} is in type_names"
            assert "builtins.object" not in self.codec_class.type_names, "it would take every value"

    def test_values_come_back_equal(self) -> None:
        """And of the same class, by an instance that has not written them."""
        for what, value in self.values().items():
            data = self.codec_class().encode(value)
            assert isinstance(data, bytes), f"{what}: encode returned {type(data).__name__}"
            found = self.codec_class().decode(data)
            assert type(found) is type(value), f"{what} came back as {type(found).__name__}"
            assert self.same(found, value), f"{what} came back as {found!r}"

    def test_encoding_changes_nothing(self) -> None:
        """The task may go on with the value."""
        for (what, value), (_, fresh) in zip(self.values().items(), self.values().items(), strict=True):
            self.codec_class().encode(value)
            assert self.same(value, fresh), f"{what} is {value!r} after it was encoded"

    def test_what_was_stored_long_ago_is_still_read(self) -> None:
        """Bytes of every version under this id."""
        if not self.stored:
            pytest.skip("nothing is stored yet: add to `stored` what each release writes")
        for data, value in self.stored.items():
            assert self.same(self.codec_class().decode(data), value), f"{data[:60]!r} is no longer {value!r}"

    def test_reading_executes_nothing(self) -> None:
        """Bytes that a pickle reader would run are refused, or read as something harmless."""
        EXECUTED.clear()
        for payload in _bombs():
            try:
                self.codec_class().decode(payload)
            except Exception:  # noqa: BLE001, S112 - refusing is just what it should do
                continue
        assert not EXECUTED, f"decode has executed what it read ({EXECUTED[0]})"

    def test_damaged_bytes_are_an_error_or_another_value(self) -> None:
        """Reading them ends, and never brings the process down."""
        for value in self.values().values():
            data = self.codec_class().encode(value)
            for damaged in (data[: len(data) // 2], data[1:], b"", b"\xff" * 64):
                try:
                    self.codec_class().decode(damaged)
                except Exception:  # noqa: BLE001, S112 - either is fine
                    continue

    def test_its_preview_is_json(self) -> None:
        """What people see of a value, of any size."""
        for what, value in self.values().items():
            preview = self.codec_class().preview(value)
            assert len(json.dumps(preview)) <= 16_384, f"{what}: a preview shows, it does not repeat the value"


def boom(how: str) -> str:
    """Be what a payload calls."""
    EXECUTED.append(how)
    return how


def _bombs() -> list[bytes]:
    """Return pickles that call :func:`boom` when they are read, of several protocols, alone and inside a dict.

    Written by hand, in the few opcodes that every reader knows: no module of this package imports what reads them.
    """

    def call(how: str) -> bytes:
        return f"c{__name__}\nboom\n(V{how}\ntR".encode()

    headers = {"protocol 0": b"", "protocol 2": b"\x80\x02", "protocol 4": b"\x80\x04", "protocol 5": b"\x80\x05"}
    alone = [header + call(f"a pickle of {name}") + b"." for name, header in headers.items()]
    return [*alone, *(header + b"}(Vvalue\n" + call(f"a dict of {name}") + b"u." for name, header in headers.items())]
