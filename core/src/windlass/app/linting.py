"""What ``windlass dags lint`` needs of a home: its DAG files, its connections and variables, and its pools."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from windlass.app.clocks import SystemClock
from windlass.app.services import StoredSecrets, open_services
from windlass.config import Settings
from windlass.control.configuration import resolved
from windlass.control.database import database_url
from windlass.control.visibility import did_you_mean
from windlass.dagfiles.bundles import configured_bundles
from windlass.dagfiles.linting import Lint, Surroundings, dag_files, lint
from windlass.errors import DagNotFound, NotFound
from windlass.registry import PluginModules, registry
from windlass.secrets.policies import ConnectionPolicies, PolicedSecrets
from windlass.secrets.resolver import open_resolver
from windlass.store import SchemaState, Store, check


def lint_target(settings: Settings, target: str | None) -> Iterator[Lint]:
    """Yield what is found in a folder, a file or the file of a DAG; without a target in the DAG folder.

    A home without a database does: then nothing is said of pools, and files that read stored values cannot be read.

    :raises NotFound: if there is no such folder, file or DAG.
    """
    settings = resolved(settings)
    store = open_services(settings) if _has_database(settings) else None
    try:
        root, files, is_whole = _chosen(settings, store, target)
        resolver = open_resolver(settings, None if store is None else StoredSecrets(store))
        try:
            yield from lint(
                root,
                files,
                settings,
                clock=SystemClock(),
                secrets=PolicedSecrets(resolver, ConnectionPolicies(PluginModules(registry(), "policies"))),
                surroundings=Surroundings(
                    pools=None if store is None else frozenset(pool.name for pool in store.pools.list()),
                    complete=is_whole,
                ),
            )
        finally:
            resolver.close()
    finally:
        if store is not None:
            store.close()


def _has_database(settings: Settings) -> bool:
    return settings.home.exists() and check(database_url(settings)) is SchemaState.CURRENT


def _chosen(settings: Settings, store: Store | None, target: str | None) -> tuple[str, list[str], bool]:
    """Return a root, the files below it, and whether these are all DAG files of the home."""
    folder = settings.core.dags_folder.absolute()
    if target is None:
        if not folder.is_dir():
            raise NotFound(f"the DAG folder {folder} does not exist; name another folder, or set core.dags_folder")
        return str(folder), dag_files(str(folder), settings), True
    path = Path(os.path.abspath(target))  # noqa: PTH100 - links are kept
    if path.is_dir():
        return str(path), dag_files(str(path), settings), path == folder
    if path.is_file():
        root = folder if path.is_relative_to(folder) else path.parent
        return str(root), [path.relative_to(root).as_posix()], False
    return *_file_of(settings, store, target), False


def _file_of(settings: Settings, store: Store | None, dag_id: str) -> tuple[str, list[str]]:
    if store is None:
        raise NotFound(
            f"{dag_id!r} is neither a folder nor a file, and there is no database that knows a DAG of this id"
        )
    try:
        dag = store.queries.dag(dag_id)
    except DagNotFound:
        hint = did_you_mean(dag_id, (row.dag_id for row in store.queries.dags(limit=1000).items))
        text = f"{dag_id!r} is neither a folder, nor a file, nor the id of a DAG.{hint}"
        raise DagNotFound(f"{text} `windlass dags list` shows all DAGs") from None
    roots = {bundle.name: str(bundle.path) for bundle in configured_bundles(settings)}
    if dag.bundle not in roots:
        raise NotFound(f"DAG {dag_id!r} comes from bundle {dag.bundle!r}, which is not configured any more")
    return roots[dag.bundle], [dag.file]
