"""The home is its owner's alone, and no id, however hostile, leads a file out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import ProtocolError
from windlass.planning.attempts import log_path_of
from windlass.supervisor.logs import contained
from windlass_testing.stores import environ_of, on_server

if TYPE_CHECKING:
    from windlass_testing.live import LiveInstallation

DAG = """
from windlass import DAG, task
with DAG("hello", schedule=None, is_paused_upon_creation=False):
    @task
    def greet():
        print("hello")
    greet()
"""
HOSTILE = (
    "../../../../outside",
    "..",
    ".",
    "/etc/cron.d/outside",
    "a/../../../outside",
    "x\\..\\y",
    "%2e%2e%2foutside",
)

hostile_ids = st.text(min_size=1, max_size=60) | st.lists(
    st.sampled_from(["..", ".", "/", "\\", "a", "%2e", "\0", "~", "$HOME", "\n", "=", "attempt"]), min_size=1
).map("".join)


@contextmanager
def loose_umask() -> Iterator[None]:
    """Let processes start as most systems start them: what they make must not depend on it."""
    mask = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(mask)


def open_to_others(folder: Path) -> set[Path]:
    return {path for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077}


@given(hostile_ids, hostile_ids, hostile_ids, st.integers(-1, 3), st.integers(1, 3))
def test_every_try_has_a_log_of_its_own_four_or_five_levels_below_the_folder(
    dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int
) -> None:
    folder = Path("/home/windlass/logs")
    path = contained(folder, log_path_of(dag_id, run_id, task_id, map_index, try_number))
    parts = Path(path).relative_to(folder).parts
    assert len(parts) == (4 if map_index < 0 else 5)
    assert not any(part in {".", ".."} or "/" in part or "\0" in part for part in parts)


@given(st.tuples(hostile_ids, hostile_ids), st.tuples(hostile_ids, hostile_ids))
def test_two_runs_never_share_a_log(one: tuple[str, str], other: tuple[str, str]) -> None:
    logs = {log_path_of("d", *ids, -1, 1) for ids in (one, other)}
    assert len(logs) == len({one, other})


@pytest.mark.parametrize("path", ["../x.log", "/etc/passwd", "a/../../x.log", "", ".", "a/.."])
def test_a_path_that_leaves_the_log_folder_is_refused_wherever_it_comes_from(path: str) -> None:
    with pytest.raises(ProtocolError, match="outside the log folder"):
        contained(Path("/home/windlass/logs"), path)


def test_a_home_made_by_its_first_command_is_private(installation: LiveInstallation, tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    installation.environ |= environ_of(home)
    with loose_umask():
        installation.windlass("db", "migrate")
        installation.windlass("variables", "set", "song", "tirili")
    own = set() if on_server() else {"windlass.db"}
    assert {"fernet.key", *own} <= {path.name for path in home.iterdir()}
    assert open_to_others(home) == set()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "fernet.key").stat().st_mode) == 0o600


@pytest.mark.processes
@pytest.mark.timeout(180)
def test_hostile_run_ids_run_and_stay_inside_and_the_home_is_its_owners_alone(
    installation: LiveInstallation, tmp_path: Path
) -> None:
    installation.write("hello.py", DAG)
    installation.home.chmod(0o700)
    with loose_umask():
        server = installation.start()
    installation.wait_for_dag("hello")
    outside = {path for path in tmp_path.rglob("*") if not path.is_relative_to(installation.home)}
    accepted = []
    for run_id in HOSTILE:
        done = installation.json("dags", "trigger", "hello", "--run-id", run_id)
        accepted.append(done["run_id"])
    for run_id in accepted:
        assert installation.wait_for_run("hello", run_id)["state"] == "success"
        assert "hello" in installation.windlass("tasks", "logs", "hello", "greet", run_id)
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(installation.home)} == outside
    logs = [path.relative_to(installation.home / "logs") for path in installation.home.glob("logs/**/*.log")]
    assert len(logs) == len(HOSTILE)
    assert {len(path.parts) for path in logs} == {4}

    # The test made the folder of DAGs and the file that the server's output goes to.
    own = {installation.dags, *installation.dags.rglob("*"), *installation.home.glob("standalone-*.log")}
    assert open_to_others(installation.home) - own == set()
    assert installation.stop(server) == 0
