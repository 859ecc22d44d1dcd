"""A sensor that asks a function."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.authoring.operator import Context
from windlass.authoring.operators.python import CallableOperator
from windlass.authoring.sensor import BaseSensorOperator, PokeReturnValue


class PythonSensor(CallableOperator, BaseSensorOperator):
    """Wait until ``python_callable`` returns something true."""

    template_fields: Sequence[str] = CallableOperator.template_fields

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Call the function."""
        answer = self.call(context)
        return answer if isinstance(answer, PokeReturnValue) else bool(answer)
