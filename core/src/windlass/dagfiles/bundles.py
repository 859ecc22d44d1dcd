"""The bundles of an installation: the DAG folder, and the examples of providers where they are wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from windlass.config import Settings
from windlass.interfaces.bundle import Bundle
from windlass.registry import registry
from windlass.registry.examples import example_folders

DAGS_FOLDER: Final = "dags-folder"


class LocalBundle(Bundle):
    """A folder of this machine, as it is at any moment."""

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(name)
        # Links are kept: where a deployment switches a link, the root of the files stays the same.
        self._root = root.absolute()

    @property
    def path(self) -> Path:
        """The folder."""
        return self._root

    def refresh(self) -> None:
        """Do nothing: the folder is what it is."""


def configured_bundles(settings: Settings) -> list[Bundle]:
    """Return the bundles that the configuration asks for.

    Each package of examples that a provider names is a bundle of the package's name, ``windlass_bash.example_dags``.
    The name is stored with the DAGs.
    """
    bundles: list[Bundle] = [LocalBundle(DAGS_FOLDER, settings.core.dags_folder)]
    if settings.core.load_examples:
        examples = example_folders(registry().providers)
        bundles += [LocalBundle(package, folder) for package, folder in examples.items()]
    return bundles
