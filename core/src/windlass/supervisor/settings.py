"""What a supervisor is told when it starts: its folders, its limits and its patience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisorSettings:
    """Folders and numbers; all times in seconds."""

    #: Holds ``supervisor.sock`` and ``supervisor.lock``.
    run: Path
    logs: Path
    #: Blobs and versions of DAG code.
    code: Path
    #: The version of Windlass, compared when a server connects.
    version: str
    max_zygotes: int = 8
    zygote_idle: float = 600.0
    zygote_forks: int = 10_000
    #: Resident bytes of all zygotes together above which idle ones are stopped.
    zygote_memory: int = 1 << 30
    import_timeout: float = 30.0
    #: A zygote whose file read connections or variables while it was imported is renewed after this time.
    secrets_ttl: float = 300.0
    #: At most so many forked children wait for work per zygote; one while it is at rest.
    spares: int = 32
    #: A zygote that has had no work for so long sends its spares away but for one.
    surplus_after: float = 2.0
    #: Keep one zygote that has imported Windlass and waits for a file, so that new code starts in milliseconds.
    blank: bool = True
    #: Between SIGTERM and SIGKILL, and between a child's last word and its end.
    grace: float = 5.0
    heartbeat: float = 10.0
    #: Between two rounds of housekeeping.
    tidy: float = 10.0
    #: Kill everything when no heartbeat has succeeded for this long; None where the lock is the lease (one host).
    fence_after: float | None = None
    #: How long a trigger may keep all others of its host from running before it is failed.
    trigger_block_limit: float = 30.0
    #: The artifact store: ``local``, or the name of a provider's and what it is made with.
    artifact_store: str = "local"
    artifact_arguments: Mapping[str, str] = field(default_factory=dict)
    #: Where to leave notes of logs that are to be stored elsewhere; None if they are not.
    log_notes: Path | None = None
    #: Dotted name of the provider's function that makes the datetimes of contexts; empty: they are plain.
    moment_factory: str = ""
    #: The level of ``logging`` in tasks.
    log_level: str = "INFO"

    @property
    def socket(self) -> Path:
        """Where servers connect."""
        return self.run / "supervisor.sock"

    @property
    def artifacts(self) -> Path:
        """The local artifact store, beside the run folder."""
        return self.run.parent / "artifacts"

    @property
    def lock(self) -> Path:
        """The file whose OS lock says that a supervisor lives."""
        return self.run / "supervisor.lock"
