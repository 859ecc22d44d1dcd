"""The base of bundles: sources of DAG code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path


class Bundle(ABC):
    """A source of DAG files that can be had as a local folder. ``dagfiles`` calls it, in the server.

    A bundle only fetches: its files are parsed and run elsewhere, from snapshots, so that a refresh in the middle of a
    run changes nothing of it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def path(self) -> Path:
        """The folder that holds the files after :meth:`refresh`; absolute, and the same for the bundle's life."""

    @abstractmethod
    def refresh(self) -> None:
        """Bring the folder up to date. An exception is shown as the bundle's error; the files stay as they were."""

    def version(self) -> str | None:
        """Return what people call the state of the files, for example a commit; None if nothing does."""
        return None
