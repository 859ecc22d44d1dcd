"""Every hook of Windlass, in the order of a DAG's life. The reference lists them, and a test keeps it complete.

A hook is a function of this name, marked with ``windlass.plugin.hookimpl``, that takes any subset of the arguments.
Arguments are frozen values, never database rows and never objects of the engine. ``windlass_provider`` stands in the
module that the distribution's entry point names; the others in the modules that its manifest lists under ``policies=``
and ``observers=``, which are loaded only in the processes named below. A hook of a name that is not here is an error.

Each provider's hooks are called apart: an exception never keeps another provider's from being called.
"""

from __future__ import annotations

import pluggy

from windlass.interfaces.connection import Connection
from windlass.interfaces.provider import Provider
from windlass.interfaces.views import AssetUpdated, ImportErrorChanged, RunChanged, TaskChanged
from windlass.spec import DagSpec, TaskSpec

hookspec = pluggy.HookspecMarker("windlass")


# --- discovery -------------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def windlass_provider() -> Provider:
    """Return the manifest of the provider.

    Process: any, the first that looks after something was installed; the answer is cached.
    Exception: the provider is listed as broken with its message, and brings nothing.
    """
    raise NotImplementedError


# --- policies: may change or refuse ----------------------------------------------------------------------------------


@hookspec
def task_policy(task: TaskSpec, dag: DagSpec) -> TaskSpec | None:
    """Return the task as it shall be (made with ``msgspec.structs.replace``), or None to leave it.

    Called for every task of a parsed DAG. The id and the upstream tasks must stay the same. Raise
    ``windlass.errors.PolicyViolation`` to refuse the task.
    Process: parse child. Exception: an import error of the DAG file that names the provider and the task.
    """
    raise NotImplementedError


@hookspec
def dag_policy(dag: DagSpec) -> DagSpec | None:
    """Return the DAG as it shall be, or None to leave it. Called after ``task_policy``; the id must stay the same.

    Process: parse child. Exception: an import error of the DAG file that names the provider and the DAG.
    """
    raise NotImplementedError


@hookspec
def connection_policy(connection: Connection, dag_id: str, task_id: str | None) -> None:
    """Refuse a task a connection by raising an error.

    At the top level of a DAG file ``dag_id`` is empty and ``task_id`` None, since no DAG is known yet; in the callback
    of a run ``task_id`` is None.
    Process: supervisor, and the server while a file is parsed, before the connection is handed to the child; must
    return at once. Exception: the child gets it instead of the connection.
    """
    raise NotImplementedError


# --- observers: are told, after the fact ------------------------------------------------------------------------------


@hookspec
def on_import_error(change: ImportErrorChanged) -> None:
    """Hear that a DAG file cannot be parsed any more, or can again.

    Process: server, from the outbox, at least once. Exception: logged and tried again, five times in all.
    """
    raise NotImplementedError


@hookspec
def on_run_changed(change: RunChanged) -> None:
    """Hear that a run changed its state.

    Process: server, from the outbox, at least once. Exception: logged and tried again, five times in all.
    """
    raise NotImplementedError


@hookspec
def on_task_changed(change: TaskChanged) -> None:
    """Hear that a task instance changed its state.

    Process: server, from the outbox, at least once. Exception: logged and tried again, five times in all.
    """
    raise NotImplementedError


@hookspec
def on_asset_updated(event: AssetUpdated) -> None:
    """Hear that an asset was updated.

    Process: server, from the outbox, at least once. Exception: logged and tried again, five times in all.
    """
    raise NotImplementedError
