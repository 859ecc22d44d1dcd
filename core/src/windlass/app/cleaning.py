"""Housekeeping of a home: what ``windlass db clean`` removes, from the database and from the folders beside it.

Rows first, then the files that no row needs any more: a clean that is interrupted leaves files that the next one finds.
Everything may be in use while this runs. A file that was written or wanted within a day stays whatever the database
says, since what mentions it may not be stored yet: an attempt puts an artifact first and its XCom at its end.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec

from windlass.config import Settings
from windlass.dagfiles.snapshot import CodeStore
from windlass.planning.attempts import run_folder_of
from windlass.store import Store
from windlass.store.cleaning import digests_in

#: What can be cleaned, in the order in which it is.
TABLES: Final = ("runs", "outbox", "versions", "code", "import-errors", "replies", "artifacts", "logs")
#: For how long a file is spared although nothing mentions it.
GRACE: Final = timedelta(days=1)
#: Names that one question to the database is about.
_NAMES: Final = 500
#: A name of more bytes may be shortened on disk, where it cannot be read back.
_READABLE: Final = 66
_PIECE: Final = 1 << 20


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed of one kind, or with ``dry_run`` would be."""

    table: str
    removed: int
    #: What went with it, in words.
    note: str = ""


def clean(
    store: Store, settings: Settings, *, before: datetime, tables: Collection[str] = TABLES, dry_run: bool = False
) -> Iterator[Cleaned]:
    """Remove what ended before an instant and what nothing needs any more, and yield each kind as it is done.

    A run that has not ended is never touched.
    """
    cleaning = store.cleaning
    grace = min(before, cleaning.now() - GRACE)
    files = _Files(store, settings, dry_run=dry_run)

    def runs() -> Cleaned:
        count, tasks = cleaning.runs(before, dry_run=dry_run)
        return Cleaned(table="runs", removed=count, note=f"with {tasks} task instances" if count else "")

    steps: dict[str, Callable[[], Cleaned | int]] = {
        "runs": runs,
        "outbox": lambda: cleaning.outbox(before, dry_run=dry_run),
        "versions": lambda: cleaning.specs(grace, dry_run=dry_run),
        "code": lambda: files.code(grace),
        "import-errors": lambda: cleaning.import_errors(before, dry_run=dry_run),
        "replies": lambda: cleaning.replies(before, dry_run=dry_run),
        "artifacts": files.artifacts,
        "logs": lambda: files.logs(before),
    }
    for name in TABLES:
        if name in tables:
            done = steps[name]()
            yield Cleaned(table=name, removed=done) if isinstance(done, int) else done


