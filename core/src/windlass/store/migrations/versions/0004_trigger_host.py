"""Waits have a holder and may fail; the timeout of a deferral is the task instance's ``not_before``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _string(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Replace the timeout by what a trigger host needs. Until now no deferral ever waited, so no row is there."""
    op.drop_column("trigger_wait", "timeout_at")
    op.add_column("trigger_wait", sa.Column("failure", sa.Text(), nullable=True))
    op.add_column("trigger_wait", sa.Column("holder", _string(250), nullable=True))
    op.add_column("trigger_wait", sa.Column("held_until", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Bring the timeout back."""
    for name in ("held_until", "holder", "failure"):
        op.drop_column("trigger_wait", name)
    op.add_column("trigger_wait", sa.Column("timeout_at", sa.BigInteger(), nullable=True))
