"""Checks of columns and tables: the usual questions, all of them answered by one query."""

# ruff: noqa: ANN401 - values of rows are the author's own
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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

    template_fields: Sequence[str] = ("table", "partition_clause", "column_mapping", *BaseSQLOperator.template_fields)
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
        for column, checks in _known(column_mapping):
            for check, conditions in _known(checks):
                self._check_written(column, check, conditions)

    def _check_written(self, column: str, check: str, conditions: Any) -> None:
        who = f"check {self.task_id!r}, column {column!r}"
        if check not in _CHECKS:
            raise AuthoringError(f"{who}: there is no check {check!r}; there is {', '.join(_CHECKS)}")
        if not isinstance(conditions, Mapping):  # known when the task runs
            return
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
        wanted = self._wanted()
        hook = self.get_db_hook()
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

    def _wanted(self) -> list[tuple[str, str]]:
        """Return columns and their checks, now that all of them are known.

        :raises AuthoringError: if what a task or a template has given is no mapping of columns to checks.
        """
        who, found = f"check {self.task_id!r}", list[tuple[str, str]]()
        for column, checks in mapping(f"{who}: column_mapping", self.column_mapping).items():
            for check, conditions in mapping(f"{who}: column_mapping of {column!r}", checks).items():
                self._check_written(column, check, mapping(f"{who}: {check} of {column!r}", conditions))
                found.append((column, check))
        return found

    def _judge(self, column: str, check: str, value: Any) -> str:
        conditions = self.column_mapping[column][check]
        if value is None and not self.accept_none:
            return f"{check} of {column} has no value"
        try:
            number = Decimal(str(value)) if value is not None else Decimal(0)
        except ArithmeticError:
            return f"{check} of {column} is {value!r}, which is no number"
        who = f"check {self.task_id!r}, column {column!r}: {check}"
        tolerance = exact(f"{who}: tolerance", conditions.get("tolerance") or 0)
        for name, compare in _COMPARISONS.items():
            if name not in conditions:
                continue
            bound = exact(f"{who}: {name}", conditions[name])
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
        for name, check in _known(checks):
            self._check_written(name, check)

    def _check_written(self, name: str, check: Any) -> None:
        if isinstance(check, Mapping) and "check_statement" not in check:
            raise AuthoringError(f"check {self.task_id!r}: {name!r} has no check_statement; give its condition")

    def execute(self, context: Context) -> None:
        """Ask for all conditions with one query, and judge each."""
        who = f"check {self.task_id!r}"
        for name, check in mapping(f"{who}: checks", self.checks).items():
            self._check_written(name, mapping(f"{who}: {name!r} of checks", check))
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


def _known(given: Any) -> Iterable[tuple[str, Any]]:
    """Return what is known of a dict in a DAG file: nothing if another task or a template is to give it."""
    return given.items() if isinstance(given, Mapping) else ()


def exact(what: str, given: Any) -> Decimal:
    """Return a number of the author's.

    :raises AuthoringError: if it is none.
    """
    try:
        return Decimal(str(given))
    except ArithmeticError:
        raise AuthoringError(f"{what} must be a number, not {given!r}") from None


def mapping(what: str, given: Any) -> Mapping[str, Any]:
    """Return a dict that is known now.

    :raises AuthoringError: if it is none.
    """
    if not isinstance(given, Mapping):
        hint = "; a template gives one with render_template_as_native_obj=True" if isinstance(given, str) else ""
        raise AuthoringError(f"{what} must be a dict, not {given!r}{hint}")
    return given


def _answers(hook: DbApiHook, queries: Sequence[str]) -> dict[int, Any]:
    """Ask for everything at once; return the result of each query by the number that it selects first."""
    rows = hook.get_records(" UNION ALL ".join(queries))
    values = (list(row.values()) if isinstance(row, Mapping) else row for row in rows or [])
    return {int(number): result for number, result in values}


def _where(*clauses: str | None) -> str:
    given = [f"({clause})" for clause in clauses if clause]
    return f" WHERE {' AND '.join(given)}" if given else ""
