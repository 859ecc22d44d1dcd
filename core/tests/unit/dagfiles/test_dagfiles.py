"""Which DAG files are parsed, when, and when not: files that are new, change, go, or wait for their turn."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from windlass.dagfiles import outcome as outcome_module

if TYPE_CHECKING:
    from core.tests.unit.dagfiles.conftest import World


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


class TestFilesThatChangeWhileTheyAreParsed:
    def test_such_a_file_is_parsed_again_and_the_first_result_dropped(self, world: World) -> None:
        world.write("a.py", "dag: half")

        def save(_: str) -> None:
            world.parser.before_answer = lambda _: None
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
        world.parser.before_answer = lambda _: None
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
