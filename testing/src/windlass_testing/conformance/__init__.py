"""Conformance suites: subclass one, give it your class, and it checks what every such class must do.

::

    from windlass_testing.conformance import ProviderSuite

    class TestProvider(ProviderSuite):
        distribution = "windlass-hello"

The page "Test a provider" says what each suite checks and needs.
"""

from __future__ import annotations

from windlass_testing.conformance.hook import HookSuite as HookSuite
from windlass_testing.conformance.operator import OperatorSuite as OperatorSuite
from windlass_testing.conformance.provider import ProviderSuite as ProviderSuite
from windlass_testing.conformance.secrets_backend import SecretsBackendSuite as SecretsBackendSuite
from windlass_testing.conformance.sensor import SensorSuite as SensorSuite
from windlass_testing.conformance.suite import Suite as Suite
from windlass_testing.conformance.suite import deviation as deviation
from windlass_testing.conformance.trigger import TriggerSuite as TriggerSuite
