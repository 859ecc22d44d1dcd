"""The DAG files of one home, kept in step with the database: look, have parsed, check, keep the code, store.

    files = DagFiles(settings, store.dags, code=settings.home / "code", clock=clock, secrets=open_resolver(…))
    pause = files.step()        # again and again, from one thread; sleep `pause` seconds in between
    files.sync()                # or: everything on disk now is parsed and stored when this returns
    files.close()

One thread calls it. Nothing of an author's runs in this process: files are parsed by the parse server's children, their
specs are data. Results are stored many at a time, a few hundred milliseconds after they came at the latest, and in
the same order as the code they refer to: contents first, flushed, then the database, so that a version that a run is
pinned to can always be loaded. When the database refuses, results wait and are offered again at the next step.

Two files may define the same DAG; then the first keeps it, and the other gets an error and is looked at again when the
first lets go. An unchanged file is never parsed again, and a folder costs a few hundred ``stat`` calls per look: looks
are a second apart, or further where one takes long, so that watching a small folder costs a three-hundredth of a CPU.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from windlass.config import Settings
from windlass.dagfiles.bundles import configured_bundles
from windlass.dagfiles.contents import Contents
from windlass.dagfiles.outcome import Outcome, examine, settle, to_store
from windlass.dagfiles.parser import Parser, ParseServer, Secrets
from windlass.dagfiles.snapshot import CodeStore
from windlass.dagfiles.watching import WHOLE_BUNDLE, Look, Remembered, Tracked, Watch
from windlass.errors import StoreError
from windlass.executors.names import spellings
from windlass.interfaces.bundle import Bundle
from windlass.ports import Clock
from windlass.protocol.parsing import ParseRequest, ParseResult
from windlass.spec import DagSpec
from windlass.store.dags import Dags, ParsedFile

log = logging.getLogger(__name__)

#: Results are stored at the latest when there are this many, or after this many seconds.
_BATCH: Final = 64
_BATCH_WAIT: Final = 0.25
#: How long a step waits for the next result.
_RESULT_WAIT: Final = 0.1
#: A look may be this many times as far from the next one as it takes, but no further than `_MAX_STRETCH` intervals.
_SHARE: Final = 300
_MAX_STRETCH: Final = 3
#: Seconds between collections of code that no run needs any more, and before the first one.
_COLLECT: Final = 86_400.0
_FIRST_COLLECT: Final = 600.0

Key = tuple[str, str]


class DagFiles:
    """Watches bundles and keeps their DAGs stored."""

    def __init__(
        self,
        settings: Settings,
        dags: Dags,
        *,
        code: Path,
        clock: Clock,
        secrets: Secrets,
        bundles: Sequence[Bundle] | None = None,
        parser: Parser | None = None,
    ) -> None:
        """Start from what the database knows.

        Args:
            settings: the configuration.
            dags: the store's part for DAGs and files.
            code: the folder of code snapshots.
            clock: for intervals and the calendar.
            secrets: answers connections and variables that files read while they are parsed; used by this thread only.
            bundles: what is watched, by default what the configuration says.
            parser: what parses, by default a parse server that is started on first need.
        """
        self._settings = settings
        self._dags = dags
        self._clock = clock
        self._folder = code
        self._code = CodeStore(code)
        self._contents = Contents(clock)
        self._parser = parser or ParseServer(
            concurrency=settings.dag_processor.parsing_processes, secrets=secrets, clock=clock
        )
        self._ids = itertools.count(1)
        #: What waits for the parser, in order.
        self._queue: dict[Key, Tracked] = {}
        self._in_flight: dict[int, Tracked] = {}
        self._results: deque[ParseResult] = deque()
        self._batch: dict[Key, ParsedFile] = {}
        self._batch_since = 0.0
        #: Files that went away and are still in the database.
        self._gone: list[Tracked] = []
        #: DAG id -> the file that it belongs to, and the files that define it as well.
        self._owners: dict[str, Key] = {}
        self._contested: dict[str, set[Key]] = {}
        #: Bundle -> what was last reported to be wrong with it.
        self._problems: dict[str, list[str]] = {}
        self._next_look = 0.0
        self._next_collection = clock.monotonic() + _FIRST_COLLECT
        self._watches = {
            bundle.name: Watch(
                bundle,
                self._contents,
                safe_mode=settings.core.dag_discovery_safe_mode,
                min_interval=settings.dag_processor.min_file_process_interval,
                timezone=settings.core.default_timezone,
            )
            for bundle in (configured_bundles(settings) if bundles is None else bundles)
        }
        self._restore()

    def step(self) -> float:
        """Do what is due and return the seconds until there is something to do again.

        :raises WindlassError: if the database or the code folder refuses; nothing is lost, call it again later.
        """
        with self._naming_the_folder():
            if self._clock.monotonic() >= self._next_look:
                self._look()
            self._work(_RESULT_WAIT)
            if self._queue or self._parser.busy:
                return 0.0
            self._parser.rest()
            now = self._clock.monotonic()
            if now >= self._next_collection:
                self._next_collection = now + _COLLECT
                self._code.collect(self._dags.code_versions())
            return max(0.0, self._next_look - now)

    def sync(self) -> None:
        """Look now, and return when everything that is on disk is parsed and stored.

        :raises WindlassError: as :meth:`step` does.
        """
        with self._naming_the_folder():
            self._look(final=True)
            while self._queue or self._parser.busy or self._results or self._batch:
                self._work(_RESULT_WAIT)

    def close(self) -> None:
        """End the parse server. What it was working on is parsed again by the next one."""
        self._parser.close()

    @contextmanager
    def _naming_the_folder(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            text = f"DAG code cannot be kept in {self._folder}: {error}"
            raise StoreError(f"{text}; make room, or check who may write there") from error

    # --- looking ---------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        strange: dict[str, list[str]] = {}
        for row in self._dags.parsed_files():
            watch = self._watches.get(row.bundle)
            if watch is None:
                strange.setdefault(row.bundle, []).append(row.file)
            elif row.file == WHOLE_BUNDLE:
                self._problems[row.bundle] = [""]
            else:
                kept = not row.dags or self._code.has(row.code_version or "")
                watch.restore(row, monotonic - (now - row.parsed_at).total_seconds(), kept=kept)
                self._owners.update(dict.fromkeys(row.dags, (row.bundle, row.file)))
        for bundle, files in strange.items():
            self._dags.forget_files(bundle, files)  # it is not configured any more

    def _look(self, *, final: bool = False) -> None:
        started = self._clock.monotonic()
        for bundle, file in self._dags.reparse_requests():
            tracked = self._watches[bundle].files.get(file) if bundle in self._watches else None
            if tracked is not None:
                tracked.inputs = None
        for watch in self._watches.values():
            look = watch.look(started, final=final)
            self._gone += look.gone
            for tracked in look.due:
                self._queue[tracked.key] = tracked
            self._report(watch, look)
        self._forget()
        now = self._clock.monotonic()
        interval = self._settings.dag_processor.refresh_interval
        self._next_look = now + min(max(interval, (now - started) * _SHARE), interval * _MAX_STRETCH)

    def _forget(self) -> None:
        files: dict[str, list[str]] = {}
        for tracked in self._gone:
            self._queue.pop(tracked.key, None)
            self._batch.pop(tracked.key, None)
            self._release(tracked, ())
            files.setdefault(tracked.bundle, []).append(tracked.file)
        for bundle, names in files.items():
            # One that came back meanwhile is parsed anew, and not to be forgotten after that.
            gone = [name for name in names if name not in self._watches[bundle].files]
            if gone:
                changed = self._dags.forget_files(bundle, gone)
                log.info("DAG files gone: %s; with them DAGs: %s", ", ".join(gone), ", ".join(changed) or "none")
        self._gone.clear()

    def _report(self, watch: Watch, look: Look) -> None:
        name = watch.bundle.name
        if look.problems == self._problems.get(name, []):
            return
        for problem in look.problems:
            log.warning("%s", problem)
        if look.problems:
            whole = ParsedFile(bundle=name, file=WHOLE_BUNDLE, warnings=tuple(look.problems), inputs=Remembered({}))
            self._dags.store_parse_results([whole], paused=True)
        else:
            self._dags.forget_files(name, [WHOLE_BUNDLE])
        self._problems[name] = look.problems

    # --- parsing ---------------------------------------------------------------------------------------------------

    def _work(self, wait: float) -> None:
        """Give the parser what it has room for, take what it has, and store what is ripe."""
        while self._queue and self._parser.room > 0:
            tracked = self._queue.pop(next(iter(self._queue)))
            request = next(self._ids)
            tracked.in_flight = True
            self._in_flight[request] = tracked
            self._parser.submit(
                ParseRequest(
                    id=request,
                    bundle=tracked.bundle,
                    root=tracked.root,
                    file=tracked.file,
                    timeout=self._settings.core.dagbag_import_timeout,
                    memory=self._settings.dag_processor.memory_limit_mb << 20,
                    timezone=tracked.timezone,
                )
            )
        self._results.extend(self._parser.collect(0.0 if self._results or not self._parser.busy else wait))
        while self._results:
            self._take(self._results[0])
            self._results.popleft()
        now = self._clock.monotonic()
        ripe = len(self._batch) >= _BATCH or now - self._batch_since > _BATCH_WAIT
        if self._batch and (ripe or not (self._queue or self._parser.busy)):
            self._store()

    def _take(self, result: ParseResult) -> None:
        """Judge a result and put it into the batch. If that raises, the result may be taken again."""
        tracked = self._in_flight[result.id]
        if tracked.key in self._batch:
            self._store()  # the order of results is the order in which DAGs change hands
        gone = self._watches[tracked.bundle].files.get(tracked.file) is not tracked
        outcome = examine(tracked, result, self._contents, executors=spellings(self._settings.core.executor))
        code_version = None if gone else settle(tracked, outcome, self._contents, self._code)
        tracked.in_flight = False
        del self._in_flight[result.id]
        if code_version is None:
            if not gone:
                self._queue[tracked.key] = tracked
            return
        self._claim(tracked, outcome)
        tracked.inputs = outcome.inputs
        tracked.failed = bool(outcome.errors)
        tracked.min_interval = result.min_interval
        tracked.parsed_at = now = self._clock.monotonic()
        if outcome.errors:
            log.warning("import error: %s", outcome.errors[0].partition("\n")[0])
        if not self._batch:
            self._batch_since = now
        self._batch[tracked.key] = to_store(tracked, result, outcome, code_version)

    def _store(self) -> None:
        self._code.flush()
        files = list(self._batch.values())
        changed = self._dags.store_parse_results(files, paused=self._settings.core.dags_are_paused_at_creation)
        self._batch.clear()
        if changed:
            log.info("DAGs changed: %s", ", ".join(changed))

    # --- whose DAG is it -------------------------------------------------------------------------------------------

    def _claim(self, tracked: Tracked, outcome: Outcome) -> None:
        """Leave in ``outcome`` the DAGs that are this file's, with an error for each of the others."""
        mine: list[DagSpec] = []
        for spec in outcome.specs:
            owner = self._owners.setdefault(spec.dag_id, tracked.key)
            if owner != tracked.key:
                self._contest(tracked, outcome, spec.dag_id, owner)
            elif any(other.dag_id == spec.dag_id for other in mine):
                outcome.errors.append(f"{tracked.file}: two DAGs are called {spec.dag_id!r}; rename one of them")
            else:
                mine.append(spec)
        outcome.specs = mine
        if not outcome.errors:
            self._release(tracked, [spec.dag_id for spec in mine])
        else:
            tracked.dags = tuple(dict.fromkeys((*tracked.dags, *(spec.dag_id for spec in mine))))

    def _contest(self, tracked: Tracked, outcome: Outcome, dag_id: str, owner: Key) -> None:
        first = owner[1] if owner[0] == tracked.bundle else f"{owner[0]}:{owner[1]}"
        text = f"DAG {dag_id!r} is defined in both {first} and {tracked.file}"
        outcome.errors.append(f"{text}; the one in {first} is used. Rename one of them")
        self._contested.setdefault(dag_id, set()).add(tracked.key)
        # Also remembered as an input, under its absolute path, so that it is not forgotten over a restart.
        path = f"{self._watches[owner[0]].root}/{owner[1]}"
        outcome.inputs[path] = self._contents.hash_of(path)

    def _release(self, tracked: Tracked, kept: Sequence[str]) -> None:
        """Let go of the DAGs of ``tracked`` that are not ``kept``; files that define them too get their chance."""
        for dag_id in set(tracked.dags) - set(kept):
            if self._owners.get(dag_id) == tracked.key:
                del self._owners[dag_id]
            for bundle, file in self._contested.pop(dag_id, ()):
                other = self._watches[bundle].files.get(file)
                if other is not None and not other.in_flight:
                    self._queue[other.key] = other
        tracked.dags = tuple(kept)
