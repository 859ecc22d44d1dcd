"""SqlSensor: waits until a query says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from windlass.errors import AuthoringError, TaskFailed
from windlass.operators import Context
from windlass.sensors import BaseSensorOperator
from windlass_sql.operators import sql_hook

if TYPE_CHECKING:
    from windlass_sql.hook import DbApiHook


class SqlSensor(BaseSensorOperator):
    """Run a query until the first row of its result says that it is done.

    The value is what ``selector`` takes from that row, by default its first column. Without ``success`` any true value
    will do; the number 0, a text ``"0"`` and an empty one, and NULL are not true. No row is not done, either.
    """

    template_fields: Sequence[str] = ("sql", "parameters", "hook_params", "conn_id")
    template_ext: Sequence[str] = (".hql", ".sql")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    ui_color = "#7c7287"

    def __init__(
        self,
        *,
        conn_id: str,
        sql: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        success: Callable[[Any], object] | None = None,
        failure: Callable[[Any], object] | None = None,
        selector: Callable[[Any], Any] | None = None,
        fail_on_empty: bool = False,
        hook_params: Mapping[str, Any] | None = None,
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        """Declare the sensor.

        Args:
            conn_id: the connection.
            sql: the query.
            parameters: of the query.
            success: called with the value; something true ends the wait.
            failure: called with the value, before ``success``; something true fails the sensor for good.
            selector: takes the value from the first row; by default the first column.
            fail_on_empty: fail for good if there is no row.
            hook_params: more arguments of the hook.
            deferrable: let a trigger run the query, so that the task holds no process meanwhile. A trigger cannot call
                functions of a DAG file, so ``success``, ``failure`` and ``selector`` are not for it.
            **kwargs: see BaseSensorOperator.
        """
        super().__init__(**kwargs)
        if deferrable and (success, failure, selector) != (None, None, None):
            raise AuthoringError(
                f"sensor {self.task_id!r}: a trigger cannot call success, failure or selector; decide in sql, or use "
                "mode='reschedule' instead of deferrable"
            )
        self.conn_id = conn_id
        self.sql = sql
        self.parameters = parameters
        self.success = success
        self.failure = failure
        self.selector = selector
        self.fail_on_empty = fail_on_empty
        self.hook_params = hook_params
        self.deferrable = deferrable
        self._hook: DbApiHook | None = None

    def poke(self, context: Context) -> bool:
        """Run the query and judge its first row."""
        if self._hook is None:
            self._hook = sql_hook(f"sensor {self.task_id!r}", self.conn_id, None, self.hook_params)
        row = self._hook.get_first(self.sql, self.parameters)
        if not row:
            if self.fail_on_empty:
                raise self._empty()
            return False
        value = first_value(row) if self.selector is None else self.selector(row)
        if self.failure is not None and self.failure(value):
            raise TaskFailed(f"failure of sensor {self.task_id!r} holds for {value!r}")
        if self.success is not None:
            return bool(self.success(value))
        return _is_true(value)

    def execute(self, context: Context) -> object:
        """Look here, or defer until the query says so."""
        if self.deferrable and not self.poke(context):
            from windlass_sql.triggers import SqlTrigger

            self.defer_to(
                SqlTrigger(
                    self.conn_id,
                    self.sql,
                    parameters=self.parameters,
                    hook_params=self.hook_params,
                    fires_on_empty=self.fail_on_empty,
                    poke_interval=self.poke_interval,
                )
            )
        return None if self.deferrable else super().execute(context)

    def execute_complete(self, context: Context, event: Mapping[str, bool] | None = None) -> None:
        """Go on, or fail for good if the trigger has found no row."""
        if event is not None and event["is_empty"]:
            raise self._empty()

    def _empty(self) -> TaskFailed:
        return TaskFailed(f"the query of sensor {self.task_id!r} has no row, and fail_on_empty is set")

    def on_kill(self) -> None:
        """Cancel the query that is running in the database."""
        if self._hook is not None:
            self._hook.cancel()


def is_true(row: Any) -> bool:  # noqa: ANN401 - a row of any driver
    """Return whether the first value of a row is true: not NULL, 0, ``"0"`` or empty."""
    return _is_true(first_value(row))


def first_value(row: Any) -> Any:  # noqa: ANN401 - a row of any driver
    """Return the first column of a row, also where rows are dicts."""
    return next(iter(row.values())) if isinstance(row, Mapping) else row[0]


def _is_true(value: object) -> bool:
    return str(value) not in {"0", ""} and bool(value)
