"""A sensor that waits for a file."""

from __future__ import annotations

from collections.abc import Sequence
from glob import iglob
from pathlib import Path
from typing import Any

from windlass.authoring.operator import Context
from windlass.authoring.sensor import BaseSensorOperator
from windlass.errors import ConnectionNotDefined


class FileSensor(BaseSensorOperator):
    """Wait until a file, or a folder with a file in it, is at ``filepath``; a pattern such as ``*.csv`` will do.

    A relative path starts at the ``path`` in the extra of the connection ``fs_conn_id``, where that is defined.
    """

    template_fields: Sequence[str] = ("filepath",)
    ui_color = "#91818a"

    def __init__(
        self, *, filepath: str, fs_conn_id: str = "fs_default", recursive: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filepath = filepath
        self.fs_conn_id = fs_conn_id
        self.recursive = recursive

    def poke(self, context: Context) -> bool:
        """Look for it."""
        for found in iglob(str(self._path()), recursive=self.recursive):  # noqa: PTH207 - the pattern may be absolute
            path = Path(found)
            if path.is_file() or (path.is_dir() and any(child.is_file() for child in path.rglob("*"))):
                return True
        return False

    def _path(self) -> Path:
        path = Path(self.filepath)
        return path if path.is_absolute() else self._base() / path

    def _base(self) -> Path:
        from windlass.interfaces.connection import Connection

        try:
            return Path(Connection.get(self.fs_conn_id).extra_dejson.get("path", "/"))
        except ConnectionNotDefined:
            return Path("/")
