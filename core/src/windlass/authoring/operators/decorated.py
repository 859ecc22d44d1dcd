"""The operators behind the built-in decorators other than ``@task`` itself."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.authoring.operators.python import BranchPythonOperator, ShortCircuitOperator
from windlass.authoring.operators.python_sensor import PythonSensor
from windlass.authoring.operators.virtualenv import ExternalPythonOperator, PythonVirtualenvOperator
from windlass.authoring.taskflow import DecoratedOperator


class BranchDecoratedOperator(DecoratedOperator, BranchPythonOperator):
    """The operator behind ``@task.branch``."""

    custom_operator_name = "@task.branch"


class ShortCircuitDecoratedOperator(DecoratedOperator, ShortCircuitOperator):
    """The operator behind ``@task.short_circuit``."""

    custom_operator_name = "@task.short_circuit"


class SensorDecoratedOperator(DecoratedOperator, PythonSensor):
    """The operator behind ``@task.sensor``."""

    custom_operator_name = "@task.sensor"


class VirtualenvDecoratedOperator(DecoratedOperator, PythonVirtualenvOperator):
    """The operator behind ``@task.virtualenv``."""

    custom_operator_name = "@task.virtualenv"
    template_fields: Sequence[str] = PythonVirtualenvOperator.template_fields


class ExternalPythonDecoratedOperator(DecoratedOperator, ExternalPythonOperator):
    """The operator behind ``@task.external_python``."""

    custom_operator_name = "@task.external_python"
    template_fields: Sequence[str] = ExternalPythonOperator.template_fields
