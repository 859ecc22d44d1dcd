"""``windlass quickstart``: from nothing to a finished pipeline in one command, through the real engine.

It prepares the home, puts the example (which the provider of Bash brings) into the DAG folder and its connection into
the database, starts ``standalone`` as a child (unless a scheduler already serves this home), triggers a run, shows its
progress, and says where everything is. Nothing is simulated, and running it again makes another run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from windlass.app.services import open_control, prepare_home
from windlass.config import Settings
from windlass.control import Control
from windlass.control.views import RunRow, TaskRow
from windlass.errors import Conflict, DagNotFound, ExtraMissing, PluginError
from windlass.interfaces.connection import Connection
from windlass.registry import registry
from windlass.registry.examples import example_folders
from windlass.secrets.resolver import resolve_settings
from windlass.states import RunState, TaskState

DAG_ID = "seattle_weather"
_FILES = ("seattle_weather.py", "seattle_weather.csv.gz")
_ACTOR = "quickstart"
#: How long the server may take to say that it is ready, and to find the DAG file, in seconds.
_PATIENCE = 60.0
_LOOK = 0.05
_MARKS = {TaskState.SUCCESS: "✓", TaskState.FAILED: "✗", TaskState.SKIPPED: "↷", TaskState.UP_FOR_RETRY: "↻"}


def run(settings: Settings) -> int:
    """Run the example and return 0, or 1 if its run failed."""
    settings = resolve_settings(settings)
    example = find_example()
    prepare_home(settings)
    _say(f"Windlass home: {settings.home}")
    copied = install_example(example, settings.core.dags_folder)
    _say(f"Example DAG:   {settings.core.dags_folder / _FILES[0]}{'' if copied else ' (yours, left as it is)'}")
    output = settings.home / "quickstart"
    output.mkdir(mode=0o700, exist_ok=True)
    control = open_control(settings)
    try:
        database = output / "weather.db"
        control.connections.add(
            Connection(conn_id="weather_db", conn_type="sqlite", schema=str(database)), actor=_ACTOR, overwrite=True
        )
        with _serving(settings, control):
            _await_dag(control, settings.core.dags_folder / _FILES[0])
            control.dags.set_paused(DAG_ID, paused=False, actor=_ACTOR)
            started = control.runs.trigger(DAG_ID, conf={"folder": str(output)}, actor=_ACTOR)
            _say(f"Run:           {started.run_id}\n")
            try:
                ended = _follow(control, started)
            except KeyboardInterrupt:
                _say("\nInterrupted. The run is kept: `windlass standalone` goes on with it.")
                raise
        _summarise(control, settings, ended, output)
    finally:
        control.close()
    return 0 if ended.state is RunState.SUCCESS else 1


def find_example() -> Path:
    """Return the folder of the example.

    :raises PluginError: if the provider that brings it is not installed, or is older than the example.
    :raises ExtraMissing: if its connection could not be stored.
    """
    bash = next((provider for provider in registry().providers if provider.name == "bash"), None)
    if bash is None:
        install = "`pip install 'windlass[server]' windlass-bash`"
        raise PluginError(f"the example needs the bash provider and a server; install them with {install}")
    if find_spec("cryptography") is None:
        raise ExtraMissing("the example stores a connection, which needs cryptography")
    for folder in example_folders([bash]).values():
        if (folder / _FILES[0]).is_file():
            return folder
    text = f"the installed windlass-bash {bash.version} does not bring the example {DAG_ID}"
    raise PluginError(f"{text}; upgrade it with `pip install --upgrade windlass-bash`")


def install_example(source: Path, folder: Path) -> bool:
    """Copy the example into ``folder``; return False if its DAG file was there already, maybe edited."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES[1:]:
        shutil.copyfile(source / name, folder / name)
    if (folder / _FILES[0]).exists():
        return False
    shutil.copyfile(source / _FILES[0], folder / _FILES[0])
    return True


@contextmanager
def _serving(settings: Settings, control: Control) -> Iterator[None]:
    """Have a server for the duration of the block; the one that is started here is stopped again, whatever happens."""
    if control.alive.scheduler():
        _say("Server:        already running")
        yield
        return
    log_file = settings.home / "run" / "standalone.log"
    with log_file.open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "windlass", "standalone"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for us, and we end it in order
            env={**os.environ, **settings.flag_environ()},
        )
        try:
            _await_ready(server, log_file)
            _say(f"Server:        standalone, process {server.pid}")
            yield
        except KeyboardInterrupt:
            server.terminate()
            time.sleep(
                _LOOK
            )  # two signals merge if the first was not taken yet; the second stops running tasks at once
            raise
        finally:
            server.terminate()
            server.wait()


