from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import pytest

from windlass.errors import NotFound, XComError
from windlass.protocol import ArtifactCommit, ArtifactOpen
from windlass.supervisor.artifacts import LocalArtifacts, ProvidedArtifacts


class Rng:
    def __init__(self) -> None:
        self.count = 0

    def token(self) -> str:
        self.count += 1
        return f"{self.count:032x}"

    key = token


@pytest.fixture
def artifacts(tmp_path: Path) -> LocalArtifacts:
    return LocalArtifacts(tmp_path / "artifacts", Rng())


def write(artifacts: LocalArtifacts, content: bytes) -> ArtifactCommit:
    path = Path(artifacts.answer("me", ArtifactOpen())["path"])
    path.write_bytes(content)
    return ArtifactCommit(path=str(path), digest=hashlib.sha256(content).hexdigest(), size=len(content))


def test_a_completed_artifact_is_found_by_its_digest(artifacts: LocalArtifacts) -> None:
    commit = write(artifacts, b"content")
    artifacts.answer("me", commit)
    assert Path(artifacts.answer("other", ArtifactOpen(digest=commit.digest))["path"]).read_bytes() == b"content"
    assert not Path(commit.path).exists()


def test_what_an_attempt_did_not_complete_goes_with_it(artifacts: LocalArtifacts) -> None:
    commit = write(artifacts, b"half")
    artifacts.forget("me")
    assert not Path(commit.path).exists()
    with pytest.raises(NotFound, match="clear the task that made it"):
        artifacts.answer("me", ArtifactOpen(digest=commit.digest))


def test_only_the_attempt_that_opened_a_path_may_commit_it(artifacts: LocalArtifacts, tmp_path: Path) -> None:
    commit = write(artifacts, b"content")
    with pytest.raises(XComError, match="was not opened by this attempt"):
        artifacts.answer("other", commit)
    (tmp_path / "secret").write_bytes(b"x")
    with pytest.raises(XComError, match="was not opened by this attempt"):
        artifacts.answer("me", ArtifactCommit(path=str(tmp_path / "secret"), digest="0" * 64, size=1))


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_a_digest_is_never_a_path(artifacts: LocalArtifacts, digest: str) -> None:
    with pytest.raises(XComError, match="is not the SHA-256"):
        artifacts.answer("me", ArtifactOpen(digest=digest))


def test_a_size_that_differs_is_refused(artifacts: LocalArtifacts) -> None:
    commit = write(artifacts, b"content")
    Path(commit.path).write_bytes(b"content, and more")
    with pytest.raises(XComError, match="has 17 bytes, not 7"):
        artifacts.answer("me", commit)


class TestTheStoreOfAProvider:
    TOLD: ClassVar = {"store": "far", "arguments": {"path": "far://here"}}

    @pytest.fixture
    def provided(self, artifacts: LocalArtifacts) -> ProvidedArtifacts:
        return ProvidedArtifacts(artifacts, "far", {"path": "far://here"})

    def test_children_are_told_which_and_open_it_themselves(self, provided: ProvidedArtifacts) -> None:
        assert provided.answer("me", ArtifactOpen()) == self.TOLD
        assert provided.answer("me", ArtifactOpen(digest="0" * 64)) == self.TOLD

    def test_what_the_local_store_still_has_is_read_there(
        self, provided: ProvidedArtifacts, artifacts: LocalArtifacts
    ) -> None:
        commit = write(artifacts, b"from before")
        artifacts.answer("me", commit)
        path = provided.answer("other", ArtifactOpen(digest=commit.digest))["path"]
        assert Path(path).read_bytes() == b"from before"

    def test_a_digest_is_a_digest_and_nothing_is_committed(self, provided: ProvidedArtifacts) -> None:
        with pytest.raises(XComError, match="is not the SHA-256"):
            provided.answer("me", ArtifactOpen(digest="../../etc/passwd"))
        with pytest.raises(XComError, match="was not opened by this attempt"):
            provided.answer("me", ArtifactCommit(path="/etc/passwd", digest="0" * 64, size=1))
