"""Backfills: the version that their runs are pinned to, and how far they have come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _string(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


_OPEN = sa.text("backfill_id IS NOT NULL AND state IN ('queued','running')")
_OF_ANY = sa.text("backfill_id IS NOT NULL")
_UNFINISHED = sa.text("completed_at IS NULL")


def upgrade() -> None:
    """Add the columns, and the indexes that find a backfill's runs."""
    with op.batch_alter_table("backfill") as batch:
        batch.add_column(sa.Column("spec_version", _string(64), server_default="", nullable=False))
        batch.add_column(sa.Column("code_version", _string(64), server_default="", nullable=False))
        batch.add_column(sa.Column("intervals", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        batch.add_column(sa.Column("dealt", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        batch.add_column(sa.Column("reached", sa.BigInteger(), nullable=True))
    op.create_index("ix_backfill_open", "backfill", ["id"], sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED)
    op.create_index(
        "ix_run_backfill", "run", ["backfill_id", "logical_date"], sqlite_where=_OF_ANY, postgresql_where=_OF_ANY
    )
    op.create_index("ix_run_backfill_open", "run", ["backfill_id", "state"], sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("ix_run_backfill_open", "run")
    op.drop_index("ix_run_backfill", "run")
    op.drop_index("ix_backfill_open", "backfill")
    with op.batch_alter_table("backfill") as batch:
        for name in ("reached", "dealt", "intervals", "code_version", "spec_version"):
            batch.drop_column(name)
