"""DAGs as their files define them: parse results, versions, import errors, and the pause switch.

Parse results arrive in batches, many files in one transaction. A DAG belongs to the file that defined it first: another
file with the same id gets an import error that names both, and the first stays. A DAG that is in no file any more turns
stale: it gets no new runs, while its runs in flight go on from their snapshots. An import error keeps a file's DAGs as
they were.
"""

# ruff: noqa: S608 - statements are put together from constants; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from windlass.errors import Conflict, DagNotFound
from windlass.interfaces.views import ImportErrorChanged
from windlass.ports import SignalKind
from windlass.spec import DagSpec, decode_spec, encode_spec, spec_version
from windlass.store.assets import listen, unlisten
from windlass.store.database import Database, Row, Transaction
from windlass.store.facts import to_json
from windlass.store.instants import SECOND, instant
from windlass.store.observations import IMPORT_ERROR_HOOK, owe_detail
from windlass.store.transitions import signal

_OWNERS: Final = "SELECT dag_id, bundle, file, spec_version, code_version, stale FROM dag WHERE dag_id IN NAMES(:names)"
_OF_FILE: Final = "SELECT dag_id FROM dag WHERE bundle = :bundle AND file = :file AND stale = 0"
_VERSION: Final = (
    "INSERT INTO dag_version (dag_id, spec_version, spec, created_at) VALUES (:dag_id, :spec_version, :spec, :now)"
    " ON CONFLICT (dag_id, spec_version) DO NOTHING"
)
_CODE: Final = (
    "INSERT INTO code_version (code_version, bundle, file, created_at) VALUES (:code_version, :bundle, :file, :now)"
    " ON CONFLICT (code_version) DO NOTHING"
)
_UPSERT: Final = (
    "INSERT INTO dag (dag_id, bundle, file, spec_version, code_version, paused, stale, unpaused_at,"
    " created_at, updated_at)"
    " VALUES (:dag_id, :bundle, :file, :spec_version, :code_version, :paused, 0, :unpaused_at, :now, :now)"
    " ON CONFLICT (dag_id) DO UPDATE SET bundle = excluded.bundle, file = excluded.file,"
    " spec_version = excluded.spec_version, code_version = excluded.code_version, stale = 0,"
    " updated_at = excluded.updated_at"
)
_STALE: Final = "UPDATE dag SET stale = 1, updated_at = :now WHERE dag_id = :dag_id AND stale = 0"
_PARSED: Final = (
    "INSERT INTO parsed_file (bundle, file, code_version, inputs, dags, min_interval_us, duration_us, parsed_at)"
    " VALUES (:bundle, :file, :code_version, :inputs, :dags, :min_interval, :duration, :now)"
    " ON CONFLICT (bundle, file) DO UPDATE SET code_version = excluded.code_version, inputs = excluded.inputs,"
    " dags = excluded.dags, min_interval_us = excluded.min_interval_us, duration_us = excluded.duration_us,"
    " parsed_at = excluded.parsed_at"
)
_REPARSE_OF: Final = (
    "UPDATE parsed_file SET inputs = 'null' WHERE EXISTS (SELECT 1 FROM dag WHERE dag.dag_id = :dag_id"
    " AND dag.bundle = parsed_file.bundle AND dag.file = parsed_file.file)"
)
_FORGET: Final = "DELETE FROM parsed_file WHERE bundle = :bundle AND file = :file"
_CLEAR_ERRORS: Final = "DELETE FROM import_error WHERE bundle = :bundle AND file = :file"
_ERRORS_OF: Final = (
    "SELECT message FROM import_error WHERE bundle = :bundle AND file = :file AND severity = 'error' ORDER BY id"
)
_ERROR: Final = (
    "INSERT INTO import_error (bundle, file, severity, message, output, at)"
    " VALUES (:bundle, :file, :severity, :message, :output, :now)"
)
_PARSED_FILES: Final = (
    "SELECT bundle, file, code_version, inputs, dags, min_interval_us, duration_us, parsed_at FROM parsed_file"
)
_PAUSE: Final = (
    "UPDATE dag SET paused = :paused, unpaused_at = CASE WHEN :paused = 0 THEN :now ELSE unpaused_at END,"
    " paused_by = CASE WHEN :paused = 1 THEN :who END, paused_reason = NULL, updated_at = :now"
    " WHERE dag_id = :dag_id AND paused <> :paused"
)
#: Held by its owner whenever an instance of it is queued.
_ITS_RUNS: Final = "SELECT id FROM run WHERE dag_id = :dag_id ORDER BY id FOR_UPDATE"
#: What excludes those who write or delete versions of DAGs: a DAG's owner is the file that was first.
VERSIONS: Final = "versions"
_BUSY: Final = (
    "SELECT t.task_id FROM ti t WHERE t.state IN ('queued','running')"
    " AND (SELECT dag_id FROM run WHERE id = t.run) = :dag_id LIMIT 1"
)


class ParsedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What parsing one file gave. With an ``error`` those of its DAGs that are not in ``specs`` stay as they were."""

    bundle: str
    file: str
    code_version: str | None = None
    specs: tuple[DagSpec | bytes, ...] = ()
    error: str | None = None
    warnings: tuple[str, ...] = ()
    output: str = ""
    #: What the file was made from, as the watcher wants it back: any JSON value.
    inputs: Any = None
    #: Seconds.
    duration: float = 0.0
    min_interval: float | None = None


class ParsedFileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was parsed last. ``inputs`` is None when it is to be parsed again whether it changed or not."""

    bundle: str
    file: str
    code_version: str | None
    inputs: Any
    dags: tuple[str, ...]
    min_interval: float | None
    duration: float
    parsed_at: datetime


class _Found(msgspec.Struct):
    """A DAG of a parse result, encoded outside the transaction."""

    spec: DagSpec
    data: bytes
    version: str


class Dags:
    """Reads and writes DAGs and the files they come from."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store_parse_results(self, files: Sequence[ParsedFile], *, paused: bool) -> list[str]:
        """Store what parsing gave, and return the ids of the DAGs that are new, changed or gone.

        ``paused`` is how a new DAG starts unless it says so itself.
        """
        now = self._database.now()
        found = [[_found(spec) for spec in file.specs] for file in files]

        def work(transaction: Transaction) -> list[str]:
            changed: list[str] = []
            transaction.exclude(VERSIONS)
            for file, dags in zip(files, found, strict=True):
                changed += _FileWrite(transaction, file, now, paused=paused).write(dags)
            for dag_id in dict.fromkeys(changed):
                signal(transaction, SignalKind.DAG, dag_id=dag_id)
            return list(dict.fromkeys(changed))

        return self._database.write(work)

    def forget_files(self, bundle: str, files: Sequence[str]) -> list[str]:
        """Note that these files are gone, and return the ids of the DAGs that went with them."""
        now = self._database.now()

        def work(transaction: Transaction) -> list[str]:
            gone: list[str] = []
            transaction.exclude(VERSIONS)
            for file in files:
                values = {"bundle": bundle, "file": file}
                gone += [row[0] for row in transaction.rows(_OF_FILE, values)]
                transaction.run(_FORGET, values)
                errors = _errors(transaction, values)
                transaction.run(_CLEAR_ERRORS, values)
                _owe_change(transaction, values, errors, now)
            for dag_id in gone:
                transaction.run(_STALE, {"dag_id": dag_id, "now": now})
                signal(transaction, SignalKind.DAG, dag_id=dag_id)
            unlisten(transaction, gone)
            return gone

        return self._database.write(work)

    def parsed_files(self, bundle: str | None = None) -> list[ParsedFileRow]:
        """Return the files that were parsed, of one bundle or of all."""
        where = "" if bundle is None else " WHERE bundle = :bundle"
        rows = self._database.rows(
            f"{_PARSED_FILES}{where} ORDER BY bundle, file", {"bundle": bundle} if bundle else {}
        )
        return [_parsed(row) for row in rows]

    def request_reparse(self, files: Sequence[tuple[str, str]]) -> None:
        """Have files, given as (bundle, file), parsed again though nothing in them changed."""
        values = [{"bundle": bundle, "file": file} for bundle, file in files]

        def work(transaction: Transaction) -> None:
            sql = "UPDATE parsed_file SET inputs = 'null' WHERE bundle = :bundle AND file = :file"
            transaction.many(sql, values)
            transaction.ring()

        self._database.write(work)

    def reparse_requests(self) -> list[tuple[str, str]]:
        """Return the files, as (bundle, file), that somebody wants parsed again; asked at every look at the folders."""
        rows = self._database.rows("SELECT bundle, file FROM parsed_file WHERE inputs = 'null'")
        return [(row[0], row[1]) for row in rows]

    def code_versions(self) -> set[str]:
        """Return the code versions that DAGs, runs and backfills are pinned to."""
        rows = self._database.rows(
            "SELECT code_version FROM dag UNION SELECT code_version FROM run"
            " UNION SELECT code_version FROM backfill WHERE completed_at IS NULL"
        )
        return {row[0] for row in rows}

    def set_paused(self, dag_id: str, paused: bool, *, who: str = "") -> bool:  # noqa: FBT001 - the thing itself
        """Pause or unpause a DAG; return whether that changed anything.

        Raises:
            DagNotFound: there is none.
        """
        values = {"dag_id": dag_id, "paused": int(paused), "who": who or None, "now": self._database.now()}

        def work(transaction: Transaction) -> bool:
            if transaction.row("SELECT 1 FROM dag WHERE dag_id = :dag_id", {"dag_id": dag_id}) is None:
                raise DagNotFound(f"DAG {dag_id!r} is not known; `windlass dags list` shows all")
            changed = transaction.run(_PAUSE, values) == 1
            if changed:
                signal(transaction, SignalKind.DAG, dag_id=dag_id)
            return changed

        return self._database.write(work)

    def delete(self, dag_id: str, *, who: str = "") -> None:
        """Delete a DAG with its runs and their records. Its file is read again: what it still defines starts afresh.

        Raises:
            DagNotFound: there is none.
            Conflict: tasks of it are queued or running.
        """

        def work(transaction: Transaction) -> None:
            values = {"dag_id": dag_id}
            transaction.exclude(VERSIONS)
            if transaction.row("SELECT 1 FROM dag WHERE dag_id = :dag_id", values) is None:
                raise DagNotFound(f"DAG {dag_id!r} is not known; `windlass dags list` shows all")
            transaction.lock(_ITS_RUNS, values)
            busy = transaction.row(_BUSY, values)
            if busy is not None:
                raise Conflict(
                    f"task {busy[0]!r} of DAG {dag_id!r} is running; wait for it, or mark its run failed first"
                )
            transaction.run(_REPARSE_OF, values)
            for table in (
                "run",
                "asset_listener",
                "asset_delivery",
                "dag_version",
                "backfill",
                "timetable_question",
                "dag",
            ):
                transaction.run(f"DELETE FROM {table} WHERE dag_id = :dag_id", values)
            signal(transaction, SignalKind.DAG, dag_id=dag_id)

        self._database.write(work)


class _FileWrite:
    """One file's result inside the transaction."""

    def __init__(self, transaction: Transaction, file: ParsedFile, now: int, *, paused: bool) -> None:
        self._transaction = transaction
        self._file = file
        self._now = now
        self._paused = paused
        self._where = {"bundle": file.bundle, "file": file.file}

    def write(self, dags: list[_Found]) -> list[str]:
        """Store the file and return the ids of the DAGs that changed."""
        file, transaction = self._file, self._transaction
        errors = _errors(transaction, self._where)
        transaction.run(_CLEAR_ERRORS, self._where)
        self._report("warning", file.warnings)
        before = [row[0] for row in transaction.rows(_OF_FILE, self._where)]
        if file.error is not None:
            self._report("error", [file.error])
        mine, changed = self._claim(dags)
        _owe_change(transaction, self._where, errors, self._now)
        ids = [dag.spec.dag_id for dag in mine]
        kept = before if file.error is not None else ids
        gone = [dag_id for dag_id in before if dag_id not in kept]
        for dag_id in gone:
            transaction.run(_STALE, {"dag_id": dag_id, "now": self._now})
        unlisten(transaction, gone)
        self._remember(list(dict.fromkeys([*kept, *ids])))
        return changed + gone

    def _claim(self, dags: list[_Found]) -> tuple[list[_Found], list[str]]:
        """Store the DAGs that are this file's, and return them with the ids of those that changed."""
        names = to_json([dag.spec.dag_id for dag in dags])
        owners = {row[0]: row[1:] for row in self._transaction.rows(_OWNERS, {"names": names})}
        code_version = self._file.code_version or ""
        mine: list[_Found] = []
        changed: list[str] = []
        for dag in dags:
            owner = owners.get(dag.spec.dag_id)
            if owner is not None and not owner[4] and owner[:2] != (self._file.bundle, self._file.file):
                self._report("error", [_duplicate(dag.spec.dag_id, owner, self._file)])
                continue
            mine.append(dag)
            if owner is None or owner[4] or owner[2:4] != (dag.version, code_version):
                changed.append(dag.spec.dag_id)
        fresh = [dag for dag in mine if dag.spec.dag_id in set(changed)]
        values = [self._values(dag, code_version) for dag in fresh]
        self._transaction.many(_VERSION, values)
        self._transaction.many(_UPSERT, values)
        listen(self._transaction, (dag.spec for dag in fresh))
        if values:
            self._transaction.run(_CODE, {**self._where, "code_version": code_version, "now": self._now})
        return mine, changed

    def _values(self, dag: _Found, code_version: str) -> dict[str, Any]:
        wish = dag.spec.is_paused_upon_creation
        paused = self._paused if wish is None else wish
        return {
            **self._where,
            "dag_id": dag.spec.dag_id,
            "spec_version": dag.version,
            "code_version": code_version,
            "spec": dag.data,
            "paused": int(paused),
            "unpaused_at": None if paused else self._now,
            "now": self._now,
        }

    def _remember(self, dags: Sequence[str]) -> None:
        file = self._file
        values = {
            **self._where,
            "code_version": file.code_version,
            "inputs": to_json(file.inputs),
            "dags": to_json(list(dags)),
            "min_interval": None if file.min_interval is None else int(file.min_interval * SECOND),
            "duration": int(file.duration * SECOND),
            "now": self._now,
        }
        self._transaction.run(_PARSED, values)

    def _report(self, severity: str, messages: Sequence[str]) -> None:
        output = self._file.output
        values = [
            {**self._where, "severity": severity, "message": text, "output": output, "now": self._now}
            for text in messages
        ]
        self._transaction.many(_ERROR, values)


