"""Writing documents that hold secrets: to stdout when told so, else to a file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from windlass.errors import UsageError


def write_private(target: str, data: object) -> None:
    """Write ``data`` as JSON to the file ``target`` (mode 0600, replaced as a whole), or to stdout if it is ``-``."""
    text = msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"
    if target == "-":
        click.echo(text.decode(), nl=False)
        return
    path = Path(target)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None
