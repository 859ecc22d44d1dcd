from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import ProtocolError
from windlass.secrets.masking import Masker
from windlass.supervisor.logs import MAX_LINE, LogWriter, contained


def writer(path: Path, *secrets: str) -> LogWriter:
    masker = Masker()
    masker.add(*secrets)
    return LogWriter(str(path), masker, lambda: datetime(2026, 3, 1, tzinfo=UTC))


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dag_id=d" / "attempt=1.log"


def test_text_becomes_a_line_of_json(path: Path) -> None:
    log = writer(path)
    log.feed(b"hello\n")
    assert lines(path) == [
        {
            "ts": "2026-03-01T00:00:00.000000+00:00",
            "level": "INFO",
            "logger": "task",
            "msg": "hello",
            "stream": "stdout",
        }
    ]


def test_a_logging_record_keeps_its_own_fields(path: Path) -> None:
    log = writer(path)
    log.feed(b'\x1e{"ts":"t","level":"ERROR","logger":"x","msg":"m","exc":"trace"}\n')
    assert lines(path) == [{"ts": "t", "level": "ERROR", "logger": "x", "msg": "m", "exc": "trace", "stream": "log"}]


def test_a_record_cut_short_is_kept_as_text(path: Path) -> None:
    log = writer(path)
    log.feed(b'\x1e{"ts":"t","lev')
    log.close()
    assert [line["msg"] for line in lines(path)] == ['{"ts":"t","lev']


def test_bytes_that_are_no_text_are_shown(path: Path) -> None:
    log = writer(path)
    log.feed(b"\xff\xfe\n")
    assert [line["msg"] for line in lines(path)] == ["\\xff\\xfe"]


@given(cuts=st.lists(st.integers(1, 40), max_size=8))
def test_no_cut_between_two_reads_lets_a_secret_through(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.log"
    data = b'before swordfish after\n\x1e{"msg":"a swordfish","deep":{"swordfish":["swordfish"]}}\nswordfish'
    log = writer(path, "swordfish")
    for cut in cuts:
        log.feed(data[:cut])
        data = data[cut:]
    log.feed(data)
    log.close()
    assert "swordfish" not in path.read_text()
    assert [line["msg"] for line in lines(path)] == ["before *** after", "a ***", "***"]


@pytest.mark.parametrize("before", [0, MAX_LINE - 4, MAX_LINE, 2 * MAX_LINE - 4, 3 * MAX_LINE - 2])
def test_an_endless_line_is_cut_but_never_inside_a_secret(path: Path, before: int) -> None:
    log = writer(path, "swordfish")
    data = b"x" * before + b"swordfish" + b"y" * (4 * MAX_LINE)
    for start in range(0, len(data), 10_000):
        log.feed(data[start : start + 10_000])
    log.close()
    text = "".join(line["msg"] for line in lines(path))
    assert text == "x" * before + "***" + "y" * (4 * MAX_LINE)
    assert all(len(line["msg"]) <= MAX_LINE + 16 for line in lines(path))


def test_attempts_of_one_try_append_and_the_size_is_the_files(path: Path) -> None:
    writer(path).feed(b"first\n")
    log = writer(path)
    log.feed(b"second\n")
    assert [line["msg"] for line in lines(path)] == ["first", "second"]
    assert log.size == path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_without_a_line_makes_no_file(path: Path) -> None:
    log = writer(path)
    log.close()
    assert not path.exists()
    assert log.size == 0


@pytest.mark.parametrize("relative", ["../x.log", "a/../../x.log", "/etc/x.log", "", "."])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(ProtocolError, match="leads outside the log folder"):
        contained(tmp_path, relative)
