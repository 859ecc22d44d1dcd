"""The tables, as SQLAlchemy metadata: the one description that the script of each kind of database is rendered from.

``scripts`` renders them, and tests hold scripts, migrations and this description together. Nothing else imports it, so
the wheel leaves both out: whoever changes the tables does so in a checkout. A running process speaks prepared SQL text
over the driver (see ``database``), so that neither the server nor the supervisor nor a short command loads SQLAlchemy.

Conventions: instants are integers, microseconds since 1970 in UTC; JSON is text; ids of the engine are integers, names
given by users are strings. A partial index serves every question that is asked of the few live rows among a million
ended ones, so that no cost grows with history.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

from windlass.store.revision import NAMING

metadata: Final = MetaData(naming_convention=NAMING)


def _string(length: int) -> TypeEngine[str]:
    """Return a text that keys and indexes may be made of.

    Only MySQL needs to know how long. PostgreSQL sorts it by code points, as SQLite does, so that every list has the
    same order on both.
    """
    return String(length).with_variant(Text(collation="C"), "postgresql")


_ID: Final = BigInteger().with_variant(Integer, "sqlite")
_NAME: Final = _string(250)
_TOKEN: Final = _string(64)
_WORD: Final = _string(32)
_MOMENT: Final = BigInteger


def _key() -> Column[Any]:
    return Column("id", _ID, primary_key=True, autoincrement=True)


def _name(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, _NAME, nullable=null, server_default=default)


def _word(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, _WORD, nullable=null, server_default=default)


def _token(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, _TOKEN, nullable=null, server_default=default)


def _number(name: str, *, null: bool = False, default: int | None = 0) -> Column[Any]:
    return Column(name, BigInteger, nullable=null, server_default=None if null else text(str(default)))


def _moment(name: str, *, null: bool = True) -> Column[Any]:
    return Column(name, _MOMENT, nullable=null)


def _text(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, Text, nullable=null, server_default=None if default is None else text(f"'{default}'"))


def _flag(name: str, default: int = 0) -> Column[Any]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


def _of(name: str, target: str, *, null: bool = False, cascade: bool = True) -> Column[Any]:
    return Column(name, _ID, ForeignKey(target, ondelete="CASCADE" if cascade else None), nullable=null)


def _partial(name: str, table: Table, columns: tuple[str, ...], where: str, *, unique: bool = False) -> None:
    condition = text(where)
    Index(name, *(table.c[c] for c in columns), unique=unique, sqlite_where=condition, postgresql_where=condition)


# --- What is defined: DAGs, versions, files

dag = Table(
    "dag",
    metadata,
    Column("dag_id", _NAME, primary_key=True),
    _name("bundle"),
    _text("file"),
    _token("spec_version"),
    _token("code_version"),
    _flag("paused"),
    _flag("stale"),
    _moment("unpaused_at"),
    _moment("created_at", null=False),
    _moment("updated_at", null=False),
    # Who paused it last, and why where that was not a person's wish.
    _name("paused_by", null=True),
    _text("paused_reason", null=True),
    # The scheduler that decides about it, where there may be several. Free if there is no such scheduler (any more).
    _token("owner", null=True),
)
dag_version = Table(
    "dag_version",
    metadata,
    Column("dag_id", _NAME, primary_key=True),
    Column("spec_version", _TOKEN, primary_key=True),
    Column("spec", LargeBinary().with_variant(LargeBinary(2**24), "mysql", "mariadb"), nullable=False),
    _moment("created_at", null=False),
)
code_version = Table(
    "code_version",
    metadata,
    Column("code_version", _TOKEN, primary_key=True),
    _name("bundle"),
    _text("file"),
    _moment("created_at", null=False),
)
parsed_file = Table(
    "parsed_file",
    metadata,
    Column("bundle", _string(100), primary_key=True),
    Column("file", _string(500), primary_key=True),
    _token("code_version", null=True),
    _text("inputs"),
    _text("dags"),
    Column("min_interval_us", BigInteger, nullable=True),
    _number("duration_us"),
    _moment("parsed_at", null=False),
)
import_error = Table(
    "import_error",
    metadata,
    _key(),
    Column("bundle", _string(100), nullable=False),
    Column("file", _string(500), nullable=False),
    _word("severity"),
    _text("message"),
    _text("output"),
    _moment("at", null=False),
)
Index("ix_import_error_file", import_error.c.bundle, import_error.c.file)

# --- What happens: runs, task instances, attempts and the audit of all of it

run = Table(
    "run",
    metadata,
    _key(),
    _name("dag_id"),
    _name("run_id"),
    _word("run_type"),
    _word("state"),
    _moment("logical_date", null=False),
    _moment("interval_start", null=False),
    _moment("interval_end", null=False),
    _moment("run_after", null=False),
    _moment("queued_at", null=False),
    _moment("start_date"),
    _moment("end_date"),
    _token("spec_version"),
    _token("code_version"),
    _name("bundle"),
    _text("file"),
    _number("generation"),
    # What schedulers owned runs by before 0007; a later release takes the two away.
    _name("owner", null=True),
    _moment("owner_until"),
    _text("conf"),
    _text("note", null=True),
    _name("triggered_by"),
    _number("backfill_id", null=True),
    _word("ending", null=True),
    _text("ending_reason", null=True),
    _word("callbacks", default=""),
    # Its data interval is a plugin's timetable's to say, and has not been said; it does not start before.
    _flag("interval_pending"),
    UniqueConstraint("dag_id", "run_id"),
    UniqueConstraint("dag_id", "logical_date"),
    sqlite_autoincrement=True,
)
_partial("ix_run_open", run, ("run_after", "id"), "state IN ('queued','running')")
_partial("ix_run_scheduled", run, ("dag_id", "logical_date"), "run_type = 'scheduled'")
_partial("ix_run_backfill", run, ("backfill_id", "logical_date"), "backfill_id IS NOT NULL")
_partial(
    "ix_run_backfill_open",
    run,
    ("backfill_id", "state"),
    "backfill_id IS NOT NULL AND state IN ('queued','running')",
)

ti = Table(
    "ti",
    metadata,
    _key(),
    _of("run", "run.id"),
    _name("task_id"),
    _number("map_index", default=-1),
    _word("state", default="none"),
    _number("try_number"),
    _number("max_tries"),
    _number("retries"),
    _number("epoch"),
    _token("ticket", null=True),
    _token("lease_id", null=True),
    _name("pool"),
    _number("pool_slots", default=1),
    _name("queue"),
    _name("executor", null=True),
    _token("code_version"),
    _moment("queued_at"),
    _moment("start_date"),
    _moment("end_date"),
    _number("duration_us", null=True),
    _moment("not_before"),
    _number("result_length", null=True),
    _text("skip_targets", null=True),
    _text("reason", null=True),
    _text("map_label", null=True),
    # The same try goes on: the next attempt keeps XComs, start date and first poke.
    _flag("continues"),
    _moment("first_poke"),
    _number("clears"),
    _word("stop_kind", null=True),
    _name("stop_who", null=True),
    # Fixed at creation from the spec, so that the writers of endings need not decode it.
    Column("callbacks", _string(64), nullable=False, server_default=""),
    _flag("is_leaf"),
    UniqueConstraint("run", "task_id", "map_index"),
    sqlite_autoincrement=True,
)
_partial("ix_ti_occupying", ti, ("pool", "run", "task_id", "pool_slots"), "state IN ('queued','running')")
_partial("ix_ti_deferred", ti, ("pool", "pool_slots"), "state = 'deferred'")
_partial("ix_ti_queued", ti, ("queued_at", "id"), "state = 'queued'")

attempt = Table(
    "attempt",
    metadata,
    Column("lease_id", _TOKEN, primary_key=True),
    _of("ti_id", "ti.id"),
    _number("epoch"),
    _number("try_number"),
    _name("supervisor"),
    _name("hostname"),
    _number("pid"),
    _moment("lease_until", null=False),
    _moment("claimed_at", null=False),
    _moment("started_at"),
    _moment("ended_at"),
    _number("duration_us", null=True),
    _word("outcome", null=True),
    _text("reason", null=True),
    _number("log_size"),
    _text("rendered", null=True),
    UniqueConstraint("ti_id", "epoch"),
)
_partial("uq_attempt_open", attempt, ("ti_id",), "ended_at IS NULL", unique=True)
_partial("ix_attempt_open", attempt, ("lease_until", "supervisor", "lease_id"), "ended_at IS NULL")

transition = Table(
    "transition",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=True),
    _of("ti_id", "ti.id"),
    _word("from_state"),
    _word("to_state"),
    _number("epoch"),
    _word("actor"),
    _name("who", default=""),
    Column("op_id", _string(100), nullable=False),
    _text("reason"),
    _moment("at", null=False),
    UniqueConstraint("op_id"),
)
Index("ix_transition_ti", transition.c.ti_id, transition.c.seq)

run_transition = Table(
    "run_transition",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=True),
    _of("run", "run.id"),
    _word("from_state"),
    _word("to_state"),
    _word("actor"),
    _name("who", default=""),
    Column("op_id", _string(100), nullable=False),
    _text("reason"),
    _moment("at", null=False),
    UniqueConstraint("op_id"),
)
Index("ix_run_transition_run", run_transition.c.run, run_transition.c.seq)

deadline_miss = Table(
    "deadline_miss",
    metadata,
    Column("run", _ID, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    # Which of the DAG's deadlines, in the version of the run.
    Column("position", Integer, primary_key=True, autoincrement=False),
    _moment("due_at", null=False),
    _moment("missed_at", null=False),
)

# --- What wakes and what is delivered

signal = Table(
    "signal",
    metadata,
    _key(),
    _word("kind"),
    _name("dag_id", default=""),
    _number("run"),
    _number("task"),
    sqlite_autoincrement=True,
)
outbox = Table(
    "outbox",
    metadata,
    _key(),
    # The provider whose observers are owed an event; empty for callbacks.
    _name("consumer", default=""),
    _word("event"),
    _of("run", "run.id", null=True),
    _of("ti_id", "ti.id", null=True),
    _number("try_number"),
    # That of the transition, where there is one.
    Column("op_id", _string(100), nullable=False),
    _text("reason"),
    _text("detail", null=True),
    _moment("created_at", null=False),
    _name("claimed_by", null=True),
    _moment("claimed_until"),
    _moment("delivered_at"),
    _number("failures"),
    UniqueConstraint("consumer", "op_id"),
    sqlite_autoincrement=True,
)
# What goes with a run or a task instance is found by these; without them each deletion would read the whole table.
Index("ix_outbox_run", outbox.c.run)
Index("ix_outbox_ti_id", outbox.c.ti_id)
_partial("ix_outbox_pending", outbox, ("consumer", "id"), "delivered_at IS NULL")
observer = Table("observer", metadata, Column("name", _NAME, primary_key=True), _text("hooks"))

trigger_wait = Table(
    "trigger_wait",
    metadata,
    Column("ti_id", _ID, ForeignKey("ti.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    _number("epoch"),
    # 1 while the task instance is deferred; 0 from its resumption until the resumed attempt has ended.
    _flag("live", 1),
    _text("classpath"),
    Column("kwargs", LargeBinary, nullable=False),
    _text("method"),
    Column("resume_kwargs", LargeBinary, nullable=False),
    Column("event", LargeBinary, nullable=True),
    _moment("created_at", null=False),
    # Why there is no event; without either, the timeout of the deferral (``ti.not_before``) had come.
    _text("failure", null=True),
    # The supervisor that runs the trigger, by a lease.
    _name("holder", null=True),
    _moment("held_until"),
)

timetable_question = Table(
    "timetable_question",
    metadata,
    _key(),
    _name("dag_id"),
    # The run whose data interval is asked for; 0: the DAG's next scheduled run; below zero: a backfill's intervals.
    _number("run"),
    # Of all that the answer depends on: another digest is another question.
    _token("digest"),
    _token("spec_version"),
    Column("question", LargeBinary, nullable=False),
    _token("ticket"),
    _token("lease_id", null=True),
    _moment("lease_until"),
    _moment("asked_at", null=False),
    _moment("answered_at"),
    Column("answer", LargeBinary, nullable=True),
    _number("failures"),
    _text("error", null=True),
    # Set when it has failed: from then on it may be asked again, under a new ticket.
    _moment("retry_at"),
    UniqueConstraint("dag_id", "run"),
    sqlite_autoincrement=True,
)

# --- What tasks say to each other

xcom = Table(
    "xcom",
    metadata,
    Column("ti_id", _ID, ForeignKey("ti.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    _number("epoch"),
    _word("codec"),
    Column("data", LargeBinary().with_variant(LargeBinary(2**24), "mysql", "mariadb"), nullable=False),
    _token("artifact", null=True),
    _number("size"),
    _number("length", null=True),
    _text("preview"),
)
Index("ix_xcom_artifact", xcom.c.artifact)

asset = Table(
    "asset", metadata, _key(), Column("uri", _NAME, nullable=False, unique=True), _moment("created_at", null=False)
)
asset_event = Table(
    "asset_event",
    metadata,
    _key(),
    _of("asset", "asset.id"),
    _text("extra"),
    _name("alias", null=True),
    _number("run", null=True),
    _number("ti_id", null=True),
    _name("source_dag_id", null=True),
    _name("source_run_id", null=True),
    _name("source_task_id", null=True),
    _number("source_map_index", null=True),
    _moment("at", null=False),
    # Who recorded it, where no task did.
    _name("who", default=""),
    sqlite_autoincrement=True,
)
Index("ix_asset_event_asset", asset_event.c.asset, asset_event.c.id)
_partial("ix_asset_event_alias", asset_event, ("alias", "id"), "alias IS NOT NULL")
# Which assets and aliases the schedule of a DAG's newest version waits for.
asset_listener = Table(
    "asset_listener",
    metadata,
    Column("is_alias", Integer, primary_key=True, autoincrement=False),
    Column("name", _NAME, primary_key=True),
    Column("dag_id", _NAME, primary_key=True),
)
Index("ix_asset_listener_dag_id", asset_listener.c.dag_id)
# An event for each DAG that listened when it came; ``run`` is the one that consumed it, null while it waits.
asset_delivery = Table(
    "asset_delivery",
    metadata,
    Column("event", _ID, ForeignKey("asset_event.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("dag_id", _NAME, primary_key=True),
    _of("asset", "asset.id"),
    _name("alias", null=True),
    # 0 if the DAG was paused: such an event calls for no run.
    _flag("counts", 1),
    _of("run", "run.id", null=True),
)
_partial("ix_asset_delivery_waiting", asset_delivery, ("dag_id", "asset", "event"), "run IS NULL")
_partial("ix_asset_delivery_alias", asset_delivery, ("dag_id", "alias"), "run IS NULL AND alias IS NOT NULL")
_partial("ix_asset_delivery_run", asset_delivery, ("run", "event"), "run IS NOT NULL")

# --- What is configured

pool = Table(
    "pool",
    metadata,
    Column("name", _NAME, primary_key=True),
    _number("slots", default=128),
    _text("description"),
    _flag("include_deferred"),
)
connection = Table(
    "connection",
    metadata,
    Column("conn_id", _NAME, primary_key=True),
    _name("conn_type"),
    _text("description"),
    Column("secret", LargeBinary, nullable=False),
    _moment("updated_at", null=False),
)
variable = Table(
    "variable",
    metadata,
    Column("name", _NAME, primary_key=True),
    _text("description"),
    Column("secret", LargeBinary, nullable=False),
    _moment("updated_at", null=False),
)
backfill = Table(
    "backfill",
    metadata,
    _key(),
    _name("dag_id"),
    _moment("from_date", null=False),
    _moment("to_date", null=False),
    _number("max_active_runs", default=16),
    _word("reprocess", default="none"),
    _flag("backwards"),
    _text("task_regex", null=True),
    _text("conf"),
    _name("created_by"),
    _moment("created_at", null=False),
    _moment("cancelled_at"),
    _moment("completed_at"),
    # What its runs are pinned to.
    _token("spec_version", default=""),
    _token("code_version", default=""),
    # Its place: how many of its intervals have been dealt with, and where the last of them ended.
    _number("intervals"),
    _number("dealt"),
    _moment("reached"),
    sqlite_autoincrement=True,
)
_partial("ix_backfill_open", backfill, ("id",), "completed_at IS NULL")
# The schedulers that share the database: one that is not here, or no more, holds no DAG.
scheduler = Table(
    "scheduler",
    metadata,
    Column("owner", _TOKEN, primary_key=True),
    # The host and the folder, whose lock admits one scheduler: a new one proves that the one before has ended.
    _text("home"),
    _name("hostname"),
    _number("pid"),
    _moment("started_at", null=False),
    _moment("lease_until", null=False),
)
job = Table(
    "job",
    metadata,
    _key(),
    _word("kind"),
    _name("hostname"),
    _number("pid"),
    _moment("started_at", null=False),
    _moment("heartbeat_at", null=False),
    _moment("ended_at"),
)
idempotency = Table(
    "idempotency",
    metadata,
    Column("name", _NAME, primary_key=True),
    _name("command"),
    _token("request"),
    Column("reply", LargeBinary, nullable=False),
    _moment("at", null=False),
)
