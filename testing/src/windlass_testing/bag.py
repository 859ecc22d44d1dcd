"""Every DAG of a folder, imported into this process: what a project's tests begin with.

The files are chosen as the server chooses them, and imported one after the other. What is wrong with one is kept as a
sentence and harms no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from windlass.authoring import scope
from windlass.authoring.dag import DAG
from windlass.dagfiles.listing import Listing
from windlass.errors import ConfigError, DagNotFound, UsageError
from windlass.ports import TaskSession, session_scope
from windlass.protocol import Verb
from windlass.runtime.loader import add_root, load_dag_file
from windlass.runtime.trace import user_traceback


class DagBag(Mapping[str, DAG]):
    """The DAGs of a folder by id, and what is wrong with its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: File -> what is wrong with it, beginning with one sentence.
        self.import_errors: dict[str, str] = {}
        #: DAG id -> its file, relative to the folder.
        self.files: dict[str, str] = {}
        self._dags: dict[str, DAG] = {}

    def __getitem__(self, dag_id: str) -> DAG:
        try:
            return self._dags[dag_id]
        except KeyError:
            close = get_close_matches(dag_id, self._dags, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(self._dags)) or 'none'}"
            raise DagNotFound(f"no file below {self.folder} defines DAG {dag_id!r}; {hint}") from None

    def __contains__(self, dag_id: object) -> bool:
        return dag_id in self._dags

    def __iter__(self) -> Iterator[str]:
        return iter(self._dags)

    def __len__(self) -> int:
        return len(self._dags)

    def add(self, dag: DAG, file: str) -> None:
        """Take in a DAG that ``file`` defines; what is wrong with it becomes an error of the file."""
        if dag.dag_id in self._dags:
            self.blame(file, f"DAG {dag.dag_id!r} is defined in {self.files[dag.dag_id]} already; rename one of them")
            return
        dag.to_spec(file=file)  # finds cycles, and whatever else no scheduler could use
        self._dags[dag.dag_id] = dag
        self.files[dag.dag_id] = file

    def blame(self, file: str, text: str) -> None:
        """Keep what is wrong with ``file``."""
        self.import_errors[file] = f"{self.import_errors[file]}\n{text}" if file in self.import_errors else text

    @property
    def problems(self) -> str:
        """All import errors as one text; empty if there are none."""
        return "\n\n".join(f"{file}: {text}" for file, text in self.import_errors.items())


def load_bag(folder: Path, session: TaskSession | None = None) -> DagBag:
    """Import the DAG files below ``folder`` and return what they define.

    ``session`` answers connections and variables that a file reads when it is imported; without one there are none.

    :raises ConfigError: if there is no such folder.
    """
    folder = folder.absolute()
    try:
        found = Listing(str(folder), safe_mode=True).look()
    except OSError as error:
        raise ConfigError(f"the DAG folder {folder} cannot be read: {error.strerror}; name one that exists") from None
    bag = DagBag(folder)
    add_root(str(folder))
    scope.collect()  # forget what this process has defined before
    with session_scope(session or _Nobody()):
        for file in found.files:
            _load(bag, file)
    return bag


def _load(bag: DagBag, file: str) -> None:
    try:
        module = load_dag_file(str(bag.folder), file, (bag.folder / file).read_bytes())
        dags = scope.collect(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a file does when it is imported
        scope.collect()
        bag.blame(file, f"{type(error).__name__}: {error}\n{user_traceback(error)}".rstrip())
        return
    for dag in dags:
        try:
            bag.add(dag, file)
        except Exception as error:  # noqa: BLE001 - a DAG that cannot be
            bag.blame(file, f"{type(error).__name__}: {error}")


class _Nobody:
    """Knows no connection and no variable."""

    context: Mapping[str, Any] | None = None

    def ask(self, verb: Verb) -> Any:  # noqa: ANN401 - any value
        """Refuse."""
        raise UsageError(
            f"the file asks for {type(verb).__name__} when it is imported; give it to the tests, or ask inside a task"
        )

    def tell(self, verb: Verb) -> None:
        """Forget it."""
