"""What is stored of a file that was parsed: its DAGs, its errors and warnings, and which file of two has a DAG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from windlass.dagfiles import outcome as outcome_module
from windlass.errors import StoreBusy, StoreError
from windlass.store.dags import ParsedFile

if TYPE_CHECKING:
    from core.tests.unit.dagfiles.conftest import World


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
