"""What a task sees of the artifact store: references to files, and the way to put and get them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class Artifact:
    """A reference to a stored file, which travels between tasks as an XCom."""

    digest: str
    name: str
    size: int


class Artifacts(Protocol):
    """``context["artifacts"]``, or an argument ``artifacts`` of a task's function: hands files over to other tasks.

    ``put`` copies a file to the artifact store under its SHA-256 and returns a small reference that travels as an XCom;
    ``get`` brings the file back, on whatever machine.
    """

    def put(self, path: str | Path) -> Artifact:
        """Store the file at ``path`` and return a reference to it.

        :raises XComError: if it is not a file.
        """
        ...

    def open(self, artifact: Artifact) -> BinaryIO:
        """Open the stored file for reading.

        :raises NotFound: if it was cleaned up.
        """
        ...

    def get(self, artifact: Artifact, to: str | Path | None = None) -> Path:
        """Copy the stored file to ``to`` (a path or a folder; None is the working directory) and return where it is.

        :raises NotFound: if it was cleaned up.
        :raises XComError: if what is stored is not what was put.
        """
        ...
