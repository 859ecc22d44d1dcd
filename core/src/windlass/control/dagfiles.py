"""The files that DAGs come from: what they hold and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windlass.control.views import FileRow, ImportErrorRow
from windlass.control.visibility import did_you_mean
from windlass.errors import NotFound

if TYPE_CHECKING:
    from windlass.store import Store


class DagFiles:
    """Queries and commands about DAG files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def import_errors(self) -> tuple[ImportErrorRow, ...]:
        """Return the files that could not be read and those with a timetable that fails, each with its error."""
        timetables = (
            ImportErrorRow(bundle=row.bundle, file=row.file, error=row.message, at=row.at)
            for row in self._store.questions.errors()
        )
        return (*self._unread(), *timetables)

    def _unread(self) -> tuple[ImportErrorRow, ...]:
        return tuple(
            ImportErrorRow(bundle=row.bundle, file=row.file, error=row.message, at=row.at)
            for row in self._store.queries.import_errors()
            if row.severity == "error"
        )

    def count_import_errors(self) -> int:
        """Return how many files could not be read."""
        return len(self._unread())

    def report(self) -> tuple[FileRow, ...]:
        """Return every file with its DAGs and how long it parsed, the slowest first."""
        errors = [(row.bundle, row.file) for row in self._unread()]
        rows = [
            FileRow(
                bundle=row.bundle,
                file=row.file,
                dags=tuple(row.dags),
                parsed_at=row.parsed_at,
                duration=row.duration,
                errors=errors.count((row.bundle, row.file)),
            )
            for row in self._store.dags.parsed_files()
        ]
        return tuple(sorted(rows, key=lambda row: (-(row.duration or 0.0), row.file)))

    def reparse(self, file: str | None = None, *, dry_run: bool = False, actor: str) -> int:
        """Have the server parse files again, one or all, and return how many.

        :raises NotFound: if ``file`` is given and was never parsed.
        """
        known = self._store.dags.parsed_files()
        chosen = [row for row in known if file is None or row.file == file]
        if file is not None and not chosen:
            hint = did_you_mean(file, (row.file for row in known))
            raise NotFound(f"file {file!r} is not known.{hint} `windlass dags report` shows all")
        if not dry_run:
            self._store.dags.request_reparse([(row.bundle, row.file) for row in chosen])
        return len(chosen)
