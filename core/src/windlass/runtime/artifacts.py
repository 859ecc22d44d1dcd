"""``context["artifacts"]``: hand a file over to other tasks, on whatever machine they run.

``put`` copies the file to the artifact store under its SHA-256 and returns a small reference that travels as an XCom;
``get`` brings the file back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from windlass.errors import XComError
from windlass.ports import TaskSession
from windlass.runtime import blobs


@dataclass(frozen=True)
class Artifact:
    """A reference to a stored file."""

    digest: str
    name: str
    size: int


class Artifacts:
    """The artifact store, as a task sees it."""

    def __init__(self, session: TaskSession) -> None:
        self._session = session

    def put(self, path: str | Path) -> Artifact:
        """Store the file at ``path`` and return a reference to it.

        :raises XComError: if it is not a file.
        """
        source = Path(path)
        if not source.is_file():
            raise XComError(f"artifact {str(source)!r} is not a file; write it first, or pack a folder into an archive")
        with source.open("rb") as reader:
            digest, size = blobs.put(self._session, reader, f"artifact {str(source)!r}")
        return Artifact(digest=digest, name=source.name, size=size)

    def open(self, artifact: Artifact) -> BinaryIO:
        """Open the stored file for reading.

        :raises NotFound: if it was cleaned up.
        """
        return blobs.open_blob(self._session, artifact.digest)

    def get(self, artifact: Artifact, to: str | Path | None = None) -> Path:
        """Copy the stored file to ``to`` (a path or a folder; None is the working directory) and return where it is.

        :raises NotFound: if it was cleaned up.
        :raises XComError: if what is stored is not what was put.
        """
        target = Path(to) if to is not None else Path.cwd()
        if target.is_dir():
            target /= Path(artifact.name).name
        digest = hashlib.sha256()
        with self.open(artifact) as reader, target.open("wb") as writer:
            while piece := reader.read(blobs.PIECE):
                digest.update(piece)
                writer.write(piece)
        if digest.hexdigest() != artifact.digest:
            target.unlink()
            raise XComError(f"the stored file {artifact.name!r} is damaged; run the task that made it again")
        return target
