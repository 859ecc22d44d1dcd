from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from windlass.dagfiles.snapshot import COPIED, Changed, CodeStore, Manifest
from windlass.errors import SpecError
from windlass.runtime.loader import read_manifest


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    (folder / "lib").mkdir(parents=True)
    (folder / "a.py").write_text("a")
    (folder / "lib" / "b.py").write_text("b")
    return folder


@pytest.fixture
def code(tmp_path: Path) -> CodeStore:
    return CodeStore(tmp_path / "code")


def manifest(root: Path, **files: str) -> Manifest:
    return Manifest.of("dags", str(root), "a.py", files or {"a.py": sha("a"), "lib/b.py": sha("b")})


def test_a_version_can_be_loaded_by_the_runtime(tmp_path: Path, root: Path, code: CodeStore) -> None:
    version = code.keep(manifest(root))
    code.flush()
    loaded = read_manifest(tmp_path / "code", version)
    assert (loaded.bundle, loaded.file, loaded.root) == ("dags", "a.py", str(root))
    assert {path: (tmp_path / "code/blobs" / digest).read_text() for path, digest in loaded.files.items()} == {
        "a.py": "a",
        "lib/b.py": "b",
    }


def test_equal_inputs_have_an_equal_version_and_any_difference_another(root: Path) -> None:
    first = manifest(root)
    assert first.code_version == manifest(root).code_version
    assert len(first.code_version) == 32
    others = [
        manifest(root, **{"a.py": sha("x"), "lib/b.py": sha("b")}),
        manifest(root / "moved"),
        msgspec.structs.replace(first, file="lib/b.py"),
        msgspec.structs.replace(first, python="4.0.0"),
        msgspec.structs.replace(first, timezone="Asia/Tokyo"),
        msgspec.structs.replace(first, packages={**first.packages, "windlass-aws": "9"}),
    ]
    assert len({first.code_version, *(other.code_version for other in others)}) == 1 + len(others)


def test_files_are_private_and_leave_no_drafts(tmp_path: Path, root: Path, code: CodeStore) -> None:
    code.keep(manifest(root))
    kept = [path for path in (tmp_path / "code").rglob("*") if path.is_file()]
    assert len(kept) == 3
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


def test_a_file_that_changed_since_it_was_parsed_is_not_kept_under_its_old_hash(
    tmp_path: Path, root: Path, code: CodeStore
) -> None:
    parsed = manifest(root)
    (root / "lib" / "b.py").write_text("other")
    with pytest.raises(Changed):
        code.keep(parsed)
    assert list((tmp_path / "code/versions").iterdir()) == []


def test_a_kept_version_needs_its_files_no_more(root: Path, code: CodeStore) -> None:
    version = code.keep(manifest(root))
    (root / "a.py").unlink()
    assert code.keep(manifest(root)) == version


def test_a_large_input_counts_but_is_not_copied(tmp_path: Path, root: Path, code: CodeStore) -> None:
    with (root / "data.csv").open("wb") as file:
        file.truncate(COPIED + 1)
    code.keep(manifest(root, **{"a.py": sha("a"), "data.csv": "0" * 64}))
    assert [path.name for path in (tmp_path / "code/blobs").iterdir()] == [sha("a")]


@pytest.mark.parametrize("path", ["../a.py", "/etc/passwd", "lib/../../a.py", "", "a\0b"])
def test_inputs_outside_the_bundle_are_refused(root: Path, path: str) -> None:
    with pytest.raises(SpecError, match="not below its bundle"):
        manifest(root, **{path: sha("a")})


class TestCollect:
    def test_removes_what_nothing_uses_and_keeps_the_rest(self, tmp_path: Path, root: Path, code: CodeStore) -> None:
        used = code.keep(manifest(root))
        (root / "a.py").write_text("new")
        unused = code.keep(manifest(root, **{"a.py": sha("new"), "lib/b.py": sha("b")}))
        assert code.collect({used}, grace=-1.0) == 2
        assert [path.stem for path in (tmp_path / "code/versions").iterdir()] == [used]
        assert {path.name for path in (tmp_path / "code/blobs").iterdir()} == {sha("a"), sha("b")}
        assert unused != used

    def test_spares_what_was_wanted_a_moment_ago(self, tmp_path: Path, root: Path, code: CodeStore) -> None:
        version = code.keep(manifest(root))
        for path in (tmp_path / "code").rglob("*"):
            os.utime(path, (0, 0))
        code.keep(manifest(root))  # somebody needs it again
        assert code.collect(set(), grace=60.0) == 0
        assert (tmp_path / f"code/versions/{version}.json").exists()
