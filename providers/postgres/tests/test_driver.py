"""PostgreSQL as Windlass's own store: its words, its errors, and what becomes of a broken connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest

from windlass.backends import Statement
from windlass.errors import ConfigError, Conflict, StoreBusy, StoreError
from windlass.store.database import Database, Refused, Transaction
from windlass.store.dialect import dialect_of
from windlass.store.migrating import open_bare
from windlass.store.store import Store, open_store
from windlass.store.system import SystemRng
from windlass_postgres.doorbell import PostgresListener
from windlass_postgres.driver import PostgresDialect, conninfo, described
from windlass_testing.databases import emptied

pytestmark = pytest.mark.services


@pytest.fixture
def url(postgres_url: str) -> str:
    return emptied(postgres_url)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(open_store(url, clock=None, rng=SystemRng())) as store:
        yield store


# --- Words


def words(sql: str) -> str:
    return PostgresDialect("postgresql://h/d").translate(sql)


def test_parameters_get_the_drivers_style_and_quoted_text_stays() -> None:
    assert words("SELECT ':no' || :yes WHERE a LIKE '%x' AND b = :yes") == (
        "SELECT ':no' || %(yes)s WHERE a LIKE '%%x' AND b = %(yes)s"
    )


def test_a_json_array_becomes_an_array_that_an_index_can_be_asked_for() -> None:
    assert words("id IN IDS(:ids)").startswith("id = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text(")
    assert words("run NOT IN IDS(:ids)").startswith("run <> ALL (ARRAY(")
    assert "value::bigint" not in words("name IN NAMES(:names)")


def test_locks_let_others_refer_to_the_row() -> None:
    assert words("SELECT 1 FROM t FOR_UPDATE") == "SELECT 1 FROM t FOR NO KEY UPDATE"
    assert words("… FOR_UPDATE OF t") == "… FOR NO KEY UPDATE OF t"
    assert words("… FOR_UPDATE SKIP_LOCKED") == "… FOR NO KEY UPDATE SKIP LOCKED"
    assert words("… FOR_SHARE OF l ON CONFLICT DO NOTHING") == "… FOR KEY SHARE OF l ON CONFLICT DO NOTHING"


def test_values_come_back_as_they_went_in_but_for_nul(store: Store) -> None:
    for text in ("snow ☃ 100% 'quoted' \\ \n", "", "a\x00b"):
        store.pools.set("p", 2**40, text)
        assert store.pools.get("p").description == text.replace("\x00", "\u2400")
        assert store.pools.get("p").slots == 2**40


# --- URLs


def test_a_driver_in_the_url_is_passed_over_and_its_options_reach_the_server(url: str) -> None:
    given = url.replace("postgresql://", "postgresql+psycopg://") + "?application_name=mine"
    with closing(open_bare(given)) as database:
        assert database.rows("SHOW application_name") == [("mine",)]


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cret@h/d?sslmod=require", "mysql://u:s3cret@h/d", "postgresql:u:s3cret"]
)
def test_a_url_that_means_nothing_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="postgresql://user:password@host:5432") as caught:
        conninfo(url)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    dialect = dialect_of("postgresql://ada:s3cret@127.0.0.1:1/flows")
    with pytest.raises(StoreError, match=r"flows on 127\.0\.0\.1:1: .*check that the server runs") as caught:
        dialect.connect()
    assert "s3cret" not in str(caught.value)


def test_the_shell_gets_the_password_where_no_list_of_processes_shows_it() -> None:
    shell = dialect_of("postgresql://ada:s3cret@h:5433/flows").shell()
    assert shell.program == "psql"
    assert "s3cret" not in " ".join(shell.arguments)
    assert "host=h" in shell.arguments[0]
    assert shell.environment == {"PGPASSWORD": "s3cret"}
    assert described(conninfo("postgresql://ada:s3cret@h:5433/flows")) == "flows on h:5433"


def test_an_unknown_mode_of_commits_is_refused_and_normal_does_not_wait_for_the_disk(url: str) -> None:
    with pytest.raises(ConfigError, match="choose FULL"):
        dialect_of(url, synchronous="OFF")
    for mode, expected in (("FULL", "on"), ("NORMAL", "off")):
        with closing(Database(dialect_of(url, synchronous=mode), None, SystemRng())) as database:
            assert database.rows("SHOW synchronous_commit") == [(expected,)]


# --- Time


def test_database_time_is_the_servers_and_is_asked_for_seldom(store: Store) -> None:
    [(there,)] = store.db.rows("SELECT clock_timestamp()")
    before = store.db.statements
    here = [store.db.clock.now() for _ in range(100)]
    assert abs((here[0] - there.astimezone(UTC)).total_seconds()) < 1
    assert here == sorted(here)
    assert store.db.statements - before <= 1
    assert isinstance(here[0], datetime)


# --- Troubles


def kill_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_read_after_a_break_is_answered_over_a_new_connection(store: Store, url: str) -> None:
    store.pools.list()
    kill_sessions(url)
    assert [pool.name for pool in store.pools.list()] == ["default_pool"]


def test_a_write_whose_connection_breaks_before_its_commit_is_done_once(store: Store, url: str) -> None:
    runs = 0

    def work(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        transaction.run("UPDATE pool SET slots = slots + 1 WHERE name = 'default_pool'")
        if runs == 1:
            kill_sessions(url)
        transaction.run("UPDATE pool SET slots = slots + 1 WHERE name = 'default_pool'")

    store.db.write(work)
    assert runs == 2
    assert store.pools.get("default_pool").slots == 130


def test_a_commit_whose_answer_is_lost_is_an_error_that_says_so(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = PostgresDialect.commit

    def breaks(
        dialect: PostgresDialect, connection: psycopg.Connection, *, ring: bool, after: Sequence[Statement] = ()
    ) -> None:
        commit(dialect, connection, ring=ring, after=after)
        kill_sessions(url)
        connection.execute("SELECT 1")

    monkeypatch.setattr(PostgresDialect, "commit", breaks)
    with pytest.raises(StoreError, match=r"broke during a commit: .*whether it was kept"):
        store.pools.set("p", 1)
    monkeypatch.undo()
    assert store.pools.get("p").slots == 1


END_OF_SESSION = "SELECT pg_terminate_backend(pg_backend_pid())"
RAISE = "UPDATE pool SET slots = slots + 1 WHERE name = :name"
DEFAULT = {"name": "default_pool"}


def said_goodbye(store: Store) -> bool:
    """Wait until the server has ended the session of ``store``, which takes it a moment."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            store.db.dialect.look(store.db._connection())
        except psycopg.OperationalError:
            return True
        time.sleep(0.01)
    return False


