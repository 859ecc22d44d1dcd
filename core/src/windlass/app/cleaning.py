"""Housekeeping of a home: what ``windlass db clean`` removes, from the database and from the folders beside it.

Rows first, then the files that no row needs any more: a clean that is interrupted leaves files that the next one finds.
Everything may be in use while this runs. A file that was written or wanted within a day stays whatever the database
says, since what mentions it may not be stored yet: an attempt puts an artifact first and its XCom at its end.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec

from windlass.app.artifacts import Blobs, KeptBlobs, LocalBlobs, modified, remove
from windlass.config import Settings
from windlass.dagfiles.snapshot import CodeStore
from windlass.planning.attempts import run_folder_of
from windlass.store import Store
from windlass.supervisor.artifacts import LOCAL

#: What can be cleaned, in the order in which it is.
TABLES: Final = ("runs", "outbox", "versions", "code", "import-errors", "replies", "artifacts", "logs")
#: For how long a file is spared although nothing mentions it.
GRACE: Final = timedelta(days=1)
#: Names that one question to the database is about.
_NAMES: Final = 500
#: A name of more bytes may be shortened on disk, where it cannot be read back.
_READABLE: Final = 66


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
        self._settings = settings
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
        """Remove stored values and files that no XCom mentions, here and in the store of a provider."""
        limit = (self._store.cleaning.now() - GRACE).timestamp()
        since = self._store.cleaning.open_since()
        if since is not None:
            limit = min(limit, since.timestamp())
        local = LocalBlobs(self._home / "artifacts")
        places: list[Blobs] = [local]
        if self._settings.artifacts.store != LOCAL:
            places.append(KeptBlobs(self._settings, self._store))
        try:
            removed, size = self._remove_unmentioned(places, limit)
        finally:
            for place in places:
                place.close()
        for path, length in local.leftovers(limit):
            with suppress(FileNotFoundError):
                if self._dry_run or remove(path, limit):
                    removed, size = removed + 1, size + length
        return Cleaned(table="artifacts", removed=removed, note=f"{size:,} bytes" if removed else "")

    def _remove_unmentioned(self, places: Sequence[Blobs], limit: float) -> tuple[int, int]:
        """Remove what nothing mentions, and return how many there were, and their bytes."""
        candidates: dict[str, list[tuple[Blobs, int]]] = {}
        for place in places:
            for digest, size in place.old(limit):
                candidates.setdefault(digest, []).append((place, size))
        if candidates:
            self._spare_mentioned(candidates, places)
        sizes = [
            size
            for digest, copies in candidates.items()
            for place, size in copies
            if self._dry_run or place.delete(digest, limit)
        ]
        return len(sizes), sum(sizes)

    def _spare_mentioned(self, candidates: dict[str, list[tuple[Blobs, int]]], places: Sequence[Blobs]) -> None:
        """Drop from ``candidates`` what an XCom is stored in or mentions, and what such a stored value mentions."""
        for artifact, is_json, digests in self._store.cleaning.artifact_references():
            for digest in digests & candidates.keys():
                del candidates[digest]
            if artifact is None:
                continue
            candidates.pop(artifact, None)
            if is_json and candidates:
                mentions = (place.mentions(artifact) for place in places)
                for digest in next((found for found in mentions if found is not None), set()) & candidates.keys():
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
    times = (modified(Path(parent, name)) for parent, _, files in os.walk(folder) for name in files)
    return max(times, default=modified(folder))
