"""A sensor that waits for a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from windlass.authoring.operator import Context
from windlass.authoring.sensor import BaseSensorOperator
from windlass.errors import ConnectionNotDefined


class FileSensor(BaseSensorOperator):
    """Wait until a file, or a folder with a file in it, is at ``filepath``; a pattern such as ``*.csv`` will do.

    A relative path starts at the ``path`` in the extra of the connection ``fs_conn_id``, where that is defined. With
    ``deferrable`` a trigger looks for it every ``poke_interval``, and the task holds no process meanwhile.
    """

    template_fields: Sequence[str] = ("filepath",)
    ui_color = "#91818a"

    def __init__(
        self,
        *,
        filepath: str,
        fs_conn_id: str = "fs_default",
        recursive: bool = False,
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filepath = filepath
        self.fs_conn_id = fs_conn_id
        self.recursive = recursive
        self.deferrable = deferrable

    def poke(self, context: Context) -> bool:
        """Look for it."""
        from windlass.interfaces.triggers.file import find_file

        return find_file(str(self._path()), recursive=self.recursive) is not None

    def execute(self, context: Context) -> object:
        """Look here, or defer until it is there."""
        if self.deferrable and not self.poke(context):
            from windlass.triggers import FileTrigger

            path = str(self._path())
            self.defer_to(FileTrigger(path, recursive=self.recursive, poke_interval=self.poke_interval))
        return super().execute(context)

    def _path(self) -> Path:
        path = Path(self.filepath)
        return path if path.is_absolute() else self._base() / path

    def _base(self) -> Path:
        from windlass.interfaces.connection import Connection

        try:
            return Path(Connection.get(self.fs_conn_id).extra_dejson.get("path", "/"))
        except ConnectionNotDefined:
            return Path("/")
