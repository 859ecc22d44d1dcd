from __future__ import annotations

import time

import pytest

from windlass.app import clocks
from windlass.ports import Rng
from windlass.store import system

BOTH = pytest.mark.parametrize("rng", [clocks.SystemRng(), system.SystemRng()], ids=["app", "store"])


@BOTH
def test_keys_of_rows_are_in_the_order_of_their_milliseconds(rng: Rng, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for now in (999_999, 1_000_000, 255_000_000, 256_000_000, 1_700_000_000_123_456_789, 1_700_000_000_124_000_000):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        keys.append(rng.key())
    assert keys == sorted(keys)
    assert {len(key) for key in keys} == {32}
    assert keys[4].startswith(f"{1_700_000_000_123:012x}")


@BOTH
def test_keys_and_tokens_are_fresh_and_hexadecimal(rng: Rng) -> None:
    made = {make() for make in (rng.key, rng.token) for _ in range(1000)}
    assert len(made) == 2000
    assert all(len(bytes.fromhex(one)) == 16 for one in made)


@BOTH
def test_what_is_random_in_them_does_not_repeat(rng: Rng, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert len({rng.key()[12:] for _ in range(1000)}) == 1000
    assert len({rng.token()[:12] for _ in range(1000)}) == 1000, "a ticket says nothing of the time"


def test_seeded_keys_repeat() -> None:
    assert [clocks.SeededRng(1).key() for _ in range(2)] == [clocks.SeededRng(1).key()] * 2
