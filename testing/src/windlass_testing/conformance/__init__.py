"""Conformance suites: subclass one, give it your class, and it checks what every such class must do.

::

    from windlass_testing.conformance import ProviderSuite

    class TestProvider(ProviderSuite):
        distribution = "windlass-hello"

The page "Test a provider" says what each suite checks and needs.
"""

from __future__ import annotations

from windlass_testing.conformance.executor import ExecutorSuite as ExecutorSuite
from windlass_testing.conformance.hook import HookSuite as HookSuite
from windlass_testing.conformance.operator import OperatorSuite as OperatorSuite
from windlass_testing.conformance.provider import ProviderSuite as ProviderSuite
from windlass_testing.conformance.secrets_backend import SecretsBackendSuite as SecretsBackendSuite
from windlass_testing.conformance.sensor import SensorSuite as SensorSuite
from windlass_testing.conformance.sql_hook import SQLHookSuite as SQLHookSuite
from windlass_testing.conformance.stores import ArtifactStoreSuite as ArtifactStoreSuite
from windlass_testing.conformance.stores import LogStoreSuite as LogStoreSuite
from windlass_testing.conformance.suite import Suite as Suite
from windlass_testing.conformance.suite import deviation as deviation
from windlass_testing.conformance.timetable import TimetableSuite as TimetableSuite
from windlass_testing.conformance.trigger import TriggerSuite as TriggerSuite
from windlass_testing.conformance.xcom_codec import XComCodecSuite as XComCodecSuite
