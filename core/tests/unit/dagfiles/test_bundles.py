from __future__ import annotations

from pathlib import Path

import pytest

from windlass.config import Settings
from windlass.dagfiles import LocalBundle, bundles, configured_bundles
from windlass.registry import Catalog, Provider, Registry


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(environ={"WINDLASS_HOME": str(tmp_path)}, cwd=tmp_path)


def test_the_dag_folder_is_a_bundle_and_so_are_the_examples_of_each_provider_where_wanted(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    packages = ("acme_examples", "acme.example_dags", "beta.example_dags")
    for package in packages:
        (tmp_path / package.replace(".", "/")).mkdir(parents=True)
    providers = (Provider(name="acme", example_dags=packages[:2]), Provider(name="beta", example_dags=packages[2:]))
    plugins = Registry(lambda: Catalog(providers))
    monkeypatch.setattr(bundles, "registry", lambda: plugins)

    (folder,) = configured_bundles(settings)
    assert (folder.name, folder.path) == ("dags-folder", tmp_path / "dags")
    _, *examples = configured_bundles(settings.replace({("core", "load_examples"): True}))
    assert {bundle.name: bundle.path for bundle in examples} == {
        package: tmp_path / package.replace(".", "/") for package in packages
    }


def test_a_link_to_a_folder_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "v1")
    monkeypatch.chdir(tmp_path)
    assert LocalBundle("dags", Path("current")).path == tmp_path / "current"
