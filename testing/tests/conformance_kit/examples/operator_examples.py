"""Operators that OperatorSuite must reject, each the example's with one thing wrong; the first two are sound."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from variants import provider, server

from windlass.hooks import BaseHook
from windlass.operators import BaseOperator
from windlass_testing.conformance import OperatorSuite

provider("kit")
SERVER = server("kit")
SERVER.guests = {"Ada"}

from windlass_kit.operators import KitOperator  # noqa: E402 - it was installed just now
from windlass_kit.triggers import KitTrigger  # noqa: E402


class Kit(OperatorSuite):
    """Its server answers."""

    arguments: Mapping[str, Any] = {"name": "Ada"}
    result = "Kit, Ada"
    conn_id_argument = "kit_conn_id"

    @pytest.fixture
    def connections(self) -> Mapping[str, Any]:
        return {"kit_default": SERVER.uri}

    @pytest.fixture
    def failing_connection(self) -> str:
        return "kit://ada@127.0.0.1:1"


class TestSound(Kit):
    breaks: set[str] = set()
    operator_class = KitOperator


class Sleeper(KitOperator):
    """Starts something that would outlive it, and ends that when it is killed."""

    def __init__(self, *, pid_file: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pid_file = pid_file

    def execute(self, context: Any) -> str:
        if not self.pid_file:
            return super().execute(context)
        self.process = subprocess.Popen(["sleep", "600"], start_new_session=True)
        Path(self.pid_file).write_text(str(self.process.pid))
        self.process.wait()
        return ""

    def on_kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Careless(Sleeper):
    """Lets what it has started go on."""

    def on_kill(self) -> None:
        self.process.returncode = 0  # nobody waits for it


class Killable(Kit):
    @pytest.fixture
    def endless_arguments(self, tmp_path: Path) -> Iterator[Mapping[str, Any]]:
        self.pid_file = tmp_path / "pid"
        yield {"pid_file": str(self.pid_file)}
        if self.pid_file.exists() and not self.is_gone():
            os.kill(int(self.pid_file.read_text()), signal.SIGKILL)

    def is_at_work(self) -> bool:
        return self.pid_file.exists() and bool(self.pid_file.read_text())

    def is_gone(self) -> bool:
        return not Path(f"/proc/{self.pid_file.read_text()}").exists()


class TestSoundWhenKilled(Killable):
    breaks: set[str] = set()
    operator_class = Sleeper


class TestLeavesItsWorkRunning(Killable):
    breaks = {"test_when_it_is_killed_its_work_ends"}
    operator_class = Careless
    patience = 3.0


class TestIsAnotherOneEachTime(Kit):
    breaks = {"test_a_dag_file_can_declare_it"}

    class operator_class(KitOperator):
        count = itertools.count()

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**{"doc_md": str(next(self.count)), **kwargs})


class TestAsksForItsConnectionInADagFile(Kit):
    breaks = {
        "test_a_dag_file_can_declare_it",
        "test_it_takes_all_arguments_of_every_operator",
        "test_default_args_reach_it",
        "test_it_can_be_mapped",
        "test_its_template_fields_are_attributes",
        "test_a_template_field_is_kept_as_it_was_given",
        "test_its_template_fields_are_rendered",
        "test_a_template_field_takes_the_result_of_another_task",
        "test_it_does_its_work",
        "test_a_connection_that_is_not_there_is_named",
        "test_a_connection_that_fails_is_named_without_its_secrets",
        "test_a_mistyped_argument_is_refused_with_the_right_one",
    }

    class operator_class(KitOperator):
        def __init__(self, *, name: str, kit_conn_id: str = "kit_default", **kwargs: Any) -> None:
            self.host = BaseHook.get_connection(kit_conn_id).host
            super().__init__(name=name, kit_conn_id=kit_conn_id, **kwargs)


class TestSwallowsArguments(Kit):
    breaks = {
        "test_a_mistyped_argument_is_refused_with_the_right_one",
        "test_it_takes_all_arguments_of_every_operator",
    }

    class operator_class(KitOperator):
        def __init__(self, *, task_id: str, name: str, kit_conn_id: str = "kit_default", **kwargs: Any) -> None:
            super().__init__(task_id=task_id, name=name, kit_conn_id=kit_conn_id)


class TestSetsWhatTheDagDecides(Kit):
    breaks = {"test_default_args_reach_it", "test_it_takes_all_arguments_of_every_operator"}

    class operator_class(KitOperator):
        def __init__(self, *, name: str, **kwargs: Any) -> None:
            super().__init__(name=name, **{**kwargs, "retries": 1})


class TestCannotBeMapped(Kit):
    breaks = {"test_it_can_be_mapped"}

    class operator_class(KitOperator):
        @classmethod
        def partial(cls, **kwargs: Any) -> Any:
            raise NotImplementedError


class TestHasATemplateFieldThatIsNotThere(Kit):
    breaks = {
        "test_its_template_fields_are_attributes",
        "test_its_template_fields_are_rendered",
        "test_a_dag_file_can_declare_it",
        "test_it_does_its_work",
        "test_a_connection_that_is_not_there_is_named",
        "test_a_connection_that_fails_is_named_without_its_secrets",
    }

    class operator_class(KitOperator):
        template_fields = ("name", "absent")


class TestStripsATemplate(Kit):
    breaks = {
        "test_a_template_field_is_kept_as_it_was_given",
        "test_a_template_field_takes_the_result_of_another_task",
    }

    class operator_class(KitOperator):
        def __init__(self, *, name: str, **kwargs: Any) -> None:
            super().__init__(name=name.strip(), **kwargs)


class TestKeepsATemplateFromBeingRendered(Kit):
    breaks = {"test_its_template_fields_are_rendered"}

    class operator_class(KitOperator):
        def __setattr__(self, attribute: str, value: object) -> None:
            if attribute != "name" or not hasattr(self, "name"):
                super().__setattr__(attribute, value)


class TestRefusesTheResultOfAnotherTask(Kit):
    breaks = {"test_a_template_field_takes_the_result_of_another_task"}

    class operator_class(KitOperator):
        def __init__(self, *, name: str, **kwargs: Any) -> None:
            if not isinstance(name, str):
                raise TypeError("name must be a text")
            super().__init__(name=name, **kwargs)


class Deferring(KitOperator):
    """Leaves the waiting to a trigger."""

    def __init__(self, *, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    def trigger(self) -> KitTrigger:
        return KitTrigger("Ada", self.kit_conn_id, 0.01)

    def execute(self, context: Any) -> str:
        if self.deferrable:
            self.defer(trigger=self.trigger(), method_name="go_on")
        return super().execute(context)

    def go_on(self, context: Any, event: str) -> str:
        return f"Kit, {event}"


class TestSoundWhenDeferred(Kit):
    breaks: set[str] = set()
    operator_class = Deferring


class UnlistedTrigger(KitTrigger):
    """No manifest knows it."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.UnlistedTrigger", super().serialize()[1]


