"""The command line asks a timetable in a process of its own, which is started here as it starts it."""

from __future__ import annotations

import hashlib
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from windlass.app.inproc.timetables import ask_in_child
from windlass.config import Settings
from windlass.dagfiles.snapshot import CodeStore, Manifest
from windlass.errors import UsageError
from windlass.protocol import TimetableQuestion

DAY = datetime(2026, 1, 1, tzinfo=UTC)
DAG = """
import sys
from windlass import DAG
from windlass.timetables import DagRunInfo, DataInterval, Timetable
from datetime import timedelta

print("what a file prints is no answer")

class Own(Timetable):
    def infer_manual_data_interval(self, *, run_after):
        return DataInterval.exact(run_after)

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        last = last_automated_data_interval
        {body}

with DAG("d", schedule=Own()):
    pass
"""
DAYS = "return DagRunInfo.exact(restriction.earliest if last is None else last.start + timedelta(days=1))"


def ask(home: Path, body: str, *, reached: datetime | None = None, file: str = "d.py") -> list[int]:
    """Return the days of January that the DAG file's timetable says, three at most."""
    source = DAG.replace("{body}", body)
    (home / "dags").mkdir(exist_ok=True)
    (home / "dags/d.py").write_text(source)
    digest = hashlib.sha256(source.encode()).hexdigest()
    code = CodeStore(home / "code")
    version = code.keep(Manifest.of("dags", str(home / "dags"), "d.py", {"d.py": digest}))
    code.flush()
    (home / "dags/d.py").write_text("raise SystemExit('not this one')")
    question = TimetableQuestion(
        dag_id="d",
        name="Own",
        data={},
        spec_version="s",
        code_version=version,
        bundle="dags",
        file=file,
        now=DAY + timedelta(days=90),
        earliest=DAY,
        latest=DAY + timedelta(days=5),
        limit=3,
        reached=reached,
    )
    page = ask_in_child(Settings.load(environ={"WINDLASS_HOME": str(home)}, cwd=home), question)
    return [run.start.day for run in page.runs]


def test_it_asks_the_code_that_was_kept_and_not_the_file_as_it_is_now(tmp_path: Path) -> None:
    assert ask(tmp_path, DAYS) == [1, 2, 3]
    assert ask(tmp_path, DAYS, reached=DAY + timedelta(days=2)) == [4, 5, 6]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise LookupError('no moon')", r"raised LookupError: no moon \(d.py:15\)"),
        (
            "return DagRunInfo.exact(restriction.earliest)",
            "answered with a run for .*not after the one before",
        ),
        ("return 'tomorrow'", "next_dagrun_info returned 'tomorrow', which is no DagRunInfo"),
        ("import os; os._exit(3)", "gave no answer: its process ended with code 3"),
        ("print('x', end='', flush=True); sys.exit('bye')", r"gave no answer: its process ended with code 1 \(xbye\)"),
    ],
)
def test_whatever_a_timetable_does_instead_is_one_sentence_that_names_it(
    tmp_path: Path, body: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=f"timetable 'Own' of DAG 'd' {sentence}"):
        ask(tmp_path, body)


def test_a_timetable_that_takes_too_long_is_ended_whatever_it_catches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import windlass.planning.asking as a; a.TIMEOUT = 0.2")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    body = textwrap.dedent("""\
        while True:
                    try:
                        [n for n in range(10_000)]
                    except BaseException:
                        pass""")
    with pytest.raises(UsageError, match="timetable 'Own' of DAG 'd' did not answer within 5 s"):
        ask(tmp_path, body)


def test_code_that_is_not_on_this_machine_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"code version \w+ does not contain other.py"):
        ask(tmp_path, DAYS, file="other.py")
