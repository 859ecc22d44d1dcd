"""``context["artifacts"]``: :class:`windlass.Artifacts` over the session of a task."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from windlass.errors import XComError
from windlass.interfaces.artifacts import Artifact, Artifacts
from windlass.ports import TaskSession
from windlass.runtime import blobs


class TaskArtifacts(Artifacts):
    """The artifact store, as a task sees it; what the methods promise stands with :class:`windlass.Artifacts`."""

    def __init__(self, session: TaskSession) -> None:
        self._session = session

    def put(self, path: str | Path) -> Artifact:
        """Store the file at ``path`` and return a reference to it."""
        source = Path(path)
        if not source.is_file():
            raise XComError(f"artifact {str(source)!r} is not a file; write it first, or pack a folder into an archive")
        with source.open("rb") as reader:
            digest, size = blobs.put(self._session, reader, f"artifact {str(source)!r}")
        return Artifact(digest=digest, name=source.name, size=size)

    def open(self, artifact: Artifact) -> BinaryIO:
        """Open the stored file for reading."""
        return blobs.open_blob(self._session, artifact.digest)

    def get(self, artifact: Artifact, to: str | Path | None = None) -> Path:
        """Copy the stored file to ``to`` and return where it is."""
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
