"""SqlSensor: waits until a query says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from windlass.errors import TaskFailed
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
        selector: Callable[[Any], Any] = itemgetter(0),
        fail_on_empty: bool = False,
        hook_params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Declare the sensor.

        Args:
            conn_id: the connection.
            sql: the query.
            parameters: of the query.
            success: called with the value; something true ends the wait.
            failure: called with the value, before ``success``; something true fails the sensor for good.
            selector: takes the value from the first row.
            fail_on_empty: fail for good if there is no row.
            hook_params: more arguments of the hook.
            **kwargs: see BaseSensorOperator.
        """
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.sql = sql
        self.parameters = parameters
        self.success = success
        self.failure = failure
        self.selector = selector
        self.fail_on_empty = fail_on_empty
        self.hook_params = hook_params
        self._hook: DbApiHook | None = None

    def poke(self, context: Context) -> bool:
        """Run the query and judge its first row."""
        if self._hook is None:
            self._hook = sql_hook(f"sensor {self.task_id!r}", self.conn_id, None, self.hook_params)
        row = self._hook.get_first(self.sql, self.parameters)
        if not row:
            if self.fail_on_empty:
                raise TaskFailed(f"the query of sensor {self.task_id!r} has no row, and fail_on_empty is set")
            return False
        value = self.selector(row)
        if self.failure is not None and self.failure(value):
            raise TaskFailed(f"failure of sensor {self.task_id!r} holds for {value!r}")
        if self.success is not None:
            return bool(self.success(value))
        return str(value) not in {"0", ""} and bool(value)

    def on_kill(self) -> None:
        """Cancel the query that is running in the database."""
        if self._hook is not None:
            self._hook.cancel()
