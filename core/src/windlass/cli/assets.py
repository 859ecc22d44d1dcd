"""``windlass assets``: what DAGs produce and wait for, and saying that something was updated."""

from __future__ import annotations

from copy import copy
from typing import Any

import click

from windlass.cli.arguments import dag_option
from windlass.cli.failing import NOTHING_MATCHED, OK
from windlass.cli.options import dry_run_option, json_object, page_options
from windlass.cli.output import Format, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.control import AssetEventRow, AssetRow

_COLUMNS = ("uri", "name", "is_alias", "producers", "consumers", "updated_at")
_EVENT_COLUMNS = ("id", "uri", "alias", "timestamp", "source_dag_id", "source_task_id", "extra", "consumed")
_RUN_FIELDS = ("dag_id", "run_id", "run_type", "logical_date", "data_interval_start", "data_interval_end", "state")

_asset_argument = click.argument("asset", metavar="ASSET")
_key_option = click.option("--idempotency-key", help="Repeating the command with the same key has no further effect.")


@click.command("list")
@output_option
@pass_session
def list_assets(session: Session, output: Format) -> None:
    """List the assets and aliases, with who produces and who awaits them."""
    emit(session.control.assets.list(), _COLUMNS, output)


@click.command("show")
@_asset_argument
@output_option
@pass_session
def show(session: Session, asset: str, output: Format) -> None:
    """Show an asset or alias, and what the DAGs that await it still lack.

    ASSET is a URI or a name.
    """
    found = session.control.assets.details(asset)
    if output in {Format.JSON, Format.YAML}:
        emit_one(found, output)
        return
    emit_one({name: getattr(found, name) for name in AssetRow.__struct_fields__}, output)
    if found.waits:
        click.echo()
        emit(found.waits, ("dag_id", "paused", "waits_for"), output)


#: The same by Airflow's name.
details = copy(show)
details.name, details.hidden = "details", True


@click.command("events")
@click.argument("asset", metavar="[ASSET]", required=False)
@click.option("--run", nargs=2, metavar="DAG RUN", help="Only events that this run has consumed.")
@page_options
@output_option
@pass_session
def events(
    session: Session, asset: str | None, run: tuple[str, str] | None, cursor: str | None, limit: int, output: Format
) -> int:
    """List the events of assets, newest first, with the runs that consumed them."""
    page = session.control.assets.events(asset=asset, run=run, cursor=cursor, limit=limit)
    if output in {Format.JSON, Format.YAML}:
        emit(page.items, _EVENT_COLUMNS, output)
    else:
        emit([_shown(event) for event in page.items], _EVENT_COLUMNS, output)
    if page.next is not None:
        say(f"there are more: --cursor {page.next}")
    return OK if page.items or (asset is None and run is None) else NOTHING_MATCHED


def _shown(event: AssetEventRow) -> dict[str, Any]:
    """Return an event for people: in ``consumed`` only the DAGs, those that have still to run marked."""
    fields = {name: getattr(event, name) for name in _EVENT_COLUMNS}
    return {**fields, "consumed": [dag if run else f"{dag} (waits)" for dag, run in event.consumed.items()]}


@click.command("create-event")
@_asset_argument
@click.option("--extra", type=json_object, help="What to tell the consumers, a JSON object.")
@click.option("--alias", help="Record it through this alias as well; ASSET may then be any URI.")
@_key_option
@dry_run_option
@output_option
@pass_session
def create_event(
    session: Session,
    asset: str,
    extra: dict[str, Any] | None,
    alias: str | None,
    idempotency_key: str | None,
    output: Format,
    *,
    dry_run: bool,
) -> None:
    """Record that an asset was updated by something outside.

    The DAGs that wait for it run, just as if a task had updated it.
    """
    if dry_run:
        uri = session.control.assets.check_event(asset, extra=extra, alias=alias)
        emit_one({"uri": uri, "alias": alias, "extra": extra or {}}, output)
        say("nothing was recorded")
        return
    event = session.control.assets.create_event(
        asset, extra=extra, alias=alias, actor=session.actor, idempotency_key=idempotency_key
    )
    if not session.control.alive.scheduler():
        say("no scheduler is running; what waits for the asset runs when `windlass standalone` does")
    emit_one(event, output)


@click.command("materialize")
@_asset_argument
@dag_option("The DAG to run, where several produce the asset.")
@_key_option
@dry_run_option
@output_option
@pass_session
def materialize(
    session: Session, asset: str, dag_id: str | None, idempotency_key: str | None, output: Format, *, dry_run: bool
) -> None:
    """Run the DAG that produces an asset."""
    control = session.control
    if dry_run:
        chosen = control.assets.producer(asset, dag_id=dag_id)
        run = control.runs.preview(chosen)
    else:
        run = control.assets.materialize(asset, dag_id=dag_id, actor=session.actor, idempotency_key=idempotency_key)
        hint = control.why_idle(run.dag_id)
        if hint is not None:
            say(hint)
    emit_one({name: getattr(run, name) for name in _RUN_FIELDS}, output)
    if dry_run:
        say("nothing was created")
