from __future__ import annotations

import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from windlass.app.clocks import SeededRng, VirtualClock
from windlass.config import Settings
from windlass.dagfiles import DagFiles, LocalBundle
from windlass.dagfiles import outcome as outcome_module
from windlass.errors import StoreBusy, StoreError
from windlass.protocol.parsing import ParseRequest, ParseResult
from windlass.secrets.resolver import open_resolver
from windlass.spec import DagSpec, TaskSpec, encode_spec
from windlass.store.dags import ParsedFile
from windlass_testing.stores import new_store


def nothing(_: str) -> None:
    pass


class ScriptedParser:
    """Reads DAG files of a little language of its own, in this process and in order.

    A line ``# dag: etl`` defines a DAG, ``# reads: lib.py`` an input, ``# wants: lib.py`` one that is not there,
    ``# fails: why`` an error, ``# every: 5`` an interval, ``# says: text`` output and ``# warns: text`` a warning.
    ``parsed`` lists the files it was given, ``before_answer`` may meddle with the disk, ``answers`` with the result.
    """

    def __init__(self, room: int = 4) -> None:
        self.parsed: list[str] = []
        self.rested = 0
        self.closed = False
        self.before_answer: Callable[[str], None] = nothing
        self.answers: dict[str, Callable[[ParseResult], ParseResult]] = {}
        self._room = room
        self._requests: deque[ParseRequest] = deque()

    @property
    def room(self) -> int:
        return self._room - len(self._requests)

    @property
    def busy(self) -> bool:
        return bool(self._requests)

    def submit(self, request: ParseRequest) -> None:
        assert self.room > 0
        self._requests.append(request)

    def collect(self, timeout: float) -> list[ParseResult]:
        if not self._requests:
            return []
        request = self._requests.popleft()
        self.parsed.append(request.file)
        result = parse(request)
        self.before_answer(request.file)
        meddle = self.answers.get(request.file)
        return [result if meddle is None else meddle(result)]

    def rest(self) -> None:
        self.rested += 1

    def close(self) -> None:
        self.closed = True


def parse(request: ParseRequest) -> ParseResult:
    try:
        text = Path(request.root, request.file).read_text()
    except OSError as error:
        return ParseResult(id=request.id, error=str(error.strerror))
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("# ") and ": " in line:
            word, _, value = line[2:].partition(": ")
            said.setdefault(word, []).append(value)
    read = [request.file, *said.get("reads", [])]
    return ParseResult(
        id=request.id,
        specs=[spec(dag_id, text) for dag_id in said.get("dag", [])],
        error=said["fails"][0] if "fails" in said else None,
        inputs={file: hashlib.sha256(Path(request.root, file).read_bytes()).hexdigest() for file in read},
        missing=[file for file in said.get("wants", []) if not Path(request.root, file).exists()],
        output="".join(said.get("says", [])),
        warnings=said.get("warns", []),
        min_interval=float(said["every"][0]) if "every" in said else None,
    )


def spec(dag_id: str, text: str = "") -> bytes:
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return encode_spec(DagSpec(dag_id=dag_id, tasks=(TaskSpec(task_id=f"v{digest}"),)))


