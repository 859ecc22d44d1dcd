"""Checks of columns and tables: the usual questions, all of them answered by one query."""

# ruff: noqa: ANN401 - values of rows are the author's own
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from windlass.errors import AuthoringError
from windlass.operators import Context
from windlass_sql.operators import BaseSQLOperator

if TYPE_CHECKING:
    from windlass_sql.hook import DbApiHook

_COMPARISONS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "equal_to": lambda value, bound: value == bound,
    "greater_than": lambda value, bound: value > bound,
    "geq_to": lambda value, bound: value >= bound,
    "less_than": lambda value, bound: value < bound,
    "leq_to": lambda value, bound: value <= bound,
}
_WORDS = {"equal_to": "=", "greater_than": ">", "geq_to": ">=", "less_than": "<", "leq_to": "<="}
_CHECKS = {
    "null_check": "SUM(CASE WHEN {column} IS NULL THEN 1 ELSE 0 END)",
    "distinct_check": "COUNT(DISTINCT({column}))",
    "unique_check": "COUNT({column}) - COUNT(DISTINCT({column}))",
    "min": "MIN({column})",
    "max": "MAX({column})",
}


class SQLColumnCheckOperator(BaseSQLOperator):
    """Check columns of a table.

    ``column_mapping`` has for each column the checks, and for each check its conditions::

        {"amount": {"null_check": {"equal_to": 0}, "min": {"geq_to": 0}, "max": {"less_than": 100, "tolerance": 0.1}}}

    The checks are ``null_check`` (how many are NULL), ``distinct_check`` (how many values there are), ``unique_check``
    (how many are not unique), ``min`` and ``max``; the conditions ``equal_to``, ``greater_than``, ``geq_to``,
    ``less_than`` and ``leq_to``; ``tolerance`` moves their bounds outwards by a fraction, ``partition_clause`` is a
    WHERE for one check.

    :raises CheckFailed: naming every check that failed, with the value that it saw.
    """

    template_fields: Sequence[str] = ("table", "partition_clause", *BaseSQLOperator.template_fields)
    ui_color = "#fff7e6"
    column_checks: ClassVar[Mapping[str, str]] = _CHECKS

    def __init__(
        self,
        *,
        table: str,
        column_mapping: Mapping[str, Mapping[str, Mapping[str, Any]]],
        partition_clause: str | None = None,
        accept_none: bool = True,
        **kwargs: Any,
    ) -> None:
        """Declare the task.

        Args:
            table: the table.
            column_mapping: columns, their checks, and the conditions of each.
            partition_clause: a WHERE for all checks, without the word.
            accept_none: a check of no row passes, as if its value were 0.
            **kwargs: see BaseSQLOperator.
        """
        super().__init__(**kwargs)
        self.table = table
        self.column_mapping = column_mapping
        self.partition_clause = partition_clause
        self.accept_none = accept_none
        for column, checks in column_mapping.items():
            for check, conditions in checks.items():
                self._check_written(column, check, conditions)

    def _check_written(self, column: str, check: str, conditions: Mapping[str, Any]) -> None:
        who = f"check {self.task_id!r}, column {column!r}"
        if check not in _CHECKS:
            raise AuthoringError(f"{who}: there is no check {check!r}; there is {', '.join(_CHECKS)}")
        unknown = set(conditions) - set(_COMPARISONS) - {"tolerance", "partition_clause"}
        if unknown:
            raise AuthoringError(
                f"{who}: {check} has no condition {min(unknown)!r}; there is {', '.join(_COMPARISONS)}, besides "
                "tolerance and partition_clause"
            )
        if not set(conditions) & set(_COMPARISONS):
            raise AuthoringError(f"{who}: {check} has no condition; give one of {', '.join(_COMPARISONS)}")

    def execute(self, context: Context) -> None:
        """Ask for all values with one query, and judge each."""
        hook = self.get_db_hook()
        wanted = [(column, check) for column, checks in self.column_mapping.items() for check in checks]
        table, parts = hook.quote_table(self.table), []
        for number, (column, check) in enumerate(wanted):
            expression = _CHECKS[check].format(column=hook.quote_identifier(column))
            clause = _where(self.partition_clause, self.column_mapping[column][check].get("partition_clause"))
            parts.append(
                f"SELECT {number} AS check_number, {expression} AS check_result FROM {table}{clause}"  # noqa: S608 - names in quotes, clauses of the author's
            )
        found = _answers(hook, parts)
        problems = [
            problem
            for number, (column, check) in enumerate(wanted)
            if (problem := self._judge(column, check, found.get(number)))
        ]
        if problems:
            self.fail(f"check {self.task_id!r} of table {self.table!r} failed: {'; '.join(problems)}")
        self.log.info("%d checks passed", len(wanted))

    def _judge(self, column: str, check: str, value: Any) -> str:
        conditions = self.column_mapping[column][check]
        if value is None and not self.accept_none:
            return f"{check} of {column} has no value"
        number = Decimal(str(value)) if value is not None else Decimal(0)
        tolerance = Decimal(str(conditions.get("tolerance") or 0))
        for name, compare in _COMPARISONS.items():
            if name not in conditions:
                continue
            bound = Decimal(str(conditions[name]))
            margin = abs(bound) * tolerance
            if name == "equal_to":
                passed = abs(number - bound) <= margin
            else:
                passed = compare(number, bound - margin if name in {"greater_than", "geq_to"} else bound + margin)
            if not passed:
                within = f" within {float(tolerance):.2%}" if tolerance else ""
                return f"{check} of {column} is {value}, not {_WORDS[name]} {conditions[name]}{within}"
        return ""


