"""The artifact verbs. The local store: files under their SHA-256, written by children, put in place by the supervisor.

A child gets a fresh path to write to, says when it is complete, and only then does the content become visible, as a
whole, under its digest. Whatever an attempt did not complete is removed with it.

Where the configuration names the store of a provider, children are told its name and open it themselves: its client
library and its credentials have no place in this process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from windlass.errors import NotFound, XComError
from windlass.ports import Rng
from windlass.protocol import ArtifactCommit, ArtifactOpen
from windlass.protocol.digests import is_digest

#: What the configuration calls the local store.
LOCAL: Final = "local"


class Artifacts(Protocol):
    """What answers the artifact verbs of this host's attempts."""

    def answer(self, token: str, verb: ArtifactOpen | ArtifactCommit) -> Mapping[str, Any]:
        """Answer the attempt of ``token``.

        :raises WindlassError: the error to answer with.
        """
        ...

    def forget(self, token: str) -> None:
        """Remove what the attempt of ``token`` did not complete."""
        ...


class LocalArtifacts:
    """Answers the artifact verbs of this host's attempts."""

    def __init__(self, folder: Path, rng: Rng) -> None:
        self._folder = folder
        self._rng = rng
        self._open: dict[str, set[Path]] = {}

    def path(self, digest: str) -> Path:
        """Return where the content of ``digest`` is, or would be.

        :raises XComError: if it is no digest; it comes from a task, and becomes part of a path.
        """
        if not is_digest(digest):
            msg = f"{digest[:80]!r} is not the SHA-256 of an artifact"
            raise XComError(msg)
        return self._folder / digest[:2] / digest

    def answer(self, token: str, verb: ArtifactOpen | ArtifactCommit) -> dict[str, str]:
        """Answer the attempt of ``token``.

        :raises NotFound: if the artifact to read is not there.
        :raises XComError: if what is committed was not opened by this attempt, or is not what it says.
        """
        if isinstance(verb, ArtifactCommit):
            return self._commit(token, verb)
        if verb.digest is None:
            return self._create(token)
        path = self.path(verb.digest)
        if not path.is_file():
            msg = f"artifact {verb.digest} is not in {self._folder}; it was cleaned up: clear the task that made it"
            raise NotFound(msg)
        return {"path": str(path)}

    def forget(self, token: str) -> None:
        """Remove what the attempt of ``token`` did not complete."""
        for path in self._open.pop(token, ()):
            with contextlib.suppress(OSError):
                path.unlink()

    def _create(self, token: str) -> dict[str, str]:
        path = self._folder / "incomplete" / self._rng.token()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open.setdefault(token, set()).add(path)
        return {"path": str(path)}

    def _commit(self, token: str, verb: ArtifactCommit) -> dict[str, str]:
        path = Path(verb.path)
        if path not in self._open.get(token, ()):
            msg = f"{verb.path!r} was not opened by this attempt; ask for a path first"
            raise XComError(msg)
        size = path.stat().st_size
        if size != verb.size:
            msg = f"the artifact at {verb.path!r} has {size} bytes, not {verb.size}"
            raise XComError(msg)
        target = self.path(verb.digest)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(target)
        self._open[token].discard(path)
        return {"path": str(target)}


class ProvidedArtifacts:
    """The store of a provider: says which, and what to make it with. What the local one still has is read there."""

    def __init__(self, local: LocalArtifacts, store: str, arguments: Mapping[str, str]) -> None:
        self._local = local
        self._answer = {"store": store, "arguments": dict(arguments)}

    def answer(self, token: str, verb: ArtifactOpen | ArtifactCommit) -> Mapping[str, Any]:
        """Answer the attempt of ``token``.

        :raises XComError: for a digest that is none, and for a commit, of which a provider's store has none.
        """
        if isinstance(verb, ArtifactOpen) and (verb.digest is None or not self._local.path(verb.digest).is_file()):
            return self._answer
        return self._local.answer(token, verb)

    def forget(self, token: str) -> None:
        """Do nothing: what a child did not complete is not visible in the store."""
