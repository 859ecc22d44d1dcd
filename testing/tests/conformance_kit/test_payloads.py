"""The payloads with which codecs are tried do what they are for: a reader of pickles executes each of them."""

from __future__ import annotations

import pickle  # noqa: TID251 - the reader that must never be used

import pytest

from windlass_testing.conformance import xcom_codec


@pytest.mark.parametrize("payload", xcom_codec._bombs(), ids=ascii)
def test_a_payload_goes_off_where_it_is_unpickled(payload: bytes) -> None:
    xcom_codec.EXECUTED.clear()
    pickle.loads(payload)  # noqa: S301 - of our own making
    assert len(xcom_codec.EXECUTED) == 1
    xcom_codec.EXECUTED.clear()
