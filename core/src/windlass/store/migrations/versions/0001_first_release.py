"""All tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _string(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create everything."""
    _definitions()
    _runs()
    _instances()
    _attempts()
    _messages()
    _values()
    _configuration()
    op.execute(
        "INSERT INTO pool (name, slots, description, include_deferred) "
        "VALUES ('default_pool', 128, 'Every task that names no other pool', 0)"
    )


def downgrade() -> None:
    """Drop everything, the dependent tables first."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _definitions() -> None:
    """DAGs, their versions and files."""
    op.create_table(
        "dag",
        sa.Column("dag_id", _string(250), nullable=False),
        sa.Column("bundle", _string(250), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("spec_version", _string(64), nullable=False),
        sa.Column("code_version", _string(64), nullable=False),
        sa.Column("paused", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("stale", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("unpaused_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dag_id", name=op.f("pk_dag")),
    )
    op.create_table(
        "dag_version",
        sa.Column("dag_id", _string(250), nullable=False),
        sa.Column("spec_version", _string(64), nullable=False),
        sa.Column(
            "spec",
            sa.LargeBinary()
            .with_variant(sa.LargeBinary(length=16777216), "mariadb")
            .with_variant(sa.LargeBinary(length=16777216), "mysql"),
            nullable=False,
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dag_id", "spec_version", name=op.f("pk_dag_version")),
    )
    op.create_table(
        "code_version",
        sa.Column("code_version", _string(64), nullable=False),
        sa.Column("bundle", _string(250), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code_version", name=op.f("pk_code_version")),
    )
    op.create_table(
        "parsed_file",
        sa.Column("bundle", _string(100), nullable=False),
        sa.Column("file", _string(500), nullable=False),
        sa.Column("code_version", _string(64), nullable=True),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("dags", sa.Text(), nullable=False),
        sa.Column("min_interval_us", sa.BigInteger(), nullable=True),
        sa.Column("duration_us", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("parsed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bundle", "file", name=op.f("pk_parsed_file")),
    )
    op.create_table(
        "import_error",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("bundle", _string(100), nullable=False),
        sa.Column("file", _string(500), nullable=False),
        sa.Column("severity", _string(32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_error")),
    )
    op.create_index("ix_import_error_file", "import_error", ["bundle", "file"], unique=False)


def _runs() -> None:
    """Runs."""
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dag_id", _string(250), nullable=False),
        sa.Column("run_id", _string(250), nullable=False),
        sa.Column("run_type", _string(32), nullable=False),
        sa.Column("state", _string(32), nullable=False),
        sa.Column("logical_date", sa.BigInteger(), nullable=False),
        sa.Column("interval_start", sa.BigInteger(), nullable=False),
        sa.Column("interval_end", sa.BigInteger(), nullable=False),
        sa.Column("run_after", sa.BigInteger(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("start_date", sa.BigInteger(), nullable=True),
        sa.Column("end_date", sa.BigInteger(), nullable=True),
        sa.Column("spec_version", _string(64), nullable=False),
        sa.Column("code_version", _string(64), nullable=False),
        sa.Column("bundle", _string(250), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", _string(250), nullable=True),
        sa.Column("owner_until", sa.BigInteger(), nullable=True),
        sa.Column("conf", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("triggered_by", _string(250), nullable=False),
        sa.Column("backfill_id", sa.BigInteger(), nullable=True),
        sa.Column("ending", _string(32), nullable=True),
        sa.Column("ending_reason", sa.Text(), nullable=True),
        sa.Column("callbacks", _string(32), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("dag_id", "logical_date", name=op.f("uq_run_dag_id_logical_date")),
        sa.UniqueConstraint("dag_id", "run_id", name=op.f("uq_run_dag_id_run_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_run_open",
        "run",
        ["run_after", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued','running')"),
        postgresql_where=sa.text("state IN ('queued','running')"),
    )
    op.create_index(
        "ix_run_scheduled",
        "run",
        ["dag_id", "logical_date"],
        unique=False,
        sqlite_where=sa.text("run_type = 'scheduled'"),
        postgresql_where=sa.text("run_type = 'scheduled'"),
    )
    op.create_table(
        "run_transition",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("from_state", _string(32), nullable=False),
        sa.Column("to_state", _string(32), nullable=False),
        sa.Column("actor", _string(32), nullable=False),
        sa.Column("who", _string(250), server_default="", nullable=False),
        sa.Column("op_id", _string(100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_run_transition_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_run_transition")),
        sa.UniqueConstraint("op_id", name=op.f("uq_run_transition_op_id")),
    )
    op.create_index("ix_run_transition_run", "run_transition", ["run", "seq"], unique=False)


def _instances() -> None:
    """Task instances."""
    op.create_table(
        "ti",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("task_id", _string(250), nullable=False),
        sa.Column("map_index", sa.BigInteger(), server_default=sa.text("-1"), nullable=False),
        sa.Column("state", _string(32), server_default="none", nullable=False),
        sa.Column("try_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_tries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("retries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ticket", _string(64), nullable=True),
        sa.Column("lease_id", _string(64), nullable=True),
        sa.Column("pool", _string(250), nullable=False),
        sa.Column("pool_slots", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("queue", _string(250), nullable=False),
        sa.Column("executor", _string(250), nullable=True),
        sa.Column("code_version", _string(64), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=True),
        sa.Column("start_date", sa.BigInteger(), nullable=True),
        sa.Column("end_date", sa.BigInteger(), nullable=True),
        sa.Column("duration_us", sa.BigInteger(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("result_length", sa.BigInteger(), nullable=True),
        sa.Column("skip_targets", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("map_label", sa.Text(), nullable=True),
        sa.Column("continues", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_poke", sa.BigInteger(), nullable=True),
        sa.Column("clears", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("stop_kind", _string(32), nullable=True),
        sa.Column("stop_who", _string(250), nullable=True),
        sa.Column("callbacks", _string(64), server_default="", nullable=False),
        sa.Column("is_leaf", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_ti_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ti")),
        sa.UniqueConstraint("run", "task_id", "map_index", name=op.f("uq_ti_run_task_id_map_index")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_ti_deferred",
        "ti",
        ["pool", "pool_slots"],
        unique=False,
        sqlite_where=sa.text("state = 'deferred'"),
        postgresql_where=sa.text("state = 'deferred'"),
    )
    op.create_index(
        "ix_ti_occupying",
        "ti",
        ["pool", "run", "task_id", "pool_slots"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued','running')"),
        postgresql_where=sa.text("state IN ('queued','running')"),
    )
    op.create_index(
        "ix_ti_queued",
        "ti",
        ["queued_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )


def _attempts() -> None:
    """Attempts and the audit."""
    op.create_table(
        "attempt",
        sa.Column("lease_id", _string(64), nullable=False),
        sa.Column("ti_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("try_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("supervisor", _string(250), nullable=False),
        sa.Column("hostname", _string(250), nullable=False),
        sa.Column("pid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("duration_us", sa.BigInteger(), nullable=True),
        sa.Column("outcome", _string(32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("log_size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rendered", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["ti_id"], ["ti.id"], name=op.f("fk_attempt_ti_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("lease_id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("ti_id", "epoch", name=op.f("uq_attempt_ti_id_epoch")),
    )
    op.create_index(
        "ix_attempt_open",
        "attempt",
        ["lease_until", "supervisor", "lease_id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "uq_attempt_open",
        "attempt",
        ["ti_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "transition",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ti_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("from_state", _string(32), nullable=False),
        sa.Column("to_state", _string(32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("actor", _string(32), nullable=False),
        sa.Column("who", _string(250), server_default="", nullable=False),
        sa.Column("op_id", _string(100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["ti_id"], ["ti.id"], name=op.f("fk_transition_ti_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_transition")),
        sa.UniqueConstraint("op_id", name=op.f("uq_transition_op_id")),
    )
    op.create_index("ix_transition_ti", "transition", ["ti_id", "seq"], unique=False)


def _messages() -> None:
    """What wakes and what is delivered."""
    op.create_table(
        "signal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", _string(32), nullable=False),
        sa.Column("dag_id", _string(250), server_default="", nullable=False),
        sa.Column("run", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("task", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("consumer", _string(250), server_default="", nullable=False),
        sa.Column("event", _string(32), nullable=False),
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ti_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("try_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("op_id", _string(100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", _string(250), nullable=True),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_outbox_run"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["ti_id"], ["ti.id"], name=op.f("fk_outbox_ti_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("consumer", "op_id", name=op.f("uq_outbox_consumer_op_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbox_pending",
        "outbox",
        ["consumer", "id"],
        unique=False,
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    op.create_table(
        "observer",
        sa.Column("name", _string(250), nullable=False),
        sa.Column("hooks", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_observer")),
    )
    op.create_table(
        "trigger_wait",
        sa.Column("ti_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("live", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("classpath", sa.Text(), nullable=False),
        sa.Column("kwargs", sa.LargeBinary(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("resume_kwargs", sa.LargeBinary(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=True),
        sa.Column("timeout_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["ti_id"], ["ti.id"], name=op.f("fk_trigger_wait_ti_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ti_id", name=op.f("pk_trigger_wait")),
    )


def _values() -> None:
    """What tasks say to each other."""
    op.create_table(
        "xcom",
        sa.Column("ti_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", _string(250), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("codec", _string(32), nullable=False),
        sa.Column(
            "data",
            sa.LargeBinary()
            .with_variant(sa.LargeBinary(length=16777216), "mariadb")
            .with_variant(sa.LargeBinary(length=16777216), "mysql"),
            nullable=False,
        ),
        sa.Column("artifact", _string(64), nullable=True),
        sa.Column("size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ti_id"], ["ti.id"], name=op.f("fk_xcom_ti_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ti_id", "name", name=op.f("pk_xcom")),
    )
    op.create_index("ix_xcom_artifact", "xcom", ["artifact"], unique=False)
    op.create_table(
        "asset",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("uri", _string(250), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset")),
        sa.UniqueConstraint("uri", name=op.f("uq_asset_uri")),
    )
    op.create_table(
        "asset_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("asset", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.Column("alias", _string(250), nullable=True),
        sa.Column("run", sa.BigInteger(), nullable=True),
        sa.Column("ti_id", sa.BigInteger(), nullable=True),
        sa.Column("source_dag_id", _string(250), nullable=True),
        sa.Column("source_run_id", _string(250), nullable=True),
        sa.Column("source_task_id", _string(250), nullable=True),
        sa.Column("source_map_index", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["asset"], ["asset.id"], name=op.f("fk_asset_event_asset"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_event")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_asset_event_asset", "asset_event", ["asset", "id"], unique=False)


def _configuration() -> None:
    """What is configured."""
    op.create_table(
        "pool",
        sa.Column("name", _string(250), nullable=False),
        sa.Column("slots", sa.BigInteger(), server_default=sa.text("128"), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("include_deferred", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pool")),
    )
    op.create_table(
        "connection",
        sa.Column("conn_id", _string(250), nullable=False),
        sa.Column("conn_type", _string(250), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conn_id", name=op.f("pk_connection")),
    )
    op.create_table(
        "variable",
        sa.Column("name", _string(250), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_variable")),
    )
    op.create_table(
        "backfill",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dag_id", _string(250), nullable=False),
        sa.Column("from_date", sa.BigInteger(), nullable=False),
        sa.Column("to_date", sa.BigInteger(), nullable=False),
        sa.Column("max_active_runs", sa.BigInteger(), server_default=sa.text("16"), nullable=False),
        sa.Column("reprocess", _string(32), server_default="none", nullable=False),
        sa.Column("backwards", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("task_regex", sa.Text(), nullable=True),
        sa.Column("conf", sa.Text(), nullable=False),
        sa.Column("created_by", _string(250), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", _string(32), nullable=False),
        sa.Column("hostname", _string(250), nullable=False),
        sa.Column("pid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_table(
        "idempotency",
        sa.Column("name", _string(250), nullable=False),
        sa.Column("command", _string(250), nullable=False),
        sa.Column("request", _string(64), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_idempotency")),
    )


_TABLES = (
    "dag",
    "dag_version",
    "code_version",
    "parsed_file",
    "import_error",
    "run",
    "run_transition",
    "ti",
    "attempt",
    "transition",
    "signal",
    "outbox",
    "observer",
    "trigger_wait",
    "xcom",
    "asset",
    "asset_event",
    "pool",
    "connection",
    "variable",
    "backfill",
    "job",
    "idempotency",
)