class World:
    """A folder, a store and a scripted parser; :meth:`restart` begins anew on the same disk and store."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "dags"
        self.root.mkdir()
        # In the past, so that no file counts as at rest: each is read at every look, however fast a test writes.
        self.clock = VirtualClock(datetime(2024, 1, 1, tzinfo=UTC))
        self.store = new_store(self.clock, SeededRng(1))
        self.settings = Settings.load(environ={"WINDLASS_HOME": str(home)}, cwd=home).replace(
            {("core", "dags_folder"): self.root}
        )
        self.parser = ScriptedParser()
        self.bundles = [LocalBundle("dags", self.root)]
        self.files = self.open()

    def open(self) -> DagFiles:
        return DagFiles(
            self.settings,
            self.store.dags,
            code=self.home / "code",
            clock=self.clock,
            secrets=open_resolver(self.settings),
            bundles=self.bundles,
            parser=self.parser,
        )

    def restart(self) -> None:
        self.files.close()
        self.parser = ScriptedParser()
        self.files = self.open()

    def write(self, file: str, *lines: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["from windlass import DAG", *(f"# {line}" for line in lines), ""]))

    def sync(self) -> list[str]:
        """Sync, and return the files that this parsed."""
        before = len(self.parser.parsed)
        self.files.sync()
        return self.parser.parsed[before:]

    def step_until_quiet(self) -> list[str]:
        """Step through one look and everything it starts, and return the files that this parsed."""
        before = len(self.parser.parsed)
        self.clock.advance(60.0)
        while self.files.step() == 0.0:
            pass
        return self.parser.parsed[before:]

    def dags(self) -> dict[str, str]:
        return {row.dag_id: row.file for row in self.store.queries.dags().items if not row.stale}

    def errors(self) -> dict[str, str]:
        return {row.file: row.message for row in self.store.queries.import_errors() if row.severity == "error"}

    def warnings(self) -> list[str]:
        return [row.message for row in self.store.queries.import_errors() if row.severity == "warning"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


class TestWhatIsParsed:
    def test_new_files_are_stored_with_a_code_version_that_is_on_disk(self, world: World) -> None:
        world.write("a.py", "dag: etl", "dag: report")
        assert world.sync() == ["a.py"]
        assert world.dags() == {"etl": "a.py", "report": "a.py"}
        version = world.store.queries.dag("etl").code_version
        assert (world.home / f"code/versions/{version}.json").exists()

    def test_an_unchanged_file_is_never_parsed_again(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.write("b.py", "fails: no such thing")
        world.sync()
        assert world.step_until_quiet() == []
        (world.root / "a.py").touch()
        assert world.step_until_quiet() == []

    def test_also_not_after_a_restart(self, world: World) -> None:
        (world.root / "lib.txt").write_text("1")
        world.write("a.py", "dag: etl", "reads: lib.txt", "wants: more.txt")
        world.write("b.py", "fails: no such thing")
        world.sync()
        world.restart()
        assert world.sync() == []
        assert world.dags() == {"etl": "a.py"}

    def test_what_another_host_has_parsed_is_parsed_where_its_snapshot_is_missing(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.write("b.py", "fails: no such thing")
        world.write("c.py")
        world.sync()
        version = world.store.queries.dag("etl").code_version
        shutil.rmtree(world.home / "code")
        world.restart()
        assert world.sync() == ["a.py"]
        assert world.store.queries.dag("etl").code_version == version
        assert (world.home / f"code/versions/{version}.json").exists()

    def test_an_edit_is_parsed(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.write("b.py", "dag: other")
        world.sync()
        before = world.store.queries.dag("etl")
        world.write("a.py", "dag: etl", "says: hello")
        assert world.step_until_quiet() == ["a.py"]
        after = world.store.queries.dag("etl")
        assert before.spec_version != after.spec_version
        assert before.code_version != after.code_version

    def test_an_edit_while_the_server_was_down_is_parsed(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        world.write("a.py", "dag: etl2")
        world.restart()
        assert world.sync() == ["a.py"]
        assert world.dags() == {"etl2": "a.py"}

    def test_a_change_of_anything_it_read_is_parsed(self, world: World) -> None:
        (world.root / "lib.txt").write_text("1")
        world.write("a.py", "dag: etl", "reads: lib.txt")
        world.write("b.py", "dag: other")
        world.sync()
        version = world.store.queries.dag("etl").code_version
        (world.root / "lib.txt").write_text("2")
        assert world.step_until_quiet() == ["a.py"]
        assert world.store.queries.dag("etl").code_version != version

    def test_what_was_looked_for_and_appears_is_parsed(self, world: World) -> None:
        world.write("a.py", "fails: No module named lib", "wants: lib.py")
        world.sync()
        (world.root / "lib.py").write_text("")
        assert world.step_until_quiet() == ["a.py"]

    def test_after_its_interval_a_file_is_parsed_though_nothing_changed(self, world: World) -> None:
        world.write("a.py", "dag: etl", "every: 120")
        world.write("b.py", "dag: other")
        world.sync()
        assert world.step_until_quiet() == []
        assert world.step_until_quiet() == ["a.py"]

    def test_the_interval_goes_on_over_a_restart(self, world: World) -> None:
        world.write("a.py", "dag: etl", "every: 90")
        world.sync()
        world.clock.advance(60.0)
        world.restart()
        assert world.sync() == []
        assert world.step_until_quiet() == ["a.py"]

    def test_somebody_may_ask_for_it(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.write("b.py", "dag: other")
        world.sync()
        world.store.dags.request_reparse([("dags", "a.py")])
        assert world.step_until_quiet() == ["a.py"]
        assert world.step_until_quiet() == []

    def test_another_package_is_another_version_of_every_file(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        version = world.store.queries.dag("etl").code_version
        monkeypatch.setattr("windlass.dagfiles.snapshot._packages", lambda: {"windlass": "99"})
        world.restart()
        assert world.sync() == ["a.py"]
        assert world.store.queries.dag("etl").code_version != version

    def test_another_default_timezone_is_another_version_of_every_file(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        version = world.store.queries.dag("etl").code_version
        world.settings = world.settings.replace({("core", "default_timezone"): "Asia/Tokyo"})
        world.restart()
        assert world.sync() == ["a.py"]
        assert world.store.queries.dag("etl").code_version != version

    def test_a_failed_file_is_tried_again_when_something_is_installed(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.write("a.py", "dag: etl")
        world.write("b.py", "fails: No module named pandas")
        world.sync()
        folder = world.home / "site-packages"
        folder.mkdir()
        monkeypatch.syspath_prepend(str(folder))
        assert world.step_until_quiet() == ["b.py"]
        assert world.step_until_quiet() == []

    def test_files_that_are_no_dag_files_are_left_alone(self, world: World) -> None:
        (world.root / "lib.py").write_text("x = 1")
        assert world.sync() == []


class TestErrors:
    def test_an_error_is_shown_with_the_output_and_goes_when_mended(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        world.write("a.py", "fails: a.py:3: NameError", "says: trace me")
        world.step_until_quiet()
        assert world.errors() == {"a.py": "a.py:3: NameError"}
        assert world.store.queries.import_errors()[0].output == "trace me"
        assert world.dags() == {"etl": "a.py"}
        world.write("a.py", "dag: etl")
        world.step_until_quiet()
        assert world.errors() == {}

    def test_warnings_are_kept_beside_the_dags(self, world: World) -> None:
        world.write("a.py", "dag: etl", "warns: a.py:1: DeprecationWarning: old")
        world.sync()
        assert world.warnings() == ["a.py:1: DeprecationWarning: old"]
        assert world.dags() == {"etl": "a.py"}

    def test_one_dag_that_cannot_be_stored_does_not_keep_the_others(self, world: World) -> None:
        world.write("a.py", "dag: good", "dag: bad")
        world.parser.answers["a.py"] = lambda result: msgspec.structs.replace(result, specs=[result.specs[0], b"[]"])
        world.sync()
        assert world.dags() == {"good": "a.py"}
        assert "a.py" in world.errors()

    def test_two_dags_of_one_name_in_one_file_are_an_error(self, world: World) -> None:
        world.write("a.py", "dag: etl", "dag: etl")
        world.sync()
        assert world.errors() == {"a.py": "a.py: two DAGs are called 'etl'; rename one of them"}

    def test_a_check_that_breaks_is_an_error_of_the_file(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(data: bytes, file: str, **_: object) -> None:
            raise RecursionError("too deep")

        monkeypatch.setattr(outcome_module, "checked", broken)
        world.write("a.py", "dag: etl")
        world.sync()
        assert world.errors() == {"a.py": "a.py: a DAG cannot be checked: RecursionError: too deep"}

    def test_an_input_outside_the_bundle_is_refused_and_not_copied(self, world: World) -> None:
        (world.home / "secret").write_text("hunter2")
        world.write("a.py", "dag: etl")
        world.parser.answers["a.py"] = lambda result: msgspec.structs.replace(
            result, inputs={**result.inputs, "../secret": "0" * 64}
        )
        world.sync()
        assert "not below its bundle" in world.errors()["a.py"]
        assert world.dags() == {}
        assert list((world.home / "code/blobs").iterdir()) == []
        assert world.step_until_quiet() == []


class TestFilesThatChangeWhileTheyAreParsed:
    def test_such_a_file_is_parsed_again_and_the_first_result_dropped(self, world: World) -> None:
        world.write("a.py", "dag: half")

        def save(_: str) -> None:
            world.parser.before_answer = nothing
            world.write("a.py", "dag: whole")

        world.parser.before_answer = save
        assert world.sync() == ["a.py", "a.py"]
        assert world.dags() == {"whole": "a.py"}

    def test_one_that_never_rests_gets_an_error_that_names_the_culprit(self, world: World) -> None:
        log = world.root / "run.log"
        log.write_text("")
        world.write("a.py", "dag: etl", "reads: run.log")

        def grow(_: str) -> None:
            log.write_text(log.read_text() + "again\n")

        world.parser.before_answer = grow
        assert world.sync() == ["a.py"] * (outcome_module.MAX_UNSTABLE + 1)
        assert world.errors()["a.py"].startswith("a.py: run.log changes every time this file is parsed")
        world.parser.before_answer = nothing
        assert world.step_until_quiet() == []

    def test_a_file_that_vanishes_meanwhile_leaves_nothing(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.parser.before_answer = lambda file: (world.root / file).unlink(missing_ok=True)
        world.files.sync()
        world.sync()
        assert world.dags() == {}
        assert world.errors() == {}


class TestFilesThatGo:
    def test_the_dags_of_a_deleted_file_turn_stale_and_its_errors_go(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.write("b.py", "fails: why")
        world.sync()
        for file in ("a.py", "b.py"):
            (world.root / file).unlink()
        world.sync()
        assert world.dags() == {}
        assert world.errors() == {}
        assert world.store.queries.dag("etl").stale

    def test_a_file_that_is_replaced_by_its_editor_is_never_gone(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        (world.root / "a.py").rename(world.root / "a.py~")
        world.step_until_quiet()
        assert world.dags() == {"etl": "a.py"}
        (world.root / "a.py~").rename(world.root / "a.py")
        assert world.step_until_quiet() == []
        (world.root / "a.py").unlink()
        world.step_until_quiet()
        world.step_until_quiet()
        assert world.dags() == {}

    def test_a_file_deleted_while_the_server_was_down_is_gone(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        (world.root / "a.py").unlink()
        world.restart()
        world.sync()
        assert world.dags() == {}

    def test_a_dag_that_its_file_no_longer_defines_turns_stale(self, world: World) -> None:
        world.write("a.py", "dag: one", "dag: two")
        world.sync()
        world.write("a.py", "dag: one")
        world.sync()
        assert world.dags() == {"one": "a.py"}

    def test_a_bundle_that_is_not_configured_any_more_takes_its_dags_along(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        world.bundles = []
        world.restart()
        assert world.dags() == {}

    def test_a_folder_that_cannot_be_read_is_a_visible_warning_and_takes_nothing_along(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        world.root.rename(world.home / "unmounted")
        world.sync()
        assert world.dags() == {"etl": "a.py"}
        (warning,) = world.warnings()
        assert warning.startswith(f"the DAG folder {world.root} cannot be read: No such file or directory; create it")
        world.restart()
        world.sync()
        assert len(world.warnings()) == 1
        (world.home / "unmounted").rename(world.root)
        assert world.sync() == []
        assert world.warnings() == []


class TestTwoFilesWithOneDag:
    def test_the_first_keeps_it_and_the_other_gets_an_error_that_names_both(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.write("b.py", "dag: etl", "dag: other")
        world.sync()
        assert world.dags() == {"etl": "a.py", "other": "b.py"}
        text = "DAG 'etl' is defined in both a.py and b.py; the one in a.py is used. Rename one of them"
        assert world.errors() == {"b.py": text}

    def test_the_first_is_who_came_first_not_who_sorts_first(self, world: World) -> None:
        world.write("b.py", "dag: etl")
        world.sync()
        world.write("a.py", "dag: etl")
        world.sync()
        assert world.dags() == {"etl": "b.py"}
        world.restart()
        world.write("a.py", "dag: etl", "says: more")
        world.sync()
        assert world.dags() == {"etl": "b.py"}

    @pytest.mark.parametrize("restarted", [False, True])
    @pytest.mark.parametrize("how", ["deleted", "edited"])
    def test_when_the_first_lets_go_the_other_gets_it(self, world: World, restarted: bool, how: str) -> None:
        world.write("a.py", "dag: etl")
        world.write("b.py", "dag: etl")
        world.sync()
        release: Callable[[], None] = (world.root / "a.py").unlink
        if how == "edited":
            release = lambda: world.write("a.py", "dag: renamed")  # noqa: E731
        release()
        if restarted:
            world.restart()
        world.sync()
        world.sync()
        assert world.dags()["etl"] == "b.py"
        assert world.errors() == {}

    def test_both_edited_at_once_in_the_unlucky_order(self, world: World) -> None:
        world.write("a.py", "dag: other")
        world.write("b.py", "dag: etl")
        world.sync()
        world.write("a.py", "dag: etl")
        world.sync()
        assert world.errors().keys() == {"a.py"}
        world.write("a.py", "dag: etl", "says: hello")
        world.write("b.py", "dag: renamed")
        world.sync()
        assert world.dags() == {"etl": "a.py", "renamed": "b.py"}
        assert world.errors() == {}


class TestStoring:
    def test_many_files_are_one_transaction(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(20):
            world.write(f"f{number:02}.py", f"dag: d{number:02}")
        sizes: list[int] = []
        store = world.store.dags.store_parse_results

        def counted(files: list[ParsedFile], *, paused: bool) -> list[str]:
            sizes.append(len(files))
            return store(files, paused=paused)

        monkeypatch.setattr(world.store.dags, "store_parse_results", counted)
        world.sync()
        assert sizes == [20]

    def test_results_wait_while_the_database_refuses(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.write("a.py", "dag: etl")
        with monkeypatch.context() as refusing:

            def refuse(files: list[ParsedFile], *, paused: bool) -> list[str]:
                raise StoreBusy("locked")

            refusing.setattr(world.store.dags, "store_parse_results", refuse)
            with pytest.raises(StoreBusy):
                world.files.sync()
        assert world.sync() == []
        assert world.dags() == {"etl": "a.py"}

    def test_a_code_folder_that_cannot_be_written_loses_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.write("a.py", "dag: etl")
        with monkeypatch.context() as full:

            def refuse(self: object, target: Path, data: bytes) -> None:
                raise OSError(28, "No space left on device")

            full.setattr("windlass.dagfiles.snapshot.CodeStore._write", refuse)
            with pytest.raises(StoreError, match=r"cannot be kept in .*: .*No space left"):
                world.files.sync()
        world.sync()
        assert world.dags() == {"etl": "a.py"}

    def test_a_file_that_went_while_the_database_refused_is_forgotten_later(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        (world.root / "a.py").unlink()
        with monkeypatch.context() as refusing:

            def refuse(bundle: str, files: list[str]) -> list[str]:
                raise StoreBusy("locked")

            refusing.setattr(world.store.dags, "forget_files", refuse)
            with pytest.raises(StoreBusy):
                world.files.sync()
        world.sync()
        assert world.dags() == {}

    def test_a_deleted_dag_starts_afresh_while_its_file_defines_it(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        world.store.dags.delete("etl")
        assert world.dags() == {}
        assert world.sync() == ["a.py"]
        assert world.dags() == {"etl": "a.py"}

    @pytest.mark.parametrize("paused", [False, True])
    def test_new_dags_start_as_the_configuration_says(self, world: World, paused: bool) -> None:
        world.settings = world.settings.replace({("core", "dags_are_paused_at_creation"): paused})
        world.restart()
        world.write("a.py", "dag: etl")
        world.sync()
        assert world.store.queries.dag("etl").paused is paused


class TestPace:
    def test_looks_are_an_interval_apart(self, world: World) -> None:
        assert world.files.step() == world.settings.dag_processor.refresh_interval
        world.write("a.py", "dag: etl")
        world.clock.advance(0.5)
        assert world.files.step() == 0.5
        world.clock.advance(0.5)
        world.files.step()
        assert world.dags() == {"etl": "a.py"}

    def test_while_there_is_work_a_step_asks_for_the_next_at_once(self, world: World) -> None:
        for number in range(3):
            world.write(f"f{number}.py", f"dag: d{number}")
        assert world.files.step() == 0.0
        assert world.files.step() == 0.0
        assert world.files.step() > 0.0
        assert len(world.dags()) == 3

    def test_an_idle_parser_may_rest(self, world: World) -> None:
        world.files.step()
        assert world.parser.rested == 1
        world.files.close()
        assert world.parser.closed

    def test_code_that_nothing_is_pinned_to_is_collected_in_the_end(self, world: World) -> None:
        world.write("a.py", "dag: etl")
        world.sync()
        first = world.store.queries.dag("etl").code_version
        world.write("a.py", "dag: etl", "says: new")
        world.sync()
        for path in (world.home / "code").rglob("*"):
            os.utime(path, (0, 0))
        world.step_until_quiet()
        assert (world.home / f"code/versions/{first}.json").exists()
        world.clock.advance(600.0)
        world.step_until_quiet()
        assert not (world.home / f"code/versions/{first}.json").exists()
        assert (world.home / f"code/versions/{world.store.queries.dag('etl').code_version}.json").exists()
