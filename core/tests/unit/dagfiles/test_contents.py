from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from windlass.app.clocks import VirtualClock
from windlass.dagfiles.contents import ABSENT, Contents


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def clock_at(offset: timedelta) -> VirtualClock:
    return VirtualClock(datetime.now(tz=UTC) + offset)


def test_the_hash_follows_the_contents(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = Contents(clock_at(timedelta()))
    assert contents.hash_of(str(path)) == ABSENT
    path.write_text("one")
    assert contents.hash_of(str(path)) == sha("one")
    path.write_text("two")
    assert contents.hash_of(str(path)) == sha("two")
    path.unlink()
    assert contents.hash_of(str(path)) == ABSENT


def test_a_folder_or_an_impossible_name_is_absent(tmp_path: Path) -> None:
    contents = Contents(clock_at(timedelta()))
    assert contents.hash_of(str(tmp_path)) == ABSENT
    assert contents.hash_of("a\0b") == ABSENT


def test_a_file_at_rest_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    contents = Contents(clock_at(timedelta(hours=1)))
    contents.hash_of(str(path))
    assert str(path) in contents._known
    path.chmod(0o000)  # a new ctime: it is read again, which fails
    if os.geteuid() != 0:
        assert contents.hash_of(str(path)) == ABSENT


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    contents = Contents(clock_at(timedelta()))
    contents.hash_of(str(path))
    # Another change within the same tick leaves the same mark; so the mark must not be believed yet.
    assert str(path) not in contents._known


def test_a_modification_time_in_the_future_or_the_past_deceives_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    status = path.stat()
    contents = Contents(clock_at(timedelta(hours=1)))
    assert contents.hash_of(str(path)) == sha("one")
    path.write_text("two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert contents.hash_of(str(path)) == sha("two")
