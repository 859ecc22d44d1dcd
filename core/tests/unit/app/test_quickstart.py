"""What the quickstart needs is looked for before it touches the home, and what is missing is told with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.app import quickstart
from windlass.config import Settings
from windlass.errors import ExtraMissing, PluginError
from windlass.registry import Catalog, Provider, Registry

INSTALL = (
    "the example needs the bash provider and a server; install them with `pip install 'windlass[server]' windlass-bash`"
)
UPGRADE = (
    "the installed windlass-bash 0.0.9 does not bring the example seattle_weather; "
    "upgrade it with `pip install --upgrade windlass-bash`"
)


@pytest.mark.parametrize(
    ("providers", "message"),
    [
        ((), INSTALL),
        ((Provider(name="bash", version="0.0.9"),), UPGRADE),
        ((Provider(name="bash", version="0.0.9", example_dags=("json",)),), UPGRADE),
    ],
    ids=["missing", "without examples", "with other examples"],
)
def test_without_its_example_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, providers: tuple[Provider, ...], message: str
) -> None:
    plugins = Registry(lambda: Catalog(providers))
    monkeypatch.setattr(quickstart, "registry", lambda: plugins)
    settings = Settings.load(environ={"WINDLASS_HOME": str(tmp_path / "home")}, cwd=tmp_path)
    with pytest.raises(PluginError) as caught:
        quickstart.run(settings)
    assert str(caught.value) == message
    assert not (tmp_path / "home").exists()


def test_without_the_library_that_encrypts_its_connection_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quickstart, "find_spec", lambda _name: None)
    settings = Settings.load(environ={"WINDLASS_HOME": str(tmp_path / "home")}, cwd=tmp_path)
    with pytest.raises(ExtraMissing, match=r"stores a connection, which needs cryptography.*windlass\[server\]"):
        quickstart.run(settings)
    assert not (tmp_path / "home").exists()


def test_a_dag_file_that_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "dags"
    source.mkdir()
    for name in ("seattle_weather.py", "seattle_weather.csv.gz"):
        (source / name).write_text("shipped")
    assert quickstart.install_example(source, folder)
    for file in folder.iterdir():
        file.write_text("edited")
    assert not quickstart.install_example(source, folder)
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "seattle_weather.py": "edited",
        "seattle_weather.csv.gz": "shipped",
    }
