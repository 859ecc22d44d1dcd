"""Windlass: data pipelines written as Python DAGs.

``from windlass import DAG, task`` is the door for authors. This is the one lazy module (PEP 562): a server that
imports ``windlass.x`` never loads authoring, and a DAG file pays only for the names it uses. Everything named in
``__all__`` is found on first use; the imports below are what type checkers and editors see.
"""

from __future__ import annotations

from windlass.version import __version__ as __version__

# Known to type checkers by its name; importing `typing` would take longer than all the rest of `windlass --version`.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from windlass.authoring.access import Variable as Variable
    from windlass.authoring.access import get_current_context as get_current_context
    from windlass.authoring.asset import Asset as Asset
    from windlass.authoring.asset import AssetAlias as AssetAlias
    from windlass.authoring.asset import AssetAll as AssetAll
    from windlass.authoring.asset import AssetAny as AssetAny
    from windlass.authoring.asset import Dataset as Dataset
    from windlass.authoring.asset import DatasetAlias as DatasetAlias
    from windlass.authoring.asset import DatasetAll as DatasetAll
    from windlass.authoring.asset import DatasetAny as DatasetAny
    from windlass.authoring.asset_function import asset as asset
    from windlass.authoring.dag import DAG as DAG
    from windlass.authoring.dag import dag as dag
    from windlass.authoring.deadline import DeadlineAlert as DeadlineAlert
    from windlass.authoring.deadline import DeadlineReference as DeadlineReference
    from windlass.authoring.edges import Label as Label
    from windlass.authoring.edges import chain as chain
    from windlass.authoring.edges import chain_linear as chain_linear
    from windlass.authoring.edges import cross_downstream as cross_downstream
    from windlass.authoring.operator import BaseOperator as BaseOperator
    from windlass.authoring.param import Param as Param
    from windlass.authoring.setup import setup as setup
    from windlass.authoring.setup import teardown as teardown
    from windlass.authoring.task_group import TaskGroup as TaskGroup
    from windlass.authoring.task_group import task_group as task_group
    from windlass.authoring.taskflow import task as task
    from windlass.authoring.xcom_arg import XComArg as XComArg
    from windlass.interfaces.artifacts import Artifact as Artifact
    from windlass.interfaces.artifacts import Artifacts as Artifacts
    from windlass.interfaces.connection import Connection as Connection
    from windlass.states import TriggerRule as TriggerRule

_HOMES = {
    "DAG": "authoring.dag",
    "Artifact": "interfaces.artifacts",
    "Artifacts": "interfaces.artifacts",
    "Asset": "authoring.asset",
    "AssetAlias": "authoring.asset",
    "AssetAll": "authoring.asset",
    "AssetAny": "authoring.asset",
    "Dataset": "authoring.asset",
    "DatasetAlias": "authoring.asset",
    "DatasetAll": "authoring.asset",
    "DatasetAny": "authoring.asset",
    "BaseOperator": "authoring.operator",
    "Connection": "interfaces.connection",
    "DeadlineAlert": "authoring.deadline",
    "DeadlineReference": "authoring.deadline",
    "Label": "authoring.edges",
    "Param": "authoring.param",
    "TaskGroup": "authoring.task_group",
    "TriggerRule": "states",
    "Variable": "authoring.access",
    "XComArg": "authoring.xcom_arg",
    "asset": "authoring.asset_function",
    "chain": "authoring.edges",
    "chain_linear": "authoring.edges",
    "cross_downstream": "authoring.edges",
    "dag": "authoring.dag",
    "get_current_context": "authoring.access",
    "setup": "authoring.setup",
    "task": "authoring.taskflow",
    "task_group": "authoring.task_group",
    "teardown": "authoring.setup",
}

__all__ = [  # noqa: RUF022 - pyright wants it literal, and people by kind
    "DAG", "dag", "task", "task_group", "TaskGroup", "BaseOperator", "XComArg", "Param", "Label", "TriggerRule",
    "chain", "chain_linear", "cross_downstream", "setup", "teardown",
    "Asset", "AssetAlias", "AssetAll", "AssetAny", "asset",
    "Dataset", "DatasetAlias", "DatasetAll", "DatasetAny",
    "Connection", "Variable", "get_current_context", "Artifact", "Artifacts",
    "DeadlineAlert", "DeadlineReference",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Import the home of ``name`` on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'windlass' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"windlass.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name everything that can be imported from here."""
    return sorted({*globals(), *__all__})
