"""Sensors that SensorSuite must reject, each the example's sensor with one thing wrong; the first is sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from variants import provider, server

from windlass.operators import BaseOperator
from windlass.sensors import BaseSensorOperator
from windlass_testing.conformance import SensorSuite

provider("kit")
SERVER = server("kit")
SERVER.guests = {"Ada"}

from windlass_kit.sensors import KitSensor  # noqa: E402 - it was installed just now
from windlass_kit.triggers import KitTrigger  # noqa: E402


class Kit(SensorSuite):
    """Its server answers."""

    arguments: Mapping[str, Any] = {"name": "Ada"}
    #: An hour at most, for the one that waits by looking again and again where it should defer.
    waiting_arguments: Mapping[str, Any] = {"name": "Nobody", "timeout": 3600}
    conn_id_argument = "kit_conn_id"

    @pytest.fixture
    def connections(self) -> Mapping[str, Any]:
        return {"kit_default": SERVER.uri}

    @pytest.fixture
    def failing_connection(self) -> str:
        return "kit://ada@127.0.0.1:1"


class TestSound(Kit):
    breaks: set[str] = set()
    operator_class = KitSensor


class TestIsNoSensor(Kit):
    breaks = {
        "test_it_is_a_sensor",
        "test_it_waits_for_what_does_not_come_until_its_timeout",
        "test_with_soft_fail_its_timeout_skips",
        "test_between_two_pokes_it_can_give_its_slot_back",
    }

    class operator_class(BaseOperator):
        template_fields = ("name",)

        def __init__(self, *, name: str, kit_conn_id: str = "kit_default", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.name, self.kit_conn_id = name, kit_conn_id

        def execute(self, context: Any) -> None:
            KitSensor.poke(self, context)


class TestFindsWhatIsNotThere(Kit):
    breaks = {
        "test_it_waits_for_what_does_not_come_until_its_timeout",
        "test_with_soft_fail_its_timeout_skips",
        "test_between_two_pokes_it_can_give_its_slot_back",
        "test_deferred_it_ends_the_same",
        "test_it_defers_to_a_trigger_that_its_provider_lists",
    }

    class operator_class(KitSensor):
        def poke(self, context: Any) -> bool:
            super().poke(context)
            return True


class TestFailsWhereItShouldWait(Kit):
    breaks = {
        "test_it_waits_for_what_does_not_come_until_its_timeout",
        "test_with_soft_fail_its_timeout_skips",
        "test_between_two_pokes_it_can_give_its_slot_back",
        "test_deferred_it_ends_the_same",
        "test_it_defers_to_a_trigger_that_its_provider_lists",
    }

    class operator_class(KitSensor):
        def poke(self, context: Any) -> bool:
            if not super().poke(context):
                raise LookupError("nobody there")
            return True


class TestWaitsDeferredWithoutATimeout(Kit):
    breaks = {"test_deferred_it_ends_the_same"}

    class operator_class(KitSensor):
        def execute(self, context: Any) -> Any:
            if not self.deferrable:
                return BaseSensorOperator.execute(self, context)
            if not self.poke(context):
                # Asked at last, after what the suite waits for has timed out.
                self.defer(trigger=KitTrigger("Ada", self.kit_conn_id), method_name="execute_complete")
            return None


class TestNeverDefers(Kit):
    breaks = {
        "test_it_defers_to_a_trigger_that_its_provider_lists",
        "test_deferred_it_goes_on_when_its_trigger_fires",
    }

    class operator_class(KitSensor):
        def execute(self, context: Any) -> Any:
            return BaseSensorOperator.execute(self, context)


class UnlistedTrigger(KitTrigger):
    """No manifest knows it."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.UnlistedTrigger", super().serialize()[1]


class TestDefersToATriggerThatIsNotListed(Kit):
    breaks = {"test_it_defers_to_a_trigger_that_its_provider_lists"}

    class operator_class(KitSensor):
        def defer_to(self, trigger: Any) -> None:
            super().defer_to(UnlistedTrigger(**trigger.serialize()[1]))


class TestCannotGoOnAfterItsTriggerHasFired(Kit):
    breaks = {"test_deferred_it_goes_on_when_its_trigger_fires"}

    class operator_class(KitSensor):
        def execute_complete(self, context: Any, event: Any = None) -> None:
            raise LookupError(event["status"])


class TestResumesNowhere(Kit):
    breaks = {
        "test_it_defers_to_a_trigger_that_its_provider_lists",
        "test_deferred_it_goes_on_when_its_trigger_fires",
    }

    class operator_class(KitSensor):
        def defer_to(self, trigger: Any) -> None:
            from datetime import timedelta

            self.defer(trigger=trigger, method_name="nowhere", timeout=timedelta(seconds=self.timeout))
