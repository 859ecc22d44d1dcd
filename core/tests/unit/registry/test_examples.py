"""Where the example DAGs of providers lie is found without running anything of theirs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from windlass.registry import Provider
from windlass.registry.examples import example_folders


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package that may not be imported, and its examples, which are no package."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for package in (tmp_path / "acme_cloud", tmp_path / "acme_cloud" / "inner"):
        package.mkdir()
        (package / "__init__.py").write_text("raise AssertionError('imported')")
        (package / "example_dags").mkdir()
    (tmp_path / "acme_module.py").write_text("raise AssertionError('imported')")
    return tmp_path


def test_each_package_of_examples_has_its_folder_and_nothing_is_imported(site: Path) -> None:
    packages = ("acme_cloud.example_dags", "acme_cloud.inner.example_dags")
    assert example_folders([Provider(name="none"), Provider(name="acme", example_dags=packages)]) == {
        "acme_cloud.example_dags": site / "acme_cloud" / "example_dags",
        "acme_cloud.inner.example_dags": site / "acme_cloud" / "inner" / "example_dags",
    }
    assert not {name for name in sys.modules if name.startswith("acme")}


def test_a_package_whose_parts_lie_apart_is_looked_for_in_each(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("first", "second"):
        (site / part / "acme_parts" / part).mkdir(parents=True)
        monkeypatch.syspath_prepend(str(site / part))
    found = example_folders([Provider(name="acme", example_dags=("acme_parts.first", "acme_parts.second"))])
    assert list(found.values()) == [site / part / "acme_parts" / part for part in ("first", "second")]


@pytest.mark.parametrize(
    "package",
    [
        "no_such_package_of_acme.example_dags",
        "acme_cloud.examples",
        "acme_module.example_dags",
        "__main__.example_dags",
    ],
)
def test_examples_that_are_not_there_are_logged_and_hide_no_others(
    site: Path, caplog: pytest.LogCaptureFixture, package: str
) -> None:
    broken = Provider(name="broken", example_dags=(package,))
    sound = Provider(name="sound", example_dags=("acme_cloud.example_dags",))
    assert list(example_folders([broken, sound])) == ["acme_cloud.example_dags"]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"the examples of provider broken are not there: no folder of package {package}; reinstall its distribution"
    )
