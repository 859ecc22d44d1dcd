"""The first release: where every way back ends.

No way leads here from nothing: an empty database is made a current one by the script of its kind.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "dag", "dag_version", "code_version", "parsed_file", "import_error", "run", "run_transition", "ti", "attempt",
    "transition", "signal", "outbox", "observer", "trigger_wait", "xcom", "asset", "asset_event", "pool",
    "connection", "variable", "backfill", "job", "idempotency",
)  # fmt: skip


def upgrade() -> None:
    """Refuse: whoever gets here has mistaken a database without tables for an old one."""
    msg = "a database without tables is made by the script of its kind, not by migrations"
    raise NotImplementedError(msg)


def downgrade() -> None:
    """Drop everything, the dependent tables first."""
    for table in reversed(_TABLES):
        op.drop_table(table)
