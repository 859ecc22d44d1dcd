"""Checks: tasks that fail when data is not what it should be, by a query of one's own.

:mod:`windlass_sql.column_checks` makes the queries for the usual questions about columns and tables.
"""

# ruff: noqa: ANN401 - values of rows are the author's own
from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from windlass.errors import AuthoringError
from windlass.operators import Context
from windlass_sql.column_checks import SQLColumnCheckOperator as SQLColumnCheckOperator
from windlass_sql.column_checks import SQLTableCheckOperator as SQLTableCheckOperator
from windlass_sql.column_checks import exact, mapping
from windlass_sql.operators import BaseSQLOperator


def _row(row: Any) -> Sequence[Any]:
    """Return the values of a row, whatever kind of cursor it came from."""
    return list(row.values()) if isinstance(row, Mapping) else row


class _QueryCheck(BaseSQLOperator):
    """A check of the first row of one query."""

    template_fields: Sequence[str] = ("sql", *BaseSQLOperator.template_fields)
    template_ext: Sequence[str] = (".hql", ".sql")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    ui_color = "#fff7e6"

    def __init__(self, *, sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sql = sql
        self.parameters = parameters

    def first_row(self) -> Sequence[Any]:
        """Return the first row of the query; fail if there is none."""
        row = self.get_db_hook().get_first(self.sql, self.parameters)
        if not row:
            self.fail(f"check {self.task_id!r} failed: the query returned no row: {self.sql}")
        return _row(row)


class SQLCheckOperator(_QueryCheck):
    """Fail unless every value in the first row of a query is true: not NULL, 0, False or an empty text.

    :raises CheckFailed: if one is not, or there is no row.
    """

    def execute(self, context: Context) -> None:
        """Run the query and judge its first row."""
        row = self.first_row()
        if not all(row):
            self.fail(f"check {self.task_id!r} failed: not every value of {tuple(row)!r} is true: {self.sql}")
        self.log.info("check passed: %s", tuple(row))


class SQLValueCheckOperator(_QueryCheck):
    """Fail unless every value in the first row of a query is ``pass_value``.

    Numbers may differ by ``tolerance``, a fraction: 0.1 lets pass what lies within 10 %.

    :raises CheckFailed: if one is another, or there is no row.
    """

    template_fields: Sequence[str] = ("pass_value", *_QueryCheck.template_fields)

    def __init__(self, *, pass_value: Any, tolerance: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pass_value = pass_value
        self.tolerance = tolerance
        if tolerance is not None and tolerance < 0:
            raise AuthoringError(f"check {self.task_id!r}: tolerance is a fraction such as 0.1, not {tolerance!r}")

    def execute(self, context: Context) -> None:
        """Run the query and compare its first row."""
        row = self.first_row()
        wanted = _number(self.pass_value)
        if wanted is None:
            passed = all(str(value) == str(self.pass_value) for value in row)
        else:
            given = [_number(value) for value in row]
            margin = abs(wanted) * Decimal(str(self.tolerance or 0))
            passed = all(value is not None and abs(value - wanted) <= margin for value in given)
        if not passed:
            within = f" within {self.tolerance:.2%}" if self.tolerance else ""
            self.fail(f"check {self.task_id!r} failed: {tuple(row)!r} is not {self.pass_value!r}{within}: {self.sql}")
        self.log.info("check passed: %s", tuple(row))


class SQLThresholdCheckOperator(_QueryCheck):
    """Fail unless the first value of a query lies between two thresholds, bounds included.

    A threshold is a number, or a query for one.

    :raises CheckFailed: if it does not, or is no number.
    """

    template_fields: Sequence[str] = ("min_threshold", "max_threshold", *_QueryCheck.template_fields)

    def __init__(self, *, min_threshold: Any, max_threshold: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_threshold = min_threshold
        self.max_threshold = max_threshold

    def execute(self, context: Context) -> None:
        """Run the query, and those of the thresholds, and compare."""
        value = _number(self.first_row()[0])
        low, high = self._bound("min_threshold", self.min_threshold), self._bound("max_threshold", self.max_threshold)
        if value is None or not low <= value <= high:
            self.fail(f"check {self.task_id!r} failed: {value} is not between {low} and {high}: {self.sql}")
        self.log.info("check passed: %s is between %s and %s", value, low, high)

    def _bound(self, name: str, threshold: Any) -> Decimal:
        number = _number(threshold)
        if number is None and isinstance(threshold, str):
            row = self.get_db_hook().get_first(threshold)
            number = _number(_row(row)[0]) if row else None
        if number is None:
            self.fail(f"check {self.task_id!r} failed: its {name} is no number: {threshold}")
        return number or Decimal(0)


class SQLIntervalCheckOperator(BaseSQLOperator):
    """Fail if a metric of a table has changed too much against some days before.

    For each expression in ``metrics_thresholds`` the value on ``ds`` is compared with the one ``days_back`` days from
    it: ``max_over_min`` is the larger divided by the smaller and must stay below the threshold, and so must
    ``relative_diff``, their difference divided by the older one. A value that is missing or 0 is let pass with
    ``ignore_zero``, and else fails.

    :raises CheckFailed: naming every metric that has changed too much.
    """

    template_fields: Sequence[str] = ("table", "metrics_thresholds", *BaseSQLOperator.template_fields)
    ui_color = "#fff7e6"
    ratio_formulas: ClassVar[tuple[str, ...]] = ("max_over_min", "relative_diff")

    def __init__(
        self,
        *,
        table: str,
        metrics_thresholds: Mapping[str, float],
        date_filter_column: str = "ds",
        days_back: int = -7,
        ratio_formula: str = "max_over_min",
        ignore_zero: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if ratio_formula not in self.ratio_formulas:
            raise AuthoringError(
                f"check {self.task_id!r}: ratio_formula {ratio_formula!r} is none of {', '.join(self.ratio_formulas)}"
            )
        self.table = table
        self.metrics_thresholds = metrics_thresholds
        self.date_filter_column = date_filter_column
        self.days_back = -abs(days_back)
        self.ratio_formula = ratio_formula
        self.ignore_zero = ignore_zero

    def execute(self, context: Context) -> None:
        """Compare the metrics of the day of the run with those of the day before it."""
        from windlass_sql.intervals import day_and_before

        metrics = sorted(mapping(f"check {self.task_id!r}: metrics_thresholds", self.metrics_thresholds))
        hook = self.get_db_hook()
        column = hook.quote_identifier(self.date_filter_column)
        query = f"SELECT {', '.join(metrics)} FROM {hook.quote_table(self.table)} WHERE {column} = {hook.placeholder}"  # noqa: S608 - expressions of the author's, names in quotes
        days = day_and_before(context, self.days_back)
        now, then = ([_number(value) for value in _row(hook.get_first(query, (day,)) or [])] for day in days)
        if not now or not then:
            self.fail(f"check {self.task_id!r} failed: table {self.table!r} has no row for {' or '.join(days)}")
        problems = [
            problem
            for metric, value, older in zip(metrics, now, then, strict=True)
            if (problem := self._judge(metric, value, older))
        ]
        if problems:
            self.fail(f"check {self.task_id!r} failed for {days[0]} against {days[1]}: {'; '.join(problems)}")

    def _judge(self, metric: str, value: Decimal | None, older: Decimal | None) -> str:
        who = f"check {self.task_id!r}: the threshold of {metric}"
        threshold = exact(who, self.metrics_thresholds[metric])
        said = f"{metric} was {older} and is {value}"
        if not value or not older:
            return "" if self.ignore_zero else f"{said}, and 0 is not ignored"
        if self.ratio_formula == "max_over_min":
            ratio = max(value, older) / min(value, older)
        else:
            ratio = abs(value - older) / abs(older)
        self.log.info("%s: %s is %.4f, to be below %s", said, self.ratio_formula, ratio, threshold)
        return "" if ratio < threshold else f"{said}: {self.ratio_formula} is {ratio:.4f}, not below {threshold}"


def _number(value: Any) -> Decimal | None:
    """Return a value as an exact number, None if it is none."""
    if value is None or isinstance(value, bytes):
        return None
    try:
        number = Decimal(str(int(value) if isinstance(value, bool) else value).strip())
    except ArithmeticError:
        return None
    return number if number.is_finite() else None