def test_a_session_that_ended_while_idle_is_noticed_before_anything_is_sent(store: Store, url: str) -> None:
    store.pools.list()
    kill_sessions(url)
    assert said_goodbye(store)
    store.db.write(lambda transaction: transaction.send(RAISE, [DEFAULT]))
    assert store.pools.get("default_pool").slots == 129


def test_a_connection_lost_in_the_trip_that_commits_is_an_error_that_says_so(store: Store) -> None:
    runs = 0

    def work(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        transaction.send(RAISE, [DEFAULT])
        transaction.ask(END_OF_SESSION)

    with pytest.raises(StoreError, match=r"broke during a commit: .*whether it was kept"):
        store.db.write(work)
    assert runs == 1
    assert store.pools.get("default_pool").slots == 128
    store.db.write(lambda transaction: transaction.send(RAISE, [DEFAULT]))
    assert store.pools.get("default_pool").slots == 129


def test_a_connection_lost_in_a_trip_before_that_has_the_work_done_again(store: Store) -> None:
    runs = 0

    def work(transaction: Transaction) -> int:
        nonlocal runs
        runs += 1
        transaction.send(RAISE, [DEFAULT])
        if runs == 1:
            transaction.ask(END_OF_SESSION)
        return transaction.run(RAISE, DEFAULT)

    assert store.db.write(work) == 1
    assert runs == 2
    assert store.pools.get("default_pool").slots == 130


# --- Statements sent together

INSERT = "INSERT INTO pool (name, slots, description, include_deferred) VALUES (:name, :slots, '', 0)"


@pytest.fixture(params=[0, 3000], ids=["at the end", "while others are still sent"])
def more(request: pytest.FixtureRequest) -> list[dict[str, object]]:
    """What is sent after the statement that fails: the server says so at once."""
    return [{"name": f"p{number}", "slots": number} for number in range(request.param)]


def test_what_fails_among_statements_sent_together_leaves_nothing_and_a_connection_that_works(
    store: Store, more: list[dict[str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    def work(transaction: Transaction) -> None:
        transaction.send(RAISE, [DEFAULT])
        transaction.send(INSERT, [{"name": "default_pool", "slots": 1}])
        for values in more:
            transaction.send(INSERT, [values])

    for _ in range(4):  # also when its statements have been prepared
        with pytest.raises(Refused, match=r"duplicate key value .*nothing of it was kept"):
            store.db.write(work)
    assert [(pool.name, pool.slots) for pool in store.pools.list()] == [("default_pool", 128)]
    assert caplog.records == []


def test_a_guard_that_finds_no_row_keeps_what_follows_from_running_and_the_commit_from_committing(
    store: Store, more: list[dict[str, object]]
) -> None:
    def work(transaction: Transaction) -> str:
        transaction.each(RAISE, [DEFAULT, {"name": "nobody"}, DEFAULT])
        transaction.send(INSERT, more)
        return "usual"

    with pytest.raises(Refused, match=r"a guarded statement found no row to change; nothing of it was kept"):
        store.db.write(work)
    assert store.db.write(work, lambda transaction: f"{transaction.run(RAISE, DEFAULT)} row") == "1 row"
    assert [(pool.name, pool.slots) for pool in store.pools.list()] == [("default_pool", 129)]


def test_a_statement_that_was_passed_over_can_be_run_afterwards(url: str) -> None:
    read = "SELECT slots FROM pool"

    def passed_over(transaction: Transaction) -> None:
        transaction.each(RAISE, [{"name": "nobody"}])
        transaction.ask(read)

    with closing(open_bare(url)) as database:
        for _ in range(3):  # from here on psycopg no longer forgets what it has prepared when it rolls back
            with pytest.raises(StoreError, match="does not exist"):
                database.write(lambda transaction: transaction.run("DROP TABLE nothing"))
        assert database.rows(read) == [(128,)]
        with pytest.raises(Refused):
            database.write(passed_over)
        assert database.write(lambda transaction: transaction.rows(read)) == [(128,)]


def test_statements_are_found_prepared_after_the_schema_was_changed_among_others(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        transaction.send(RAISE, [DEFAULT])
        transaction.send("CREATE TABLE passing (a int)", [{}])
        transaction.send("DROP TABLE passing", [{}])

    for _ in range(2):
        store.db.write(work)
        for _ in range(2):
            store.db.write(lambda transaction: transaction.send(RAISE, [DEFAULT]))
    assert store.pools.get("default_pool").slots == 134


def test_answers_can_be_read_when_the_write_is_over(store: Store) -> None:
    def work(transaction: Transaction) -> list[object]:
        before = transaction.ask("SELECT slots FROM pool")
        transaction.send(RAISE, [DEFAULT])
        return [before, transaction.ask("SELECT slots FROM pool")]

    assert [answer() for answer in store.db.write(work)] == [[(128,)], [(129,)]]  # type: ignore[operator]


@pytest.mark.parametrize("sent", [False, True], ids=["kept back", "sent"])
def test_a_savepoint_undoes_what_was_sent_and_what_was_not(store: Store, sent: bool) -> None:
    def work(transaction: Transaction) -> None:
        transaction.send(RAISE, [DEFAULT])
        with transaction.savepoint() as point:
            transaction.send(RAISE, [DEFAULT])
            if sent:
                assert transaction.rows("SELECT slots FROM pool") == [(130,)]
                transaction.send(RAISE, [DEFAULT])
            point.undo()
        transaction.send(RAISE, [DEFAULT])

    store.db.write(work)
    assert store.pools.get("default_pool").slots == 130


def test_an_error_before_a_savepoint_in_the_same_trip_is_told_as_it_is(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        transaction.send(INSERT, [{"name": "default_pool", "slots": 1}])
        with transaction.savepoint():
            transaction.rows("SELECT slots FROM pool")

    with pytest.raises(Refused, match="duplicate key value"):
        store.db.write(work)
    assert store.pools.get("default_pool").slots == 128


def test_a_deadlock_found_in_the_trip_that_commits_has_the_work_done_again(store: Store) -> None:
    store.pools.set("a", 0)
    store.pools.set("b", 0)
    both_began = threading.Barrier(2)
    began: list[str] = []

    def raising(first: str, second: str) -> None:
        def work(transaction: Transaction) -> None:
            transaction.run(RAISE, {"name": first})
            if len(began) < 2:
                began.append(first)
                both_began.wait(10)
            transaction.send(RAISE, [{"name": second}])

        store.db.write(work)

    assert in_threads(lambda: raising("a", "b"), lambda: raising("b", "a")) == []
    assert (store.pools.get("a").slots, store.pools.get("b").slots) == (2, 2)


def in_threads(*works: object) -> list[BaseException]:
    failures: list[BaseException] = []

    def run(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return failures


def test_of_two_writes_in_a_deadlock_both_are_done(store: Store) -> None:
    store.pools.set("a", 0)
    store.pools.set("b", 0)
    both_began = threading.Barrier(2)
    began: list[str] = []

    def raising(first: str, second: str) -> None:
        def work(transaction: Transaction) -> None:
            transaction.run("UPDATE pool SET slots = slots + 1 WHERE name = :name", {"name": first})
            if len(began) < 2:
                began.append(first)
                both_began.wait(10)
            transaction.run("UPDATE pool SET slots = slots + 1 WHERE name = :name", {"name": second})

        store.db.write(work)

    assert in_threads(lambda: raising("a", "b"), lambda: raising("b", "a")) == []
    assert (store.pools.get("a").slots, store.pools.get("b").slots) == (2, 2)


def test_a_lock_that_is_never_given_back_is_an_error_with_a_remedy(store: Store, url: str) -> None:
    store.db.rows("SELECT set_config('lock_timeout', '50ms', false)")
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM pool FOR UPDATE")
        with pytest.raises(StoreBusy, match="look for a process that holds it open"):
            store.pools.set("default_pool", 1)
    assert store.pools.get("default_pool").slots == 128


def test_an_error_shows_no_values(store: Store) -> None:
    with pytest.raises(StoreError, match=r"null value in column .*nothing of it was kept") as caught:
        store.db.write(
            lambda transaction: transaction.run(
                "INSERT INTO variable (name, description, secret) VALUES ('v', 'c4n4ry', 'c4n4ry')"
            )
        )
    assert "c4n4ry" not in str(caught.value)


# --- Two at once


def test_the_same_idempotency_key_used_twice_at_once_has_one_effect(store: Store) -> None:
    replies: list[object] = []

    def record() -> None:
        replies.append(store.assets.create_event("s3://x", extra={}, who="ann", key="k").id)

    assert in_threads(*[record] * 8) == []
    assert len(set(replies)) == 1
    assert len(store.assets.events().items) == 1


def test_of_two_that_create_a_connection_one_is_told_that_it_exists(url: str) -> None:
    key = "3Ui4nqRvqjlVb5jHQ7sYPG1CDiFbDLOYEIUxTyx2I_c="
    with closing(open_store(url, clock=None, rng=SystemRng(), keys=[key])) as store:
        failures = in_threads(
            *[lambda: store.credentials.set_connection({"conn_id": "c", "conn_type": "x"}, overwrite=False)] * 6
        )
    assert [type(failure) for failure in failures] == [Conflict] * 5


# --- The doorbell


def test_a_listener_hears_commits_that_ring_and_no_others(store: Store, url: str) -> None:
    with closing(PostgresListener(url)) as listener:
        assert listener.heard(), "a fresh one may have missed a ring"
        assert not listener.heard()
        store.db.write(lambda transaction: transaction.run("UPDATE pool SET slots = 1"))
        store.pools.set("p", 1)
        deadline = time.monotonic() + 10
        while not (heard := listener.heard()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert heard
        assert not listener.heard()
        assert listener.fileno() >= 0


def test_a_listener_whose_session_ends_connects_again_and_counts_that_as_a_ring(url: str) -> None:
    with closing(PostgresListener(url)) as listener:
        listener.heard()
        kill_sessions(url)
        deadline = time.monotonic() + 10
        while not listener.heard() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert listener.fileno() == -1
        listener._next_try = 0.0
        assert listener.heard()
        assert listener.fileno() >= 0


def test_a_listener_without_a_database_stays_deaf_and_harms_nobody() -> None:
    with closing(PostgresListener("postgresql://127.0.0.1:1/none")) as listener:
        assert not listener.heard()
        assert listener.fileno() == -1
