"""The outbox is found by run and by task instance, so that deleting a run does not read all of it."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("ix_outbox_run", "outbox", ["run"])
    op.create_index("ix_outbox_ti_id", "outbox", ["ti_id"])


def downgrade() -> None:
    """Drop them."""
    keys = {"run": "run", "ti_id": "ti"} if op.get_bind().dialect.name in {"mysql", "mariadb"} else {}
    for column in keys:  # there a foreign key needs an index, and makes one only if it finds none
        op.drop_constraint(f"fk_outbox_{column}", "outbox", type_="foreignkey")
    op.drop_index("ix_outbox_ti_id", table_name="outbox")
    op.drop_index("ix_outbox_run", table_name="outbox")
    for column, table in keys.items():
        op.create_foreign_key(f"fk_outbox_{column}", "outbox", table, [column], ["id"], ondelete="CASCADE")