def _errors(transaction: Transaction, where: dict[str, str]) -> str | None:
    """Return what is wrong with a file now, None if nothing is, or nobody would hear of it."""
    if not transaction.audience(IMPORT_ERROR_HOOK):
        return None
    return "\n".join(row[0] for row in transaction.rows(_ERRORS_OF, where)) or None


def _owe_change(transaction: Transaction, where: dict[str, str], before: str | None, now: int) -> None:
    """Owe observers the news if other things are wrong with a file than ``before``."""
    after = _errors(transaction, where)
    if after != before:
        change = ImportErrorChanged(bundle=where["bundle"], file=where["file"], message=after, at=instant(now))
        owe_detail(transaction, IMPORT_ERROR_HOOK, change, now)


def _found(spec: DagSpec | bytes) -> _Found:
    decoded = decode_spec(spec) if isinstance(spec, bytes) else spec
    return _Found(decoded, encode_spec(decoded), spec_version(decoded))


def _duplicate(dag_id: str, owner: Row, file: ParsedFile) -> str:
    first = owner[1] if owner[0] == file.bundle else f"{owner[0]}:{owner[1]}"
    return f"DAG {dag_id!r} is defined in both {first} and {file.file}; the one in {first} is used. Rename one of them"


def _parsed(row: Row) -> ParsedFileRow:
    return ParsedFileRow(
        bundle=row[0],
        file=row[1],
        code_version=row[2],
        inputs=msgspec.json.decode(row[3]),
        dags=tuple(msgspec.json.decode(row[4])),
        min_interval=None if row[5] is None else row[5] / SECOND,
        duration=row[6] / SECOND,
        parsed_at=instant(row[7]),
    )
