"""Frames arrive whole, in whatever pieces the bytes come."""

from __future__ import annotations

import pytest

from windlass.errors import ProtocolError
from windlass.protocol.framing import FrameReader, frame, recv_frame


class Pieces:
    """A stream that gives at most ``size`` bytes at once, and ends."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size

    def recv(self, count: int, /) -> bytes:
        number = min(count, self._size)
        piece, self._data = self._data[:number], self._data[number:]
        return piece


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1 << 20])
@pytest.mark.parametrize("payload", [b"", b"x", b"four", b"x" * 1000])
def test_a_frame_is_read_whole_and_no_byte_of_the_next(payload: bytes, size: int) -> None:
    stream = Pieces(frame(payload) + frame(b"next") + b"rest", size)
    assert [recv_frame(stream), recv_frame(stream)] == [payload, b"next"]
    assert stream.recv(1) == b"r"


def test_a_stream_that_ends_between_frames_gives_none() -> None:
    stream = Pieces(frame(b"last"), 3)
    assert [recv_frame(stream), recv_frame(stream)] == [b"last", None]


@pytest.mark.parametrize("left", range(1, len(frame(b"payload"))))
def test_a_stream_that_ends_inside_a_frame_is_an_error(left: int) -> None:
    with pytest.raises(ProtocolError, match="closed the connection inside a message"):
        recv_frame(Pieces(frame(b"payload")[:left], 3))


@pytest.mark.parametrize("size", [1, 3, 4, 5, 100])
def test_a_reader_that_is_fed_pieces_gives_the_same_frames(size: int) -> None:
    data = frame(b"one") + frame(b"") + frame(b"x" * 50) + b"\0\0"
    reader = FrameReader()
    found = [payload for start in range(0, len(data), size) for payload in reader.feed(data[start : start + size])]
    assert found == [b"one", b"", b"x" * 50]
    assert reader.pending == 2