class _Files:
    """The folders of a home."""

    def __init__(self, store: Store, settings: Settings, *, dry_run: bool) -> None:
        self._store = store
        self._home = settings.home
        self._logs = settings.logging.base_log_folder
        self._dry_run = dry_run

    # --- Code

    def code(self, before: datetime) -> Cleaned:
        """Remove snapshots that no run and no DAG is pinned to, and their records."""
        removed = self._store.cleaning.code_versions(before, dry_run=self._dry_run)
        folder = self._home / "code"
        used = self._store.dags.code_versions()
        store = CodeStore(folder)
        files = len(store.unused(used)) if self._dry_run else store.collect(used)
        return Cleaned(table="code", removed=removed, note=f"with {files} files" if files else "")

    # --- Artifacts

    def artifacts(self) -> Cleaned:
        """Remove stored values and files that no XCom mentions."""
        folder = self._home / "artifacts"
        limit = (self._store.cleaning.now() - GRACE).timestamp()
        since = self._store.cleaning.open_since()
        if since is not None:
            limit = min(limit, since.timestamp())
        candidates = {path.name: path for path in folder.glob("[0-9a-f][0-9a-f]/*") if _modified(path) < limit}
        if candidates:
            self._spare_mentioned(candidates)
        size = removed = 0
        leftovers = [path for path in folder.glob("incomplete/*") if _modified(path) < limit]
        for path in [*candidates.values(), *leftovers]:
            with suppress(FileNotFoundError):
                bytes_there = path.stat().st_size
                if self._dry_run or _remove(path, limit):
                    removed += 1
                    size += bytes_there
        return Cleaned(table="artifacts", removed=removed, note=f"{size:,} bytes" if removed else "")

    def _spare_mentioned(self, candidates: dict[str, Path]) -> None:
        """Drop from ``candidates`` what an XCom is stored in or mentions, and what such a stored value mentions."""
        for artifact, is_json, digests in self._store.cleaning.artifact_references():
            for digest in digests & candidates.keys():
                del candidates[digest]
            if artifact is None:
                continue
            path = candidates.pop(artifact, None) or self._home / "artifacts" / artifact[:2] / artifact
            if is_json and candidates:
                for digest in _digests_of(path) & candidates.keys():
                    del candidates[digest]

    # --- Logs

    def logs(self, before: datetime) -> Cleaned:
        """Remove the logs of runs that are not in the database and were last written to before an instant."""
        limit = before.timestamp()
        known = {run_folder_of(*names) for names in self._store.cleaning.long_names(_READABLE)}
        removed = 0
        for dag_folder in _folders(self._logs, "dag_id="):
            runs = _folders(dag_folder, "run_id=")
            while names := list(islice(runs, _NAMES)):
                removed += sum(self._drop(folder) for folder in self._forgotten(dag_folder, names, known, limit))
            if not self._dry_run:
                with suppress(OSError):  # it is not empty
                    dag_folder.rmdir()
        return Cleaned(table="logs", removed=removed, note="folders of runs" if removed else "")

    def _forgotten(
        self, dag_folder: Path, folders: list[Path], known: set[tuple[str, str]], limit: float
    ) -> Iterator[Path]:
        """Yield the folders that belong to no run, and are old."""
        dag_id = unquote(dag_folder.name.partition("=")[2])
        ids = {unquote(folder.name.partition("=")[2]): folder for folder in folders}
        existing = self._store.cleaning.existing_runs(dag_id, list(ids))
        for run_id, folder in ids.items():
            if run_id not in existing and (dag_folder.name, folder.name) not in known and _newest(folder) < limit:
                yield folder

    def _drop(self, folder: Path) -> bool:
        if self._dry_run:
            return True
        # Whoever writes there from now on makes the folder anew.
        aside = folder.with_name(f".removed-{os.getpid()}-{time.monotonic_ns()}")
        try:
            folder.rename(aside)
        except FileNotFoundError:
            return False
        shutil.rmtree(aside, ignore_errors=True)
        return True


def _folders(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield the folders in ``parent`` whose names begin so; no links, which may lead anywhere."""
    try:
        with os.scandir(parent) as entries:
            yield from (
                Path(entry.path)
                for entry in entries
                if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False)
            )
    except FileNotFoundError:
        return


def _newest(folder: Path) -> float:
    """Return when a file in the folder was last written, or the folder made if there is none."""
    times = (_modified(Path(parent, name)) for parent, _, files in os.walk(folder) for name in files)
    return max(times, default=_modified(folder))


def _modified(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # taken away meanwhile: too young for anything
        return time.time()


def _digests_of(path: Path) -> set[str]:
    """Return the digests that a stored value mentions, read in pieces that overlap."""
    found: set[str] = set()
    tail = b""
    with suppress(FileNotFoundError), path.open("rb") as file:
        while piece := file.read(_PIECE):
            found |= digests_in(tail + piece)
            tail = piece[-63:]
    return found


def _remove(path: Path, limit: float) -> bool:
    """Remove an old file; one that somebody has put there again meanwhile goes back to its place."""
    aside = path.with_name(f".{path.name}.removed")
    path.rename(aside)
    if _modified(aside) < limit:
        aside.unlink()
        return True
    if not path.exists():
        aside.rename(path)
    return False
