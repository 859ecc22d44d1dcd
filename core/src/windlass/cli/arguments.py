"""Arguments that name a DAG, a run or a task, with the completion of their values from the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

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


@overload
def dag_option(command: AnyCallable) -> AnyCallable: ...
@overload
def dag_option(*, required: bool) -> Callable[[AnyCallable], AnyCallable]: ...
def dag_option(command: AnyCallable | None = None, *, required: bool = True) -> Any:
    """Give ``command`` the option ``--dag-id``, which may be optional."""
    given = click.option("--dag-id", required=required, metavar="DAG", shell_complete=_dag_ids, help="The DAG.")
    return given if command is None else given(command)


def task_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``task_id``."""
    return click.argument("task_id", metavar="TASK", shell_complete=_task_ids)(command)


def run_argument(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the argument ``run_id``."""
    return click.argument("run_id", metavar="RUN", shell_complete=_run_ids)(command)


def map_index_option(command: AnyCallable) -> AnyCallable:
    """Give ``command`` the option ``map_index``."""
    return click.option(
        "--map-index", type=click.IntRange(min=-1), default=-1, help="Which instance of a mapped task, from 0."
    )(command)
