"""Arguments that name a DAG, a run, a task, a connection …, with the completion of their values from the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from windlass.cli.session import Session
from windlass.errors import WindlassError

AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


def _dag_ids(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _complete(lambda session: session.control.dags.ids(), incomplete)


def _task_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    dag_id = ctx.params.get("dag_id") or ""
    return _complete(lambda session: [task.task_id for task in session.control.dags.graph(dag_id).tasks], incomplete)


def _run_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    dag_id = ctx.params.get("dag_id") or ""
    return _complete(lambda session: [run.run_id for run in session.control.runs.list(dag_id=dag_id).items], incomplete)


def _connection_ids(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _complete(lambda session: session.control.connections.ids(), incomplete)


def _variable_keys(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _complete(lambda session: [row.key for row in session.control.variables.list()], incomplete)


def _pool_names(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _complete(lambda session: [pool.name for pool in session.control.pools.list()], incomplete)


def _complete(values: Callable[[Session], Iterable[str]], incomplete: str) -> list[CompletionItem]:
    # A shell cannot show an error while it completes: without a database there is nothing to offer.
    try:
        with Session() as session:
            return [CompletionItem(value) for value in values(session) if value.startswith(incomplete)]
    except (WindlassError, OSError):
        return []


def dag_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``dag_id``."""
    return click.argument("dag_id", metavar="DAG", shell_complete=_dag_ids)(command)


def optional_dag_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``dag_id``, which may be left out."""
    return click.argument("dag_id", metavar="[DAG]", required=False, shell_complete=_dag_ids)(command)


def dag_option(text: str) -> Callable[[AnyCallable], AnyCallable]:
    """Return what gives a command the option ``dag_id``, with this help."""
    return click.option("--dag-id", help=text, shell_complete=_dag_ids)


def lint_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``target``: a folder, a file or a DAG, which may be left out."""
    return click.argument("target", metavar="[TARGET]", required=False, shell_complete=_dag_ids)(command)


def task_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``task_id``."""
    return click.argument("task_id", metavar="TASK", shell_complete=_task_ids)(command)


def run_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``run_id``."""
    return click.argument("run_id", metavar="RUN", shell_complete=_run_ids)(command)


def optional_run_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``run_id``, which may be left out."""
    return click.argument("run_id", metavar="[RUN]", required=False, shell_complete=_run_ids)(command)


def optional_task_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``task_id``, which may be left out."""
    return click.argument("task_id", metavar="[TASK]", required=False, shell_complete=_task_ids)(command)


def connection_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``conn_id``."""
    return click.argument("conn_id", metavar="ID", shell_complete=_connection_ids)(command)


def variable_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``key``."""
    return click.argument("key", shell_complete=_variable_keys)(command)


def pool_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``name``."""
    return click.argument("name", shell_complete=_pool_names)(command)


def map_index_option(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the option ``map_index``."""
    return click.option(
        "--map-index", type=click.IntRange(min=-1), default=-1, help="Which instance of a mapped task, from 0."
    )(command)
