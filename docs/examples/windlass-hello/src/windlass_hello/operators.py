"""The operator. It imports its hook when it runs: a DAG file that names it pays for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.operators import BaseOperator, Context


class HelloOperator(BaseOperator):
    """Greet somebody; the greeting is the result."""

    template_fields: Sequence[str] = ("name",)

    def __init__(
        self,
        *,
        name: str,
        hello_conn_id: str = "hello_default",
        **kwargs: Any,
    ) -> None:
        """Declare the task.

        Args:
            name: who is greeted.
            hello_conn_id: the connection of type ``hello``.
            **kwargs: see BaseOperator.
        """
        super().__init__(**kwargs)
        self.name = name
        self.hello_conn_id = hello_conn_id

    def execute(self, context: Context) -> str:
        """Greet through the hook. Clients are made here, never in ``__init__``: that runs at every parse."""
        from windlass_hello.hook import HelloHook

        greeting = HelloHook(self.hello_conn_id).greet(self.name)
        self.log.info("%s", greeting)
        return greeting
