"""Files that go in and out: of connections and variables, in the formats that lookups read as well.

What is written may hold secrets, so a file is replaced as a whole and readable by its owner only.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from windlass.cli.options import json_object
from windlass.cli.output import Format, document
from windlass.errors import UsageError


def read_document(source: str) -> dict[str, Any]:
    """Return the names and values in the file ``source`` (.json, .yaml, .toml, .env), or as JSON on stdin for ``-``."""
    if source == "-":
        return json_object(sys.stdin.read())
    from windlass.secrets.files import read_mapping

    return read_mapping(Path(source))


def write_document(target: str, data: object, output: Format) -> None:
    """Write ``data`` as JSON or YAML to the file ``target``, mode 0600, or to stdout if it is ``-``."""
    text = document(data, output).encode()
    if target == "-":
        click.echo(text.decode(), nl=False)
        return
    path = Path(target)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None