class SQLTableCheckOperator(BaseSQLOperator):
    """Check statements about a table.

    ``checks`` has for each name a condition over the rows of the table, in SQL::

        {"row_count": {"check_statement": "COUNT(*) >= 1000"}, "sums": {"check_statement": "a + b = c"}}

    A condition without an aggregate must hold for every row. ``partition_clause`` is a WHERE for one check.

    :raises CheckFailed: naming every check that failed.
    """

    template_fields: Sequence[str] = ("table", "partition_clause", "checks", *BaseSQLOperator.template_fields)
    ui_color = "#fff7e6"

    def __init__(
        self,
        *,
        table: str,
        checks: Mapping[str, Mapping[str, Any]],
        partition_clause: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.checks = checks
        self.partition_clause = partition_clause
        for name, check in checks.items():
            if "check_statement" not in check:
                raise AuthoringError(f"check {self.task_id!r}: {name!r} has no check_statement; give its condition")

    def execute(self, context: Context) -> None:
        """Ask for all conditions with one query, and judge each."""
        hook = self.get_db_hook()
        names = list(self.checks)
        parts = [self._query(number, name, hook.quote_table(self.table)) for number, name in enumerate(names)]
        found = _answers(hook, parts)
        # NULL, for no row at all, is no proof that a condition holds.
        failed = [name for number, name in enumerate(names) if not found.get(number)]
        if failed:
            what = "; ".join(f"{name} ({self.checks[name]['check_statement']})" for name in failed)
            self.fail(f"check {self.task_id!r} of table {self.table!r} failed: {what}")
        self.log.info("%d checks passed", len(names))

    def _query(self, number: int, name: str, table: str) -> str:
        check = self.checks[name]
        clause = _where(self.partition_clause, check.get("partition_clause"))
        condition = f"CASE WHEN {check['check_statement']} THEN 1 ELSE 0 END AS held"
        inner = f"SELECT {condition} FROM {table}{clause}"  # noqa: S608 - names in quotes, conditions of the author's
        return f"SELECT {number} AS check_number, MIN(held) AS check_result FROM ({inner}) AS held_of_all"  # noqa: S608 - as above


def _answers(hook: DbApiHook, queries: Sequence[str]) -> dict[int, Any]:
    """Ask for everything at once; return the result of each query by the number that it selects first."""
    rows = hook.get_records(" UNION ALL ".join(queries))
    values = (list(row.values()) if isinstance(row, Mapping) else row for row in rows or [])
    return {int(number): result for number, result in values}


def _where(*clauses: str | None) -> str:
    given = [f"({clause})" for clause in clauses if clause]
    return f" WHERE {' AND '.join(given)}" if given else ""
