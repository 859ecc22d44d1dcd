"""The sensor: waits in its own process, or deferred in the trigger host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.operators import Context
from windlass.sensors import BaseSensorOperator

from windlass_hello.triggers import HelloTrigger


class HelloSensor(BaseSensorOperator):
    """Wait until somebody has arrived."""

    template_fields: Sequence[str] = ("name",)

    def __init__(
        self,
        *,
        name: str,
        hello_conn_id: str = "hello_default",
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        """Declare the sensor.

        Args:
            name: who is awaited.
            hello_conn_id: the connection of type ``hello``.
            deferrable: wait in the trigger host, without a process.
            **kwargs: see BaseSensorOperator.
        """
        super().__init__(**kwargs)
        self.name = name
        self.hello_conn_id = hello_conn_id
        self.deferrable = deferrable

    def poke(self, context: Context) -> bool:
        """Ask once."""
        from windlass_hello.hook import HelloHook

        return HelloHook(self.hello_conn_id).has_arrived(self.name)

    def execute(self, context: Context) -> Any:
        """Wait here, or let a trigger wait where there is something to wait for."""
        if not self.deferrable:
            return super().execute(context)
        if not self.poke(context):
            wait = HelloTrigger(self.name, self.hello_conn_id, self.poke_interval)
            self.defer_to(wait)
        return None
