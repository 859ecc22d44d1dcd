"""PythonOperator and its kin: tasks that call a function of the DAG file."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from windlass.authoring.arguments import Signature, signature
from windlass.authoring.branching import branch_skips, descendant_skips
from windlass.authoring.operator import BaseOperator, Context
from windlass.errors import AuthoringError


class CallableOperator(BaseOperator):
    """An operator that holds a function and its arguments. What ``execute`` makes of it is the subclass's business."""

    template_fields: Sequence[str] = ("templates_dict", "op_args", "op_kwargs")

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        templates_dict: Mapping[str, Any] | None = None,
        templates_exts: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(python_callable):
            raise AuthoringError(f"task {self.task_id!r}: python_callable must be callable, not {python_callable!r}")
        for name, value, kind in (("op_args", op_args, "list"), ("op_kwargs", op_kwargs, "dict")):
            if isinstance(value, (int, float, bytes)):
                raise AuthoringError(f"task {self.task_id!r}: {name} must be a {kind}, not {value!r}")
        self.python_callable = python_callable
        self.op_args: Sequence[Any] = op_args if op_args is not None else ()
        self.op_kwargs: Mapping[str, Any] = op_kwargs if op_kwargs is not None else {}
        self.templates_dict = templates_dict
        self._signature: tuple[Callable[..., Any], Signature] | None = None
        if templates_exts:
            self.template_ext = tuple(templates_exts)

    def get_ready(self) -> None:
        """Look at the parameters of the function, too."""
        super().get_ready()
        self._own_signature()

    def _own_signature(self) -> Signature:
        own = signature(self.python_callable)
        self._signature = self.python_callable, own
        return own

    def call(self, context: Context) -> Any:
        """Call the function with its arguments, and those of the context that it names (all with ``**kwargs``)."""
        return self.python_callable(*self.op_args, **self.call_arguments(context))

    def call_arguments(self, context: Context) -> dict[str, Any]:
        """Return the keyword arguments of the call."""
        known = self._signature
        own = known[1] if known is not None and known[0] is self.python_callable else self._own_signature()
        given = self.op_kwargs
        filled = own.positional[: len(self.op_args)]
        arguments = {}
        for name in context if own.has_var_keywords else own.names:
            if name in context and name not in given:
                arguments[name] = context[name]
        if own.has_var_keywords and self.templates_dict is not None:
            arguments["templates_dict"] = self.templates_dict
        for name in filled:
            arguments.pop(name, None)
        return {**arguments, **given}


class PythonOperator(CallableOperator):
    """Call ``python_callable``; its result is the task's."""

    ui_color = "#ffefeb"

    def execute(self, context: Context) -> Any:
        """Call the function."""
        return self.call(context)


class BaseBranchOperator(BaseOperator):
    """Decides which of its direct downstream tasks go on; write ``choose_branch(context)``."""

    is_brancher = True
    ui_color = "#ddd"

    def choose_branch(self, context: Context) -> str | Sequence[str] | None:
        """Return the id of a task or group, a list of them, or None to skip them all."""
        raise NotImplementedError(f"{type(self).__name__} does not define choose_branch(context)")

    def execute(self, context: Context) -> Any:
        """Choose, and skip the rest."""
        return self.follow(context, self.choose_branch(context))

    def follow(self, context: Context, chosen: Any) -> Any:
        """Skip the direct downstream tasks that ``chosen`` leaves out, and return it."""
        context["ti"].skip_downstream(branch_skips(context["task"], chosen))
        return chosen


class BranchPythonOperator(PythonOperator, BaseBranchOperator):
    """Call ``python_callable``; it returns the ids to go on with."""

    ui_color = "#ddd"

    def choose_branch(self, context: Context) -> Any:
        """Call the function."""
        return self.call(context)

    def execute(self, context: Context) -> Any:
        """Choose, and skip the rest."""
        return BaseBranchOperator.execute(self, context)


class ShortCircuitOperator(PythonOperator):
    """Call ``python_callable``; a falsy result skips everything downstream but teardowns.

    With ``ignore_downstream_trigger_rules=False`` only the direct downstream tasks are skipped, and the others follow
    their trigger rules.
    """

    is_brancher = True

    def __init__(self, *, ignore_downstream_trigger_rules: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def execute(self, context: Context) -> Any:
        """Call the function, and skip if its result is falsy."""
        condition = self.call(context)
        if not condition:
            skips = descendant_skips(context["task"], direct_only=not self.ignore_downstream_trigger_rules)
            context["ti"].skip_downstream(skips)
        return condition
