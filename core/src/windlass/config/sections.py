"""Every setting of the core, section by section. Durations are seconds, sizes say their unit.

A provider adds its own in its manifest (``config_options``); they are read with ``settings.get``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from windlass.config.option import Declared, Option, Section, Value


def _option(default: Value, description: str, **details: Any) -> Any:  # noqa: ANN401 - see below
    """Declare a setting; typed loosely, so that the annotation beside it is the type that its users see."""
    return Declared(default, description, **details)


class Core(Section):
    """What everything shares."""

    title = "core"
    dags_folder: Path = _option("dags", "The folder with the DAG files.", kind="path", project=True)
    executor: str = _option("LocalExecutor", "What runs tasks: LocalExecutor, or SequentialExecutor, one at a time.")
    parallelism: int = _option(
        32, "How many tasks run at once; 0 = no limit. Short ones queue a little ahead.", minimum=0
    )
    default_timezone: str = _option("UTC", "The zone in which naive dates are read, an IANA name.", project=True)
    load_examples: bool = _option(False, "Whether the example DAGs of the installed providers are loaded as well.")
    dags_are_paused_at_creation: bool = _option(True, "Whether a DAG that does not say so itself starts paused.")
    max_map_length: int = _option(1024, "Default of the greatest number of instances of a mapped task.", minimum=1)
    dagbag_import_timeout: float = _option(30.0, "How long a DAG file may take to be parsed.", minimum=0.1)
    dag_discovery_safe_mode: bool = _option(
        True, "Whether only files that contain dag or @asset, and windlass, are taken for DAG files."
    )
    killed_task_cleanup_time: float = _option(
        5.0, "How long a task that was told to end has before it is killed.", minimum=0
    )
    fernet_key: str = _option(
        "", "Keys of the stored secrets, newest first, commas between; empty = the home's fernet.key.", secret=True
    )


class Database(Section):
    """Where the state is kept."""

    title = "database"
    sql_alchemy_conn: str = _option(
        "", "URL of the database; empty = windlass.db in the home, with SQLite.", secret=True
    )
    synchronous: str = _option(
        "FULL",
        "FULL survives power loss; NORMAL is faster and may lose the last transitions then.",
        choices=("FULL", "NORMAL"),
    )


class Logging(Section):
    """Logs of tasks and of the servers."""

    title = "logging"
    base_log_folder: Path = _option("logs", "The folder with the logs of tasks.", kind="path")
    logging_level: str = _option(
        "INFO", "The least level that is written.", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    )
    json_logs: bool = _option(False, "Whether servers write their own log to stderr as lines of JSON, not as text.")
    remote_logging: bool = _option(False, "Whether the logs of finished tasks are stored elsewhere as well.")
    remote_base_log_folder: str = _option(
        "", "Where to; its scheme names the log store of a provider, as in s3://bucket/logs."
    )
    remote_log_conn_id: str = _option("", "The connection by which it is reached; empty = the store's usual one.")
    delete_local_logs: bool = _option(
        False, "Whether the local file goes an hour after the log of an ended try was stored there."
    )


class Artifacts(Section):
    """Where large values are kept, and the files that tasks hand over."""

    title = "artifacts"
    store: str = _option(
        "local", "The store: local, which is the home's artifacts folder, or one of a provider, such as s3."
    )
    path: str = _option("", "The place in the provider's store, such as s3://bucket/prefix.")
    conn_id: str = _option("", "The connection by which tasks reach it; empty = the store's usual one.")


class Scheduler(Section):
    """Creating runs and queueing tasks."""

    title = "scheduler"
    task_queued_timeout: float = _option(60.0, "How long a task may be queued before it is offered again.", minimum=1)
    scheduler_health_check_threshold: float = _option(
        60.0, "How long a scheduler may say nothing before others on its database take its DAGs.", minimum=5
    )


class DagProcessor(Section):
    """Finding and parsing DAG files."""

    title = "dag_processor"
    min_file_process_interval: float = _option(
        0.0, "Parse unchanged files again after this time; 0 = only when something they read changes.", minimum=0
    )
    refresh_interval: float = _option(1.0, "How often the DAG folder is looked at.", minimum=0.05)
    parsing_processes: int = _option(2, "How many files are parsed at once.", minimum=1)
    memory_limit_mb: int = _option(2048, "How much memory parsing one file may take.", minimum=64)


class Supervisor(Section):
    """The processes of tasks."""

    title = "supervisor"
    max_zygotes: int = _option(8, "How many DAG files are kept imported, ready to fork tasks.", minimum=1)
    zygote_idle_timeout: float = _option(600.0, "After how long without work a zygote leaves.", minimum=1)
    zygote_max_forks: int = _option(10_000, "After how many forks a zygote is renewed.", minimum=1)
    zygote_memory_mb: int = _option(1024, "How much memory all zygotes may take together.", minimum=64)
    trigger_block_limit: float = _option(
        30.0, "How long a trigger may keep the others of its host from running before it fails its task.", minimum=1
    )


class Secrets(Section):
    """Where connections and variables are looked up."""

    title = "secrets"
    backend: tuple[str, ...] = _option((), "Names of the secrets backends of providers, in the order of lookup.")
    backend_kwargs: dict[str, Any] = _option(
        {}, "Arguments of the backend, as JSON; with several backends, one object per name.", secret=True
    )
    backends_order: tuple[str, ...] = _option(
        ("custom", "environment_variable", "files", "metastore"),
        "The order of lookup; `custom` stands for the backends, and must be there if there are any, `metastore` for "
        "the database.",
    )
    files_folder: Path = _option(".", "The folder with connections.* and variables.*.", kind="path")
    cache_ttl_seconds: float = _option(900.0, "How long a value from a backend is kept; 0: not at all.", minimum=0)
    negative_cache_ttl_seconds: float = _option(
        60.0,
        "How long it is kept that a backend has no such entry: so long may one that is added there stay unseen. Never "
        "longer than `cache_ttl_seconds`.",
        minimum=0,
    )


class Cli(Section):
    """The command line."""

    title = "cli"
    output: str = _option("table", "Default of -o.", choices=("table", "json", "yaml", "plain"), project=True)
    color: str = _option("auto", "When output is coloured.", choices=("auto", "always", "never"), project=True)


SECTIONS: Final[tuple[type[Section], ...]] = (
    Core, Database, Logging, Artifacts, Scheduler, DagProcessor, Supervisor, Secrets, Cli,
)  # fmt: skip

#: Every setting of the core, in the order of this file.
OPTIONS: Final[tuple[Option, ...]] = tuple(
    value for section in SECTIONS for value in vars(section).values() if isinstance(value, Option)
)
