"""A child's own output: never a reason for it to stand still, and its end is there to be told."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from windlass.supervisor.output import ChildOutput
from windlass.supervisor.reactor import Reactor


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor(lambda: 0.0)
    yield made
    made.close()


def test_what_was_written_is_kept_whatever_bytes_it_is_made_of(reactor: Reactor) -> None:
    output = ChildOutput(reactor)
    os.write(output.theirs, "caf\u00e9 ".encode() + b"\xff")
    reactor.turn(0.0)
    assert output.text == "caf\u00e9 \\xff"
    output.started()
    output.close()


def test_of_much_the_end_is_kept(reactor: Reactor) -> None:
    output = ChildOutput(reactor)
    for number in range(10):
        os.write(output.theirs, bytes([ord("0") + number]) * 10_000)
        output.read()
    assert output.text == "8" * (16_384 - 10_000) + "9" * 10_000
    output.started()
    output.close()


def test_it_ends_when_the_child_closes_it_and_what_was_read_stays(reactor: Reactor) -> None:
    output = ChildOutput(reactor)
    child = os.dup(output.theirs)
    output.started()
    os.write(child, b"no such module")
    os.close(child)
    reactor.turn(0.0)
    assert output.text == "no such module"
    output.read()
    output.close()
    assert output.text == "no such module"
