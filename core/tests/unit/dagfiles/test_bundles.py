from __future__ import annotations

from pathlib import Path

import pytest

from windlass.config import Settings
from windlass.dagfiles import LocalBundle, configured_bundles


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(environ={"WINDLASS_HOME": str(tmp_path)}, cwd=tmp_path)


def test_the_dag_folder_is_a_bundle_and_the_examples_are_one_where_wanted(settings: Settings, tmp_path: Path) -> None:
    (folder,) = configured_bundles(settings)
    assert (folder.name, folder.path) == ("dags-folder", tmp_path / "dags")
    _, examples = configured_bundles(settings.replace({("core", "load_examples"): True}))
    assert examples.name == "example_dags"
    assert any(examples.path.glob("*.py"))


def test_a_link_to_a_folder_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    monkeypatch.chdir(tmp_path)
    assert LocalBundle("dags", Path("current")).path == tmp_path / "current"
