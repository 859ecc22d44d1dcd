"""A hook, the client of the other system, and an operator that uses it."""

from __future__ import annotations

from typing import Any

from windlass.hooks import BaseHook
from windlass.operators import BaseOperator, Context


class HelloHook(BaseHook):
    """Greets through the service that a connection of type ``hello`` names."""

    conn_name_attr = "hello_conn_id"
    default_conn_name = "hello_default"
    conn_type = "hello"
    hook_name = "Greeting service"

    def get_conn(self) -> str:
        """Return the address; a real hook returns a client that is logged in."""
        return f"https://{self.connection.host}"

    def greet(self, name: str) -> str:
        """Return a greeting for ``name``."""
        tone = self.connection.extra_dejson.get("tone", "warm")
        return f"{'Good day' if tone == 'formal' else 'Hello'}, {name} (from {self.get_conn()})"

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the service can be used, for `windlass connections test`."""
        return True, f"{self.get_conn()} would answer"


class HelloOperator(BaseOperator):
    """Greet somebody; the greeting is the result."""

    template_fields = ("name",)

    def __init__(self, *, name: str, hello_conn_id: str = "hello_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.hello_conn_id = hello_conn_id

    def execute(self, context: Context) -> str:
        """Greet through the hook. Clients are made here, never in ``__init__``: that runs at every parse."""
        greeting = HelloHook(self.hello_conn_id).greet(self.name)
        context["ti"].log.info("%s", greeting)
        return greeting