class TestDefersToATriggerThatIsNotListed(Kit):
    breaks = {"test_deferred_it_does_the_same_work"}

    class operator_class(Deferring):
        def trigger(self) -> KitTrigger:
            return UnlistedTrigger("Ada", self.kit_conn_id, 0.01)


class TestReturnsSomethingElseAfterADeferral(Kit):
    breaks = {"test_deferred_it_does_the_same_work"}

    class operator_class(Deferring):
        def go_on(self, context: Any, event: str) -> str:
            return event


class TestReturnsSomethingElse(Kit):
    breaks = {"test_it_does_its_work"}

    class operator_class(KitOperator):
        def execute(self, context: Any) -> str:
            return super().execute(context).upper()


class TestFailsWithoutAReason(Kit):
    breaks = {
        "test_a_connection_that_is_not_there_is_named",
        "test_a_connection_that_fails_is_named_without_its_secrets",
    }

    class operator_class(KitOperator):
        def execute(self, context: Any) -> str:
            try:
                return super().execute(context)
            except Exception:
                raise RuntimeError("it failed") from None


class TestLogsThePassword(Kit):
    breaks = {"test_a_connection_that_fails_is_named_without_its_secrets"}

    class operator_class(KitOperator):
        def execute(self, context: Any) -> str:
            self.log.info("connecting as %r", BaseHook.get_connection(self.kit_conn_id).to_fields())
            return super().execute(context)


class TestIgnoresAConnectionThatFails(Kit):
    breaks = {
        "test_a_connection_that_is_not_there_is_named",
        "test_a_connection_that_fails_is_named_without_its_secrets",
    }

    class operator_class(KitOperator):
        def execute(self, context: Any) -> str:
            try:
                return super().execute(context)
            except Exception:
                return ""


assert issubclass(KitOperator, BaseOperator)
