"""Every command of Windlass by name, with its one-line help: data that is read before any command is imported.

The nouns and verbs are Airflow's. A test compares each line here with the help of the command itself.
"""

from __future__ import annotations

from typing import Final

from windlass.cli.lazy import Entry

_DAGS: Final = {
    "list": Entry("windlass.cli.dags:list_dags", "List the DAGs."),
    "show": Entry("windlass.cli.dags:show", "Show a DAG's tasks and what they depend on."),
    "details": Entry("windlass.cli.dags:details", "Show everything that is known of a DAG."),
    "trigger": Entry("windlass.cli.trigger:trigger", "Create a run of a DAG now."),
    "backfill": Entry(
        "windlass.cli.backfill:dags_backfill",
        "Fill a range of a DAG's intervals with runs; an older spelling of `windlass backfill create`.",
    ),
    "test": Entry("windlass.cli.testing:dags_test", "Run a DAG in this process, without a server or a database."),
    "state": Entry("windlass.cli.dags:state", "Print the state of a DAG's run."),
    "next-execution": Entry("windlass.cli.dags:next_execution", "Print when a DAG will run next."),
    "pause": Entry("windlass.cli.dags:pause", "Stop the scheduler from starting a DAG's runs."),
    "unpause": Entry("windlass.cli.dags:unpause", "Let the scheduler start a DAG's runs again."),
    "delete": Entry("windlass.cli.dags:delete", "Delete a DAG's runs, logs' records and history."),
    "list-runs": Entry("windlass.cli.runs:list_runs_of", "List the runs of a DAG, newest first."),
    "list-import-errors": Entry("windlass.cli.dagfiles:import_errors", "List the DAG files that could not be read."),
    "lint": Entry("windlass.cli.linting:lint", "Look for mistakes in DAG files."),
    "report": Entry("windlass.cli.dagfiles:report", "List the DAG files with what they hold and how long they parsed."),
    "reparse": Entry("windlass.cli.dagfiles:reparse", "Have DAG files parsed again although they did not change."),
}

_TASKS: Final = {
    "list": Entry("windlass.cli.tasks:list_tasks", "List the tasks of a DAG."),
    "state": Entry("windlass.cli.tasks:state", "Print the state of a task in a run."),
    "states-for-dag-run": Entry("windlass.cli.tasks:states", "List the states of all tasks of a run."),
    "logs": Entry("windlass.cli.logs:logs", "Print the log of a task in a run."),
    "clear": Entry("windlass.cli.clear:clear", "Let tasks of past runs run again."),
    "run": Entry("windlass.cli.clear:run_task", "Run one task of a run again and wait for it."),
    "mark-success": Entry(
        "windlass.cli.marking:task_success",
        "Mark tasks of a run as successful: what failed for want of them runs again.",
    ),
    "mark-failed": Entry(
        "windlass.cli.marking:task_failed", "Mark tasks of a run as failed; running ones are stopped first."
    ),
    "failed-deps": Entry("windlass.cli.tasks:failed_deps", "Say what keeps a task of a run from starting."),
    "test": Entry("windlass.cli.testing:tasks_test", "Run one task in this process, without a server or a database."),
    "render": Entry("windlass.cli.testing:tasks_render", "Print a task's rendered templates."),
}

_RUNS: Final = {
    "list": Entry("windlass.cli.runs:list_runs", "List the runs, newest first."),
    "show": Entry("windlass.cli.runs:show", "Show a run and its tasks."),
    "mark-success": Entry(
        "windlass.cli.marking:run_success",
        "Mark a run as successful, with every task that has not ended or has failed.",
    ),
    "mark-failed": Entry(
        "windlass.cli.marking:run_failed", "Mark a run as failed: what has not ended is stopped or skipped."
    ),
}

_BACKFILL: Final = {
    "create": Entry("windlass.cli.backfill:create", "Fill a range of a DAG's intervals with runs."),
    "list": Entry("windlass.cli.backfill:list_backfills", "List the backfills, newest first."),
    "show": Entry("windlass.cli.backfill:show", "Show a backfill and how far it has come."),
    "cancel": Entry(
        "windlass.cli.backfill:cancel",
        "End a backfill: waiting runs fail now, running ones go on to their end, no more are made.",
    ),
}

_CONNECTIONS: Final = {
    "list": Entry("windlass.cli.connections:list_connections", "List the stored connections, without their secrets."),
    "get": Entry("windlass.cli.connections:get", "Show a stored connection, without its secrets."),
    "add": Entry("windlass.cli.connections:add", "Store a connection."),
    "delete": Entry("windlass.cli.connections:delete", "Delete a stored connection."),
    "import": Entry("windlass.cli.connections:import_file", "Store the connections of a file."),
    "export": Entry("windlass.cli.connections:export_file", "Write the stored connections, with secrets, to a file."),
    "test": Entry("windlass.cli.connections:test", "Try whether a connection works."),
}

