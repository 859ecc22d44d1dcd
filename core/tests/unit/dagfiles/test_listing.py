from __future__ import annotations

import os
from pathlib import Path

import pytest

from windlass.dagfiles import listing as listing_module
from windlass.dagfiles.listing import Listing

DAG = "from windlass import DAG\n"


def write(root: Path, file: str, text: str = DAG) -> Path:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(root: Path, *, safe_mode: bool = True) -> list[str]:
    return list(Listing(str(root), safe_mode=safe_mode).look().files)


def test_finds_the_python_files_of_all_folders_in_order(tmp_path: Path) -> None:
    for file in ("b.py", "a.py", "team/c.py", "team/notes.txt"):
        write(tmp_path, file)
    assert names(tmp_path) == ["a.py", "b.py", "team/c.py"]


def test_leaves_out_hidden_files_caches_and_what_is_ignored(tmp_path: Path) -> None:
    for file in (".hidden.py", ".git/a.py", "__pycache__/a.py", "old/a.py", "new/a.py", "new/x_test.py"):
        write(tmp_path, file)
    write(tmp_path, ".windlassignore", "old/\n")
    write(tmp_path, "new/.airflowignore", "*_test.py\n")
    assert names(tmp_path) == ["new/a.py"]


def test_a_virtual_environment_holds_no_dag_files(tmp_path: Path) -> None:
    write(tmp_path, "venv/pyvenv.cfg", "home = /usr/bin")
    write(tmp_path, "venv/lib/a.py")
    assert names(tmp_path) == []


def test_safe_mode_takes_files_that_mention_dag_and_windlass_in_any_case(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "import WINDLASS  # Dag")
    write(tmp_path, "b.py", "import windlass")
    write(tmp_path, "c.py", "dag = 1")
    assert names(tmp_path) == ["a.py"]
    assert names(tmp_path, safe_mode=False) == ["a.py", "b.py", "c.py"]
    write(tmp_path, "d.py", "from windlass import asset\n@asset(schedule=None)\ndef f(): ...")
    assert names(tmp_path) == ["a.py", "d.py"]


def test_a_file_is_searched_again_when_it_changed(tmp_path: Path) -> None:
    path = write(tmp_path, "a.py", "nothing")
    listing = Listing(str(tmp_path), safe_mode=True)
    assert listing.look().files == {}
    path.write_text(DAG)
    assert list(listing.look().files) == ["a.py"]


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.py")
    read: list[str] = []

    def mentions_dags(path: str) -> bool:
        read.append(path)
        return True

    monkeypatch.setattr(listing_module, "_mentions_dags", mentions_dags)
    listing = Listing(str(tmp_path), safe_mode=True)
    for _ in range(3):
        listing.look()
    assert len(read) == 1


def test_links_in_circles_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, "team/a.py")
    (tmp_path / "team" / "self").symlink_to(tmp_path / "team")
    (tmp_path / "team" / "up").symlink_to(tmp_path)
    (tmp_path / "another").symlink_to(tmp_path / "team")
    assert names(tmp_path) == ["team/a.py"]


def test_a_linked_folder_from_elsewhere_is_part_of_the_bundle(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/a.py")
    root = tmp_path / "dags"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "broken.py").symlink_to(tmp_path / "nowhere.py")
    (root / "itself.py").symlink_to(root / "itself.py")
    assert names(root) == ["linked/a.py"]


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    assert names(tmp_path) == []


def test_a_name_that_is_not_utf_8_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    write(tmp_path, "a.py")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.py")).write_text(DAG)
    found = Listing(str(tmp_path), safe_mode=True).look()
    assert list(found.files) == ["a.py"]
    assert found.problems == ["the name of caf\\xe9.py is not UTF-8; rename the file"]


def test_a_missing_folder_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        names(tmp_path / "nowhere")
