"""``windlass backfill create --dry-run``: a child asks the plugin's timetable, as one does for the scheduler.

No server is needed: the code is the one that was kept when the DAG's file was last read on this machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec

from windlass.config import Settings
from windlass.errors import UsageError
from windlass.planning.asking import TIMEOUT, TOO_SLOW, complaint
from windlass.planning.paging import judged_page
from windlass.protocol import TimetablePage, TimetableQuestion
from windlass.protocol.timetables import encode_question

#: Seconds for the start of the process and the import of the DAG file, besides those for the answer.
_START = 30.0


def ask_in_child(settings: Settings, question: TimetableQuestion) -> TimetablePage:
    """Return the intervals that the timetable says, judged.

    :raises UsageError: naming the DAG and the timetable, if it does not answer, or says nonsense.
    """
    environ = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "windlass.runtime", "ask-timetable", str(settings.home / "code")],
            input=encode_question(question),
            capture_output=True,
            timeout=_START + TIMEOUT,
            env=environ,
            check=False,
        )
    except subprocess.TimeoutExpired:
        late = f"was not asked: importing {question.file} took longer than {_START:g} s"
        raise UsageError(complaint(question, late)) from None
    if child.returncode == -signal.SIGALRM:
        raise UsageError(complaint(question, TOO_SLOW))
    try:
        said, reason = msgspec.json.decode(child.stdout, type=tuple[msgspec.Raw, str | None])
    except msgspec.MsgspecError:
        tail = child.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        problem = f"gave no answer: its process ended with code {child.returncode} ({tail})"
        raise UsageError(complaint(question, problem)) from None
    page, wrong = (None, reason) if reason is not None else judged_page(question, bytes(said))
    if page is None or wrong is not None:
        raise UsageError(complaint(question, wrong or "gave no answer"))
    return page
