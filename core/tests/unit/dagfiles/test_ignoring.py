from __future__ import annotations

import pytest

from windlass.dagfiles.ignoring import Ignored


def ignores(text: str, path: str, *, is_folder: bool = False, folder: tuple[str, ...] = ()) -> bool:
    return Ignored().extended(folder, text).ignores(tuple(path.split("/")), is_folder=is_folder)


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("scratch.py", "scratch.py", True),
        ("scratch.py", "deep/er/scratch.py", True),
        ("/scratch.py", "deep/scratch.py", False),
        ("deep/scratch.py", "deep/scratch.py", True),
        ("deep/scratch.py", "very/deep/scratch.py", False),
        ("*_test.py", "a/b/etl_test.py", True),
        ("*.py", "a/b.py", True),
        ("a/*.py", "a/b/c.py", False),
        ("a/**/c.py", "a/c.py", True),
        ("a/**/c.py", "a/x/y/c.py", True),
        ("**/c.py", "c.py", True),
        ("a/**", "a/x/y.py", True),
        ("[ab].py", "b.py", True),
        ("[!ab].py", "b.py", False),
        ("# scratch.py", "# scratch.py", False),
        (r"\#odd.py", "#odd.py", True),
        ("", "a.py", False),
    ],
)
def test_a_pattern_means_what_it_means_in_gitignore(pattern: str, path: str, ignored: bool) -> None:
    assert ignores(pattern, path) is ignored


def test_a_slash_at_the_end_matches_folders_only() -> None:
    assert ignores("build/", "x/build", is_folder=True)
    assert not ignores("build/", "x/build")


def test_the_last_pattern_decides() -> None:
    assert not ignores("*.py\n!keep.py", "keep.py")
    assert ignores("!keep.py\n*.py", "keep.py")


def test_patterns_of_a_folder_hold_below_it_and_come_after_its_parents() -> None:
    rules = Ignored().extended((), "*.py").extended(("team",), "!/own.py")
    assert not rules.ignores(("team", "own.py"), is_folder=False)
    assert rules.ignores(("team", "sub", "own.py"), is_folder=False)
    assert rules.ignores(("own.py",), is_folder=False)


def test_a_hostile_pattern_is_matched_in_no_time() -> None:
    # Counted in steps: a backtracking matcher would not come back from this one.
    assert not ignores("*a" * 40 + "b", "a" * 200)
    assert not ignores("**/" * 40 + "b", "/".join("a" * 100))
