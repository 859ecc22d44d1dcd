"""Who listens to which asset, and which event was delivered to which DAG and consumed by which run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _string(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WAITS = sa.text("run IS NULL")
_WAITS_THROUGH_ALIAS = sa.text("run IS NULL AND alias IS NOT NULL")
_CONSUMED = sa.text("run IS NOT NULL")
_THROUGH_ALIAS = sa.text("alias IS NOT NULL")


def upgrade() -> None:
    """Create the tables, and let the DAGs listen that wait for assets already."""
    op.add_column("asset_event", sa.Column("who", _string(250), server_default="", nullable=False))
    _index("ix_asset_event_alias", "asset_event", ["alias", "id"], _THROUGH_ALIAS)
    op.create_table(
        "asset_listener",
        sa.Column("is_alias", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", _string(250), nullable=False),
        sa.Column("dag_id", _string(250), nullable=False),
        sa.PrimaryKeyConstraint("is_alias", "name", "dag_id", name=op.f("pk_asset_listener")),
    )
    op.create_index("ix_asset_listener_dag_id", "asset_listener", ["dag_id"], unique=False)
    op.create_table(
        "asset_delivery",
        sa.Column("event", _ID, autoincrement=False, nullable=False),
        sa.Column("dag_id", _string(250), nullable=False),
        sa.Column("asset", _ID, nullable=False),
        sa.Column("alias", _string(250), nullable=True),
        sa.Column("counts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("run", _ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["event"], ["asset_event.id"], name=op.f("fk_asset_delivery_event"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["asset"], ["asset.id"], name=op.f("fk_asset_delivery_asset"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_asset_delivery_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event", "dag_id", name=op.f("pk_asset_delivery")),
    )
    _index("ix_asset_delivery_waiting", "asset_delivery", ["dag_id", "asset", "event"], _WAITS)
    _index("ix_asset_delivery_alias", "asset_delivery", ["dag_id", "alias"], _WAITS_THROUGH_ALIAS)
    _index("ix_asset_delivery_run", "asset_delivery", ["run", "event"], _CONSUMED)
    _listen()


def downgrade() -> None:
    """Drop them."""
    op.drop_table("asset_delivery")
    op.drop_table("asset_listener")
    op.drop_index("ix_asset_event_alias", "asset_event")
    op.drop_column("asset_event", "who")


def _index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def _listen() -> None:
    """Fill the listeners from the stored DAGs: their files are not parsed again unless they change."""
    connection = op.get_bind()
    stored = connection.execute(
        sa.text(
            "SELECT d.dag_id, v.spec FROM dag d JOIN dag_version v ON v.dag_id = d.dag_id"
            " AND v.spec_version = d.spec_version WHERE d.stale = 0"
        )
    ).fetchall()
    rows = {
        (is_alias, name, dag_id)
        for dag_id, spec in stored
        for is_alias, name in _names(msgspec.json.decode(spec).get("schedule", {}).get("condition", {}))
    }
    insert = sa.text("INSERT INTO asset_listener (is_alias, name, dag_id) VALUES (:is_alias, :name, :dag_id)")
    for is_alias, name, dag_id in sorted(rows):
        connection.execute(insert, {"is_alias": is_alias, "name": name, "dag_id": dag_id})


def _names(condition: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield (is alias, name) of every leaf of a condition as it is stored."""
    if condition.get("asset") is not None:
        yield 0, condition["asset"]
    if condition.get("alias") is not None:
        yield 1, condition["alias"]
    for part in (*condition.get("all_of", ()), *condition.get("any_of", ())):
        yield from _names(part)
