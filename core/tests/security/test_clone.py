"""Working inside a stranger's clone executes nothing of theirs and tells them nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from windlass_testing.stores import environ_of

pytestmark = pytest.mark.timeout(120)

#: What a look around needs; none of it is asked to run DAGs.
COMMANDS = (
    ("--help",),
    ("--version",),
    ("info",),
    ("doctor",),
    ("config", "list"),
    ("db", "migrate"),
    ("dags", "list"),
    ("connections", "list"),
    ("providers", "list"),
    ("plugins",),
    ("explain", "theirs"),
)
#: What a project may not set; each would run or load something, or send data elsewhere.
FORBIDDEN = {
    "a command": '[core]\nfernet_key_cmd = "touch {pwned}"\n',
    "an executor": '[core]\nexecutor = "hostile.Executor"\n',
    "a database": '[database]\nsql_alchemy_conn = "sqlite:///{pwned}"\n',
    "a database command": '[database]\nsql_alchemy_conn_cmd = "touch {pwned}"\n',
    "a secrets backend": '[secrets]\nbackend = "hostile.Backend"\n',
    "a log folder": '[logging]\nbase_log_folder = "{pwned}"\n',
}
HOSTILE_CODE = "import pathlib\npathlib.Path({pwned!r}).touch()\n"


def clone_of(folder: Path, pwned: Path, settings: str) -> Path:
    """Make a clone full of files that tools like to load by themselves, below a folder where we work."""
    clone = folder / "clone"
    (clone / "dags").mkdir(parents=True)
    code = HOSTILE_CODE.format(pwned=str(pwned))
    for name in ("windlass", "hostile", "pluggy", "msgspec", "click", "sitecustomize", "usercustomize", "conftest"):
        (clone / f"{name}.py").write_text(code)
    for name in ("theirs", "windlass_plugins"):
        (clone / "dags" / f"{name}.py").write_text(code)
    (clone / ".env").write_text("WINDLASS__CORE__EXECUTOR=hostile.Executor\n")
    (clone / "windlass.toml").write_text(settings.format(pwned=pwned))
    work = clone / "docs" / "deep"
    work.mkdir(parents=True)
    return work


def run(work: Path, home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("windlass")
    environ = {**environ_of(home), "PATH": "/usr/bin:/bin", "HOME": str(home.parent)}
    return subprocess.run(
        [str(script), *args], cwd=work, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("settings", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_strangers_settings_are_refused_by_name_and_nothing_of_theirs_runs(tmp_path: Path, settings: str) -> None:
    home, pwned = tmp_path / "home", tmp_path / "pwned"
    work = clone_of(tmp_path, pwned, settings)
    done = run(work, home, "dags", "list")
    assert done.returncode == 2, done.stdout
    assert f"{work.parents[1] / 'windlass.toml'}:2" in done.stderr
    assert "may not set" in done.stderr or "there is no" in done.stderr
    assert not pwned.exists()
    assert not home.exists()


def test_with_the_settings_that_a_project_may_have_looking_around_runs_nothing(tmp_path: Path) -> None:
    home, pwned = tmp_path / "home", tmp_path / "pwned"
    settings = '[core]\ndags_folder = "dags"\ndefault_timezone = "Europe/Berlin"\n'
    clone = clone_of(tmp_path, pwned, settings)
    for number, command in enumerate(COMMANDS):
        done = run((clone, clone.parents[1])[number % 2], home, *command)
        assert done.returncode in {0, 1, 4, 5}, f"{command}: {done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        assert not pwned.exists(), command
    shown = run(clone, home, "config", "list", "-o", "json").stdout
    assert str(clone.parents[1] / "dags") in shown, "the project was found"
