"""``windlass connections``: how to reach other systems. Secrets are written, never shown, except by ``export``."""

from __future__ import annotations

import sys
from typing import Any

import click

from windlass.cli.arguments import connection_argument
from windlass.cli.documents import read_document, write_document
from windlass.cli.failing import FAILED, OK
from windlass.cli.options import confirm, dry_run_option, json_object, yes_option
from windlass.cli.output import Format, conclude, document_option, emit, emit_one, output_option, say
from windlass.cli.session import Session, pass_session
from windlass.errors import UsageError
from windlass.interfaces.connection import Connection

_COLUMNS = ("conn_id", "conn_type", "host", "port", "login", "schema", "has_password", "extra", "description")


@click.command("list")
@click.option("--conn-type", help="Only connections of this type.")
@output_option
@pass_session
def list_connections(session: Session, conn_type: str | None, output: Format) -> None:
    """List the stored connections, without their secrets."""
    rows = session.control.connections.list()
    emit([row for row in rows if conn_type is None or row.conn_type == conn_type], _COLUMNS, output)


@click.command("get")
@connection_argument
@output_option
@pass_session
def get(session: Session, conn_id: str, output: Format) -> None:
    """Show a stored connection, without its secrets."""
    emit_one(session.control.connections.get(conn_id), output)


@click.command("add")
@click.argument("conn_id", metavar="ID")
@click.option("--conn-uri", help="The whole connection as a URI; `-` reads it from standard input.")
@click.option("--conn-json", type=json_object, help="The whole connection as a JSON object.")
@click.option("--conn-type", help="What it connects to, for example postgres.")
@click.option("--conn-host", help="Host name or address.")
@click.option("--conn-port", type=click.IntRange(0, 65535), help="Port.")
@click.option("--conn-login", help="User name.")
@click.option("--conn-password", help="Password; `-` reads it from standard input.")
@click.option("--conn-schema", help="Database or schema.")
@click.option("--conn-extra", type=json_object, help="Further fields, a JSON object.")
@click.option("--conn-description", help="What the connection is for.")
@click.option("--overwrite", is_flag=True, help="Replace a connection that exists.")
@dry_run_option
@output_option
@pass_session
def add(
    session: Session,
    conn_id: str,
    conn_uri: str | None,
    conn_json: dict[str, Any] | None,
    conn_type: str | None,
    conn_host: str | None,
    conn_port: int | None,
    conn_login: str | None,
    conn_password: str | None,
    conn_schema: str | None,
    conn_extra: dict[str, Any] | None,
    conn_description: str | None,
    output: Format,
    *,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Store a connection.

    Give either --conn-uri, or --conn-json, or --conn-type with the other parts.
    """
    parts = (conn_type, conn_host, conn_port, conn_login, conn_password, conn_schema, conn_extra)
    has_parts = any(part is not None for part in parts)
    if sum((conn_uri is not None, conn_json is not None, has_parts)) != 1:
        raise UsageError("give exactly one of --conn-uri, --conn-json, or --conn-type with the other parts")
    if conn_uri is not None:
        connection = Connection.from_uri(conn_id, _secret(conn_uri))
    elif conn_json is not None:
        connection = Connection.from_fields(conn_id, conn_json)
    else:
        password = None if conn_password is None else _secret(conn_password)
        connection = Connection(conn_id, conn_type, conn_host, conn_login, password, conn_schema, conn_port, conn_extra)
    session.control.connections.add(
        connection, description=conn_description, overwrite=overwrite, dry_run=dry_run, actor=session.actor
    )
    if doubt := session.control.connections.doubt(connection):
        say(f"warning: {doubt}")
    done = "would store" if dry_run else "stored"
    conclude(output, f"{done} connection {conn_id!r}", conn_id=conn_id, dry_run=dry_run)


def _secret(text: str) -> str:
    """Return ``text``, or what stands on standard input for ``-``, so that a secret need not be an argument."""
    return sys.stdin.read().removesuffix("\n") if text == "-" else text


@click.command("delete")
@connection_argument
@dry_run_option
@yes_option
@output_option
@pass_session
def delete(session: Session, conn_id: str, output: Format, *, dry_run: bool, yes: bool) -> None:
    """Delete a stored connection."""
    session.control.connections.get(conn_id)
    if not dry_run:
        confirm(f"Delete connection {conn_id!r}?", yes=yes)
        session.control.connections.delete(conn_id, actor=session.actor)
    done = "would delete" if dry_run else "deleted"
    conclude(output, f"{done} connection {conn_id!r}", conn_id=conn_id, dry_run=dry_run)


@click.command("import")
@click.argument("file")
@click.option("--overwrite", is_flag=True, help="Replace connections that exist; without it they are kept.")
@dry_run_option
@output_option
@pass_session
def import_file(session: Session, file: str, output: Format, *, overwrite: bool, dry_run: bool) -> None:
    """Store the connections of a file.

    FILE (.json, .yaml, .toml or .env) maps ids to connections, each a URI or an object of fields; `-` is JSON on
    standard input. All are checked before the first is stored.
    """
    values = read_document(file)
    done = session.control.connections.import_all(values, overwrite=overwrite, dry_run=dry_run, actor=session.actor)
    sentence = f"{'would store' if dry_run else 'stored'} {len(done.stored)} connection(s), kept {len(done.kept)}"
    conclude(output, sentence, stored=done.stored, kept=done.kept, dry_run=dry_run)


@click.command("export")
@click.argument("file", default="-")
@document_option
@pass_session
def export_file(session: Session, file: str, output: Format) -> None:
    """Write the stored connections, with secrets, to a file.

    `-`, the default, is standard output; a file is made readable by its owner only.
    """
    write_document(file, session.control.connections.export(), output)


@click.command("test")
@connection_argument
@output_option
@pass_session
def test(session: Session, conn_id: str, output: Format) -> int:
    """Try whether a connection works."""
    from windlass.app.inproc.connections import test_connection

    works, message = test_connection(session.settings, conn_id)
    if output in {Format.JSON, Format.YAML}:
        emit_one({"conn_id": conn_id, "works": works, "message": message}, output)
    else:
        click.echo(message)
    return OK if works else FAILED
