"""OperatorSuite: an operator as DAG files declare it, as the engine runs it, and as it ends when it is killed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, final

import pytest

from windlass import DAG
from windlass.authoring.arguments import signature
from windlass.authoring.operator import OperatorMeta, argument_names
from windlass.errors import AuthoringError
from windlass.operators import BaseOperator, PythonOperator
from windlass.registry import registry
from windlass_testing.conformance.corpus import SECRETS, leaks, sentence_complaints
from windlass_testing.conformance.hook import CONN_ID
from windlass_testing.conformance.killing import Killed
from windlass_testing.conformance.suite import Suite, must_give
from windlass_testing.conformance.trigger import round_trip_complaints
from windlass_testing.fixtures import ConnectionLike, RunTask, made

_WORD: Final = "rendered-by-conformance"
#: With space around it, so that an ``__init__`` that strips a text is found out.
_TEMPLATE: Final = " {{ params.conformance }} "


class OperatorSuite(Suite):
    """Checks an operator.

    A subclass::

        class TestHelloOperator(OperatorSuite):
            operator_class = HelloOperator
            arguments = {"name": "Ada"}
            result = "Hello, Ada"

            @pytest.fixture
            def connections(self, hello_server):
                return {"hello_default": f"hello://127.0.0.1:{hello_server.port}"}
    """

    #: The class under test.
    operator_class: type[BaseOperator]
    #: Arguments with which it runs and succeeds; ``task_id`` is given by the suite.
    arguments: Mapping[str, Any]
    #: What it returns with these arguments. ``...``: anything that an XCom can hold.
    result: Any = ...
    #: Template field -> a value to try it with that holds ``{{ params.conformance }}``, where a text does not do.
    template_values: Mapping[str, Any] = {}
    #: Template field -> the arguments, over the others, beside which it is tried, where it does not go with all of
    #: them: ``{"path": {"text": None}}`` for an operator that takes either a path or a text.
    template_arguments: Mapping[str, Mapping[str, Any]] = {}
    #: Seconds within which its work must begin, and be gone once it was killed.
    patience: float = 30.0
    #: The argument that names its connection, by which ``failing_connection`` is handed in. None: it has none. One that
    #: has two is tried by each, in a subclass of its suite: the other one works.
    conn_id_argument: str | None = None

    @pytest.fixture
    def connections(self) -> Mapping[str, ConnectionLike]:
        """Return the connections with which it succeeds, by id. Override it."""
        return {}

    @pytest.fixture
    def failing_connection(self) -> ConnectionLike:
        """Return a connection that cannot work; see :meth:`HookSuite.failing_connection`. Override it."""
        must_give(self, "the fixture failing_connection, because it has a conn_id_argument")

    @pytest.fixture
    def endless_arguments(self) -> Mapping[str, Any] | None:
        """Return arguments, JSON values all, with which it works until it is killed. Override it.

        None, the default, says that it does nothing that could go on outside of its process.
        """
        return None

    @final
    def make(self, **more: Any) -> BaseOperator:
        """Return an operator with the suite's arguments and ``more``."""
        return self.operator_class(**{"task_id": "under_test", **self.arguments, **more})

    def is_at_work(self) -> bool:
        """Return whether the work of ``endless_arguments`` has begun, wherever it is done. Override it."""
        must_give(self, "is_at_work(), because it has endless_arguments")

    def is_gone(self) -> bool:
        """Return whether nothing of that work is left, once its task was killed. Override it."""
        must_give(self, "is_gone(), because it has endless_arguments")

    # --- In a DAG file

    def test_a_dag_file_can_declare_it(self) -> None:
        """It is made where there is no connection and no task, and its DAG becomes the same spec every time."""

        def spec() -> object:
            with DAG("conformance", schedule=None) as dag:
                self.make()
            return dag.to_spec()

        assert spec() == spec()

    def test_a_mistyped_argument_is_refused_with_the_right_one(self) -> None:
        """Each of its own arguments, mistyped, is an error that names both."""
        for name in _own_arguments(self.operator_class):
            mistyped = f"{name}_"
            with pytest.raises((AuthoringError, TypeError)) as caught:
                self.make(**{mistyped: None})
            assert mistyped in str(caught.value), f"{caught.value} does not name {mistyped}"
            assert f"'{name}'" in str(caught.value), f"{caught.value} does not suggest {name}"

    def test_it_takes_all_arguments_of_every_operator(self) -> None:
        """`**kwargs` reach the base class: retries, pools and the like work."""
        made_so = self.make(retries=3, pool="conformance", doc_md="Text")
        assert (made_so.retries, made_so.pool, made_so.doc_md) == (3, "conformance", "Text")

    def test_default_args_reach_it(self) -> None:
        """What the DAG gives its operators by default is taken."""
        with DAG("conformance", schedule=None, default_args={"retries": 4, **self.arguments}):
            operator = self.operator_class(task_id="under_test")
        assert operator.retries == 4

    def test_it_can_be_mapped(self) -> None:
        """Of `partial(…).expand(…)` over one of its arguments an instance can be made."""
        for name, value in self.arguments.items():
            partial = {other: given for other, given in self.arguments.items() if other != name}
            with DAG("conformance", schedule=None):
                mapped = self.operator_class.partial(task_id="under_test", **partial).expand(**{name: [value]})
            assert mapped.unmap({name: value}).task_id == "under_test"

    # --- Templates

    def test_its_template_fields_are_attributes(self) -> None:
        """Each is there after `__init__`, so that rendering finds it."""
        operator = self.make()
        assert not [name for name in operator.template_fields if not hasattr(operator, name)]

    def test_a_template_field_is_kept_as_it_was_given(self) -> None:
        """`__init__` stores it unchanged: at that time it may still be a template, or another task's result."""
        for name in self._settable_fields():
            value = self._template_of(name)
            operator = self.make(**self._beside(name), **{name: value})
            assert getattr(operator, name) == value, f"__init__ changes the template field {name}"

    def test_its_template_fields_are_rendered(self, run_task: RunTask) -> None:
        """Each holds the rendered value when `execute` is called."""
        for name in self._settable_fields():
            with DAG("conformance", schedule=None, params={"conformance": _WORD}):
                operator = _until_execute(self.operator_class)(
                    **{"task_id": "under_test", **self.arguments, **self._beside(name), name: self._template_of(name)}
                )
            done = run_task(operator)
            assert done.state == "success", done.reason
            seen = repr(operator.seen[name])
            assert _WORD in seen, f"{name} is {seen} in execute"
            assert "{{" not in seen, f"{name} is {seen} in execute"

    def test_a_template_field_takes_the_result_of_another_task(self) -> None:
        """Given `other.output`, the operator depends on that task and waits with looking at the value."""
        for name in self._settable_fields():
            with DAG("conformance", schedule=None):
                upstream = PythonOperator(task_id="upstream", python_callable=str)
                operator = self.make(**self._beside(name), **{name: upstream.output})
            assert operator.upstream_task_ids == {"upstream"}, name

    # --- Its work

    def test_it_does_its_work(self, run_task: RunTask, connections: Mapping[str, ConnectionLike]) -> None:
        """With the arguments of the suite it succeeds, and returns what the suite says."""
        done = run_task(self.make(), connections=connections)
        assert done.state == "success", done.log
        if self.result is not ...:
            assert done.result == self.result

    def test_deferred_it_does_the_same_work(self, run_task: RunTask, connections: Mapping[str, ConnectionLike]) -> None:
        """With `deferrable=True` it returns the same, and defers only to triggers that its provider lists."""
        if "deferrable" not in argument_names(self.operator_class):
            pytest.skip("it has no argument deferrable")
        operator = _noting(self.operator_class)(**{"task_id": "under_test", **self.arguments, "deferrable": True})
        done = run_task(operator, connections=connections)
        assert done.state == "success", done.log
        if self.result is not ...:
            assert done.result == self.result
        for trigger in operator.noted:
            name, _ = trigger.serialize()
            assert registry().find("triggers", name) is not None, f"no manifest lists the trigger {name}"
            assert not round_trip_complaints(trigger)

    def test_a_connection_that_is_not_there_is_named(self, run_task: RunTask, request: pytest.FixtureRequest) -> None:
        """The reason of the failure is a sentence with the connection's id; whatever else it uses is there."""
        name = self.conn_id_argument
        if name is None:
            pytest.skip("it uses no connection: conn_id_argument is None")
        done = run_task(self.make(**{name: CONN_ID}), connections=request.getfixturevalue("connections"))
        assert done.state == "failed"
        assert not sentence_complaints(done.reason or "", CONN_ID), f"the reason is: {done.reason}"

    @pytest.mark.parametrize("kind", SECRETS)
    def test_a_connection_that_fails_is_named_without_its_secrets(
        self, run_task: RunTask, request: pytest.FixtureRequest, kind: str
    ) -> None:
        """Neither the reason nor the log of the task, before any masking, holds the password."""
        name = self.conn_id_argument
        if name is None:
            pytest.skip("it uses no connection: conn_id_argument is None")
        failing = made(CONN_ID, request.getfixturevalue("failing_connection"))
        fields = {**failing.to_fields(), "password": SECRETS[kind]}
        others = request.getfixturevalue("connections")
        done = run_task(self.make(**{name: CONN_ID}), connections={**others, CONN_ID: fields})
        assert done.state == "failed", done.log
        assert not sentence_complaints(done.reason or "", CONN_ID), f"the reason is: {done.reason}"
        assert not leaks(f"{done.reason}\n{done.log}", [SECRETS[kind]])

    # --- Its end

    @pytest.mark.processes
    def test_when_it_is_killed_its_work_ends(
        self, connections: Mapping[str, ConnectionLike], endless_arguments: Mapping[str, Any] | None
    ) -> None:
        """SIGTERM calls `on_kill`, and nothing of the work is left, in this machine or elsewhere."""
        if endless_arguments is None:
            pytest.skip("it leaves nothing outside its process: endless_arguments is None")
        with Killed(self.operator_class, {**self.arguments, **endless_arguments}, connections) as task:
            task.wait(self.is_at_work, "the work to begin", self.patience)
            task.kill(self.patience)
            task.wait(self.is_gone, "the work to be gone", self.patience)

    def _settable_fields(self) -> list[str]:
        """The template fields that are arguments as well; what an operator makes itself is rendered the same."""
        names = argument_names(self.operator_class)
        return [name for name in self.operator_class.template_fields if name in names]

    def _beside(self, name: str) -> Mapping[str, Any]:
        return self.template_arguments.get(name, {})

    def _template_of(self, name: str) -> Any:  # noqa: ANN401 - whatever the field takes
        return self.template_values.get(name, _TEMPLATE)


def _own_arguments(cls: type[BaseOperator]) -> list[str]:
    """Return the arguments that the class and its bases above BaseOperator add."""
    common = set(signature(BaseOperator.__init__).names)
    return [name for name in argument_names(cls) if name not in common]


def _noting(cls: type[BaseOperator]) -> Any:  # noqa: ANN401 - a class made here has no static name
    """Return the class with a ``defer`` that notes its trigger before it leaves."""

    def defer(self: Any, **deferral: Any) -> None:  # noqa: ANN401 - of the class made below
        self.noted.append(deferral["trigger"])
        cls.defer(self, **deferral)

    return OperatorMeta(cls.__name__, (cls,), {"defer": defer, "noted": [], "__module__": cls.__module__})


def _until_execute(cls: type[BaseOperator]) -> Any:  # noqa: ANN401 - a class made here has no static name
    """Return the class with an ``execute`` that only remembers its template fields, rendered by then."""

    def execute(self: Any, _context: Mapping[str, Any]) -> None:  # noqa: ANN401 - of the class made below
        self.seen.update({name: getattr(self, name, None) for name in self.template_fields})

    return OperatorMeta(cls.__name__, (cls,), {"execute": execute, "seen": {}, "__module__": cls.__module__})