def _await_ready(server: subprocess.Popen[bytes], log_file: Path) -> None:
    """Wait for the line ``ready``; everything that the server says goes on to its log file.

    :raises Conflict: if it ends before that.
    """
    stream = server.stderr
    if stream is None:  # pragma: no cover - it was started with a pipe
        return
    ready = threading.Event()

    def copy() -> None:
        with log_file.open("ab") as log:
            for line in stream:
                if line.strip() == b"ready":
                    ready.set()
                log.write(line)
                log.flush()

    threading.Thread(target=copy, name="standalone-log", daemon=True).start()
    deadline = time.monotonic() + _PATIENCE
    while not ready.wait(_LOOK):
        if server.poll() is not None or time.monotonic() > deadline:
            raise Conflict(f"the server does not start; {log_file} says why")


def _await_dag(control: Control, file: Path) -> None:
    """Wait until the server has found the example.

    :raises Conflict: if its file has an error, or is not found in time.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for error in control.dagfiles.import_errors():
            if error.file == file.name:
                raise Conflict(f"the example cannot be read: {error.error}")
        try:
            control.dags.find(DAG_ID)
        except DagNotFound:
            time.sleep(_LOOK)
        else:
            return
    raise Conflict(f"the server has not found {file}; `windlass dags list-import-errors` may say why")


def _follow(control: Control, run: RunRow) -> RunRow:
    """Print every change of the run's tasks until the run has ended."""
    seen: dict[tuple[str, int], tuple[TaskState, int]] = {}
    started = time.monotonic()
    while True:
        now = control.runs.get(run.dag_id, run.run_id)
        for task in control.tasks.of_run(run.dag_id, run.run_id):
            key, news = (task.task_id, task.map_index), (task.state, task.try_number)
            if task.state in _MARKS and seen.get(key) != news:
                retry = (
                    f" (try {task.try_number})" if task.try_number > 1 or task.state is TaskState.UP_FOR_RETRY else ""
                )
                _say(f"  {time.monotonic() - started:5.1f} s  {_MARKS[task.state]} {_name(task)}: {task.state}{retry}")
            seen[key] = news
        if now.state.is_terminal:
            return now
        time.sleep(_LOOK)


def _summarise(control: Control, settings: Settings, run: RunRow, output: Path) -> None:
    tasks = control.tasks.of_run(run.dag_id, run.run_id)
    width = max(len(_name(task)) for task in tasks)
    _say(f"\n{'TASK':{width}}  {'STATE':16}  TRIES  {'START':12}  DURATION")
    for task in tasks:
        start = "" if task.start_date is None else f"{task.start_date:%H:%M:%S.%f}"[:-3]
        duration = "" if task.duration is None else f"{task.duration * 1000:8.1f} ms"
        _say(f"{_name(task):{width}}  {task.state!s:16}  {task.try_number:5}  {start:12}  {duration}".rstrip())
    _say(f"\nThe run ended in {run.state}.")
    if any(task.task_id == "report" and task.state is TaskState.SUCCESS for task in tasks):
        _say(f"Result:  {output / 'report.html'} (open it in a browser), {output / 'weather.db'}")
    _say(f"Logs:    {settings.logging.base_log_folder}")
    _say(
        "\nNext:\n"
        f"  edit       {settings.core.dags_folder / _FILES[0]}, or put a DAG file of your own beside it\n"
        f"  start      {_command()} standalone             (keeps running; finds changed files by itself)\n"
        f"  trigger    {_command()} dags trigger {DAG_ID} --wait\n"
        f"  look       {_command()} runs list {DAG_ID}\n"
        f"             {_command()} tasks logs {DAG_ID} extract {run.run_id}"
    )


def _command() -> str:
    """Return how the reader starts a command: as this one was started."""
    return "uv run windlass" if "UV_RUN_RECURSION_DEPTH" in os.environ else "windlass"


def _name(task: TaskRow) -> str:
    return task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