_VARIABLES: Final = {
    "list": Entry("windlass.cli.variables:list_variables", "List the names of the stored variables."),
    "get": Entry("windlass.cli.variables:get", "Print the value of a stored variable."),
    "set": Entry("windlass.cli.variables:set_variable", "Store a variable."),
    "delete": Entry("windlass.cli.variables:delete", "Delete a stored variable."),
    "import": Entry("windlass.cli.variables:import_file", "Store the variables of a file."),
    "export": Entry("windlass.cli.variables:export_file", "Write the stored variables, with values, to a file."),
}

_POOLS: Final = {
    "list": Entry("windlass.cli.pools:list_pools", "List the pools and what they hold now."),
    "get": Entry("windlass.cli.pools:get", "Show a pool."),
    "set": Entry("windlass.cli.pools:set_pool", "Create or change a pool."),
    "delete": Entry("windlass.cli.pools:delete", "Delete a pool."),
}

_ASSETS: Final = {
    "list": Entry(
        "windlass.cli.assets:list_assets", "List the assets and aliases, with who produces and who awaits them."
    ),
    "show": Entry("windlass.cli.assets:show", "Show an asset or alias, and what the DAGs that await it still lack."),
    "details": Entry(
        "windlass.cli.assets:details",
        "Show an asset or alias, and what the DAGs that await it still lack.",
        hidden=True,
    ),
    "events": Entry(
        "windlass.cli.assets:events", "List the events of assets, newest first, with the runs that consumed them."
    ),
    "create-event": Entry("windlass.cli.assets:create_event", "Record that an asset was updated by something outside."),
    "materialize": Entry("windlass.cli.assets:materialize", "Run the DAG that produces an asset."),
}

_PROVIDERS: Final = {
    "list": Entry("windlass.cli.providers:list_providers", "List the installed providers."),
    "show": Entry("windlass.cli.providers:show", "Show what a provider brings."),
    "new": Entry("windlass.cli.providers:new", "Make the package of a new provider."),
}

_CONFIG: Final = {
    "list": Entry(
        "windlass.cli.configuration:list_options", "List the options, their values and where they come from."
    ),
    "get-value": Entry("windlass.cli.configuration:get_value", "Print the value of an option."),
    "lint": Entry("windlass.cli.configuration:lint", "Check the configuration for mistakes."),
}

_DB: Final = {
    "migrate": Entry("windlass.cli.database:migrate", "Create the database, or bring its schema up to date."),
    "check": Entry("windlass.cli.database:check", "Check that the database answers and its schema is current."),
    "reset": Entry("windlass.cli.database:reset", "Delete everything in the database and create it anew."),
    "clean": Entry("windlass.cli.database:clean", "Remove old runs and everything that nothing needs any more."),
    "shell": Entry("windlass.cli.database:shell", "Open the database's own shell."),
    "downgrade": Entry(
        "windlass.cli.database:downgrade", "Take the schema back to an earlier revision, for an older release."
    ),
}

_JOBS: Final = {
    "list": Entry(
        "windlass.cli.jobs:list_jobs",
        "List schedulers and supervisors, and who holds how many DAGs.",
    ),
    "check": Entry("windlass.cli.jobs:check", "Check that a scheduler and a supervisor of this home run."),
}

COMMANDS: Final = {
    "quickstart": Entry("windlass.cli.processes:quickstart", "Run an example from nothing to a result, and show it."),
    "standalone": Entry("windlass.cli.processes:standalone", "Run everything on this machine until interrupted."),
    "scheduler": Entry("windlass.cli.processes:scheduler", "Run the scheduler."),
    "supervisor": Entry("windlass.cli.processes:supervisor", "Run a supervisor of task processes.", hidden=True),
    "dags": Entry(_DAGS, "List, trigger, pause and inspect DAGs."),
    "tasks": Entry(_TASKS, "Inspect, clear, mark and try out tasks."),
    "runs": Entry(_RUNS, "List, inspect and mark runs."),
    "backfill": Entry(_BACKFILL, "Fill ranges of a DAG's intervals with runs."),
    "assets": Entry(_ASSETS, "List assets and their events, and say that one was updated."),
    "explain": Entry("windlass.cli.explain:explain", "Say why a DAG, a run or a task has not run."),
    "connections": Entry(_CONNECTIONS, "Manage stored connections."),
    "variables": Entry(_VARIABLES, "Manage stored variables."),
    "pools": Entry(_POOLS, "Manage pools."),
    "providers": Entry(_PROVIDERS, "List and inspect providers, and make new ones."),
    "plugins": Entry("windlass.cli.providers:plugins", "List every plugin, also those that could not be loaded."),
    "config": Entry(_CONFIG, "Inspect the configuration."),
    "db": Entry(_DB, "Create, check, clean and reset the database."),
    "rotate-fernet-key": Entry(
        "windlass.cli.database:rotate", "Encrypt the stored connections and variables anew, with the first key."
    ),
    "jobs": Entry(_JOBS, "List the processes on the database, and check that they run."),
    "info": Entry("windlass.cli.health:info", "Print versions, paths and settings, for a bug report."),
    "doctor": Entry("windlass.cli.health:doctor", "Check the installation and the database for trouble."),
    "completion": Entry("windlass.cli.completion:completion", "Print the completion script of a shell."),
}
