"""Questions to plugins' timetables, missed deadlines, and who paused a DAG."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _string(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add what is new; nothing that the release before reads changes."""
    op.add_column("dag", sa.Column("paused_by", _string(250), nullable=True))
    op.add_column("dag", sa.Column("paused_reason", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("interval_pending", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "deadline_miss",
        sa.Column("run", _ID, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("missed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_deadline_miss_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "position", name=op.f("pk_deadline_miss")),
    )
    op.create_table(
        "timetable_question",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("dag_id", _string(250), nullable=False),
        sa.Column("run", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("digest", _string(64), nullable=False),
        sa.Column("spec_version", _string(64), nullable=False),
        sa.Column("question", sa.LargeBinary(), nullable=False),
        sa.Column("ticket", _string(64), nullable=False),
        sa.Column("lease_id", _string(64), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("failures", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timetable_question")),
        sa.UniqueConstraint("dag_id", "run", name=op.f("uq_timetable_question_dag_id_run")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop it again."""
    op.drop_table("timetable_question")
    op.drop_table("deadline_miss")
    op.drop_column("run", "interval_pending")
    op.drop_column("dag", "paused_reason")
    op.drop_column("dag", "paused_by")
