"""SensorSuite: everything that holds of an operator, and how a sensor waits, gives up and defers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from windlass.authoring.operator import OperatorMeta, argument_names
from windlass.errors import TaskDeferred
from windlass.operators import BaseOperator
from windlass.registry import registry
from windlass.sensors import BaseSensorOperator
from windlass_testing.conformance.operator import OperatorSuite
from windlass_testing.conformance.trigger import round_trip_complaints
from windlass_testing.fixtures import ConnectionLike, RunTask


class SensorSuite(OperatorSuite):
    """Checks a sensor; with ``arguments`` what it waits for is there.

    A subclass::

        class TestHelloSensor(SensorSuite):
            operator_class = HelloSensor
            arguments = {"name": "Ada"}
            waiting_arguments = {"name": "Nobody"}
    """

    operator_class: type[BaseOperator]
    #: Arguments, over the others, with which what it waits for is not there and does not come.
    waiting_arguments: Mapping[str, Any]

    def test_it_is_a_sensor(self) -> None:
        """It extends the base of sensors, whose arguments it takes."""
        assert issubclass(self.operator_class, BaseSensorOperator)
        sensor = self.make(poke_interval=5, timeout=50, mode="reschedule", soft_fail=True)
        assert isinstance(sensor, BaseSensorOperator)
        assert (sensor.poke_interval, sensor.timeout, sensor.mode, sensor.soft_fail) == (5, 50, "reschedule", True)

    def test_it_waits_for_what_does_not_come_until_its_timeout(
        self, run_task: RunTask, connections: Mapping[str, ConnectionLike]
    ) -> None:
        """It asks again and again and fails when its time is up, for good."""
        sensor = self.make(**{**self.waiting_arguments, "poke_interval": 10, "timeout": 25})
        done = run_task(sensor, connections=connections)
        assert done.state == "failed", done.log
        assert "timed out" in (done.reason or ""), done.reason

    def test_with_soft_fail_its_timeout_skips(
        self, run_task: RunTask, connections: Mapping[str, ConnectionLike]
    ) -> None:
        """`soft_fail` makes a skipped task of one that timed out."""
        sensor = self.make(**{**self.waiting_arguments, "poke_interval": 10, "timeout": 5, "soft_fail": True})
        done = run_task(sensor, connections=connections)
        assert done.state == "skipped", done.log

    def test_between_two_pokes_it_can_give_its_slot_back(
        self, run_task: RunTask, connections: Mapping[str, ConnectionLike]
    ) -> None:
        """In mode `reschedule` it comes back, and times out by the time since its first poke."""
        arguments = {**self.waiting_arguments, "poke_interval": 10, "timeout": 25, "mode": "reschedule"}
        if _is_deferrable(self.operator_class):
            arguments["deferrable"] = False
        done = run_task(self.make(**arguments), connections=connections)
        assert done.state == "failed", done.log
        assert "timed out" in (done.reason or ""), done.reason

    def test_deferred_it_ends_the_same(self, run_task: RunTask, connections: Mapping[str, ConnectionLike]) -> None:
        """With `deferrable=True` a trigger waits: the result is the same as without, and so is the timeout."""
        if not _is_deferrable(self.operator_class):
            pytest.skip("it has no argument deferrable")
        done = run_task(self.make(deferrable=True), connections=connections)
        assert done.state == "success", done.log
        if self.result is not ...:
            assert done.result == self.result
        arguments = {**self.waiting_arguments, "poke_interval": 10, "timeout": 25, "deferrable": True}
        late = run_task(self.make(**arguments), connections=connections)
        assert late.state == "failed", late.log
        assert "timed out" in (late.reason or ""), late.reason

    def test_deferred_it_goes_on_when_its_trigger_fires(
        self, run_task: RunTask, connections: Mapping[str, ConnectionLike]
    ) -> None:
        """What it waits for comes only after it has deferred: the trigger sees it and the sensor succeeds."""
        if not _is_deferrable(self.operator_class):
            pytest.skip("it has no argument deferrable")
        sensor = _blind(self.operator_class)(**{"task_id": "under_test", **self.arguments, "deferrable": True})
        done = run_task(sensor, connections=connections)
        assert done.state == "success", done.log
        if self.result is not ...:
            assert done.result == self.result

    def test_it_defers_to_a_trigger_that_its_provider_lists(
        self, run_task: RunTask, connections: Mapping[str, ConnectionLike]
    ) -> None:
        """What it defers to comes back equal from its name and its arguments, and its name is in a manifest."""
        if not _is_deferrable(self.operator_class):
            pytest.skip("it has no argument deferrable")
        sensor = _catching(self.operator_class)(
            **{"task_id": "under_test", **self.arguments, **self.waiting_arguments, "deferrable": True}
        )
        run_task(sensor, connections=connections)
        assert sensor.caught, "with deferrable=True and what it waits for not there, execute must defer"
        trigger = sensor.caught[0].trigger
        name, _ = trigger.serialize()
        assert registry().find("triggers", name) is not None, f"no manifest lists the trigger {name}"
        assert not round_trip_complaints(trigger)
        assert callable(getattr(sensor, sensor.caught[0].method_name, None)), "the method to resume at does not exist"


def _is_deferrable(cls: type[BaseOperator]) -> bool:
    return "deferrable" in argument_names(cls)


def _blind(cls: type[BaseOperator]) -> Any:  # noqa: ANN401 - a class made here has no static name
    """Return the class with a ``poke`` that finds nothing, so that only a trigger can."""
    return OperatorMeta(cls.__name__, (cls,), {"poke": lambda _self, _context: False, "__module__": cls.__module__})


def _catching(cls: type[BaseOperator]) -> Any:  # noqa: ANN401 - a class made here has no static name
    """Return the class with an ``execute`` that keeps its deferral instead of leaving."""

    def execute(self: Any, context: Mapping[str, Any]) -> None:  # noqa: ANN401 - of the class made below
        try:
            cls.execute(self, context)
        except TaskDeferred as deferral:
            self.caught.append(deferral)

    return OperatorMeta(cls.__name__, (cls,), {"execute": execute, "caught": [], "__module__": cls.__module__})
