"""What ``windlass dags lint`` can find: a code for each kind, its level, what it means and what to do.

A parse child observes and ``dagfiles`` judges, so both speak of these. The reference lists them with an example each,
which a test runs; a code never changes its meaning.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

import msgspec


class Level(StrEnum):
    """How bad a finding is: an error makes ``dags lint`` exit 1."""

    ERROR = "error"
    WARNING = "warning"


class Kind(NamedTuple):
    """A kind of finding."""

    code: str
    level: Level
    remedy: str


class Code(Enum):
    """Every kind of finding."""

    UNREADABLE = Kind("WL001", Level.ERROR, "mend it; until then its DAGs stay as they were")
    NETWORK = Kind("WL101", Level.ERROR, "move it into a task: a file is parsed again and again, and by everybody")
    FILE_WRITTEN = Kind("WL102", Level.ERROR, "move it into a task: a file is parsed again and again, and by everybody")
    PROCESS = Kind("WL103", Level.ERROR, "move it into a task: a file is parsed again and again, and by everybody")
    THREAD = Kind("WL104", Level.WARNING, "start it inside a task: tasks of this file cannot be forked, which is slow")
    SECRET_READ = Kind(
        "WL105", Level.WARNING, "read it inside a task, or in a template: {{ var.value.… }}, {{ conn.… }}"
    )
    MOVING_DATE = Kind("WL201", Level.ERROR, "write a fixed date: intervals are counted from it, and this one moves")
    NAIVE_DATE = Kind("WL202", Level.WARNING, "give it a time zone, for example tzinfo=UTC")
    HEAVY_IMPORT = Kind("WL301", Level.WARNING, "import it inside the task that needs it")
    UNSTABLE = Kind("WL401", Level.ERROR, "make the same DAG whenever the file is parsed")
    UNKNOWN_POOL = Kind("WL501", Level.ERROR, "create it with `windlass pools set`, or name one that exists")
    UNUSED_POOL = Kind("WL502", Level.WARNING, "delete it with `windlass pools delete`, or leave it for later")
    QUEUE = Kind("WL503", Level.WARNING, "leave it out: the configured executor runs every queue alike")
    LONG_ID = Kind("WL601", Level.WARNING, "choose a shorter one; logs lie in a folder of a shortened name otherwise")

    @property
    def code(self) -> str:
        """The code that people write: WL101."""
        return self.value.code


BY_CODE = {code.value.code: code for code in Code}


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something found: its code, where, and what in a sentence without the remedy."""

    code: str
    #: Below the root, with forward slashes; "" if it is of no file.
    file: str
    line: int
    message: str
    #: Lower than its kind's, where the author is not to blame; None = its kind's.
    level: Level | None = None


class Ignore(msgspec.Struct, frozen=True, kw_only=True):
    """Lines for which a comment says that findings of some codes are meant to be."""

    file: str
    first: int
    last: int
    codes: tuple[str, ...]


class Observed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a parse child saw beside the DAGs, when it was told to look."""

    findings: tuple[Finding, ...] = ()
    ignores: tuple[Ignore, ...] = ()
    #: "dag", or "dag\ntask" -> (file, line) of the call that made it.
    places: dict[str, tuple[str, int]] = {}
