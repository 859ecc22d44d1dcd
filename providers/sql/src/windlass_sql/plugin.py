"""The manifest of windlass-sql."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl

_OPERATORS = ("BranchSQLOperator", "SQLExecuteQueryOperator", "SQLInsertRowsOperator")
_CHECKS = (
    "SQLCheckOperator", "SQLColumnCheckOperator", "SQLIntervalCheckOperator", "SQLTableCheckOperator",
    "SQLThresholdCheckOperator", "SQLValueCheckOperator",
)  # fmt: skip


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="sql",
        description="What SQL databases share: operators, sensors, checks, transfers and the hook they use.",
        connection_types=(
            ConnectionType(
                conn_type="sqlite",
                label="SQLite",
                hook="windlass_sql.sqlite:SqliteHook",
                description="A SQLite database: a file on the machine that runs the task.",
                fields=(
                    ConnectionField(name="host", label="File", description="Path of the database."),
                    ConnectionField(name="schema", label="File", description="The same; /data/a.db in a URI's path."),
                    ConnectionField(
                        name="timeout", kind="float", default=5.0,
                        description="Seconds to wait while another process writes.",
                    ),
                    ConnectionField(
                        name="read_only", kind="bool", default=False, description="Never write, nor make the file."
                    ),
                    ConnectionField(
                        name="foreign_keys", kind="bool", default=True, description="Enforce foreign keys."
                    ),
                ),
            ),
        ),
        hooks={"DbApiHook": "windlass_sql.hook:DbApiHook", "SqliteHook": "windlass_sql.sqlite:SqliteHook"},
        operators={name: f"windlass_sql.operators:{name}" for name in _OPERATORS}
        | {name: f"windlass_sql.checks:{name}" for name in _CHECKS}
        | {"GenericTransfer": "windlass_sql.transfer:GenericTransfer"},
        sensors={"SqlSensor": "windlass_sql.sensors:SqlSensor"},
        triggers={"windlass_sql.triggers.SqlTrigger": "windlass_sql.triggers:SqlTrigger"},
    )  # fmt: skip
