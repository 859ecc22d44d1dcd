"""``@asset``: a function that makes a piece of data. It is the asset, and a DAG of one task that updates it.

::

    @asset(uri="s3://shop/orders", schedule="@daily")
    def orders(): ...

    @asset(schedule=orders)
    def report(context, orders):
        rows = context["inlet_events"][orders][-1].extra["rows"]

A parameter ``self`` is the asset, ``context`` the context of the task; any other without a default names an asset that
the function reads: the one of that name in the function's module, else one whose name and URI are that.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from windlass.authoring.arguments import signature
from windlass.authoring.asset import Asset
from windlass.authoring.dag import DAG
from windlass.authoring.operator import Context
from windlass.authoring.operators.python import PythonOperator
from windlass.errors import AuthoringError


class AssetDefinition(Asset):
    """An asset with the DAG that updates it: ``definition.dag``."""

    dag: DAG

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse to be called."""
        raise AuthoringError(f"@asset {self.name!r} is not called: its DAG {self.dag.dag_id!r} runs the function")


class AssetFunctionOperator(PythonOperator):
    """The operator behind ``@asset``."""

    custom_operator_name = "@asset"

    def __init__(self, *, definition: AssetDefinition, **kwargs: Any) -> None:
        function = kwargs["python_callable"]
        own = signature(function)
        if own.has_var_positional or own.has_var_keywords:
            raise AuthoringError(
                f"@asset {function.__name__!r} cannot take *args or **kwargs; name the assets it reads"
            )
        known = function.__globals__
        self.reads = {
            name: found if isinstance(found := known.get(name), Asset) else Asset(name)
            for name in own.names
            if name in own.required and name not in {"self", "context"}
        }
        super().__init__(inlets=list(self.reads.values()), outlets=[definition], **kwargs)
        self.definition = definition

    def call_arguments(self, context: Context) -> dict[str, Any]:
        """Return the assets that the function reads, itself and the context, as it names them."""
        names = signature(self.python_callable).names
        own = {"self": self.definition, "context": context}
        return {**self.reads, **{name: value for name, value in own.items() if name in names}}


def asset(
    *,
    schedule: Any,
    name: str | None = None,
    uri: str | None = None,
    group: str = "asset",
    extra: Mapping[str, Any] | None = None,
    dag_id: str | None = None,
    **dag_arguments: Any,
) -> Callable[[Callable[..., Any]], AssetDefinition]:
    """Make a function an asset, updated by a DAG of one task that calls it when ``schedule`` says so.

    ``name`` and ``dag_id`` default to the name of the function; what else is given goes to the DAG.
    """

    def decorate(function: Callable[..., Any]) -> AssetDefinition:
        own = function.__name__
        made = AssetDefinition(name or own, uri, group=group, extra=extra)
        with DAG(dag_id or own, schedule=schedule, **{"doc_md": function.__doc__, **dag_arguments}) as made.dag:
            made.dag.fileloc = function.__code__.co_filename
            AssetFunctionOperator(task_id=own, python_callable=function, definition=made)
        return made

    return decorate
