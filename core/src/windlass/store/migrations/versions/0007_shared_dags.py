"""Several schedulers: who they are, and which DAGs each of them holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _string(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table of schedulers and the column that names a DAG's."""
    op.create_table(
        "scheduler",
        sa.Column("owner", _string(64), nullable=False),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("hostname", _string(250), nullable=False),
        sa.Column("pid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_scheduler"),
    )
    op.add_column("dag", sa.Column("owner", _string(64), nullable=True))


def downgrade() -> None:
    """Take them away again."""
    op.drop_column("dag", "owner")
    op.drop_table("scheduler")
