"""MySQL and MariaDB as Windlass's own store: its words, its errors, and what becomes of a broken connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import pytest

from windlass.backends import Statement
from windlass.errors import ConfigError, Conflict, StoreBusy, StoreError
from windlass.store.database import Transaction
from windlass.store.dialect import dialect_of
from windlass.store.doorbell import DatagramBell, listening_bell
from windlass.store.migrating import migrate, open_bare
from windlass.store.store import Store, open_store
from windlass.store.system import SystemRng
from windlass_mysql import batch, driver
from windlass_mysql.address import Address
from windlass_mysql.driver import MySqlDialect
from windlass_mysql.session import Result, Session, Values
from windlass_testing.servers import MysqlServer

pytestmark = pytest.mark.services
InThreads = Callable[..., list[BaseException]]


# --- Words


def words(sql: str) -> str:
    return MySqlDialect("mysql://h/d").translate(sql)


def test_parameters_get_the_drivers_style_and_quoted_text_stays() -> None:
    assert words("SELECT ':no' || :yes WHERE a LIKE '%x' AND b = :yes") == (
        "SELECT ':no' || %(yes)s WHERE a LIKE '%%x' AND b = %(yes)s"
    )


def test_the_elements_of_a_json_array_are_listed() -> None:
    sql = words("id IN IDS(:ids) AND n NOT IN NAMES(:names)")
    assert sql % Values({"ids": "[1,-2]", "names": '["a\'b"]'}) == r"id IN (1,-2) AND n NOT IN ('a\'b')"
    empty = sql % Values({"ids": "[]", "names": "[]"})
    assert empty == "id IN (NULL) AND n NOT IN (SELECT 1 FROM DUAL WHERE 1 = 0)"


def test_locks_types_and_functions_have_other_names() -> None:
    assert words("SELECT 1 FROM t FOR_UPDATE") == "SELECT 1 FROM t FOR UPDATE"
    assert words("… FOR_UPDATE OF t SKIP_LOCKED") == "… FOR UPDATE SKIP LOCKED"
    assert words("… FOR_SHARE OF l ON CONFLICT DO NOTHING") == "… LOCK IN SHARE MODE"
    assert words("CAST(:a AS BIGINT), CAST(b AS TEXT), BYTES(t.c)") == (
        "CAST(%(a)s AS SIGNED), CAST(b AS CHAR), OCTET_LENGTH(t.c)"
    )


def test_conflicts_are_passed_over_or_update_the_row() -> None:
    assert (
        words("INSERT INTO t (a) VALUES (:a) ON CONFLICT (a, b) DO NOTHING")
        == "INSERT IGNORE INTO t (a) VALUES (%(a)s)"
    )
    assert words("INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = 0") == (
        "INSERT INTO t (a) VALUES (%(a)s) ON DUPLICATE KEY UPDATE b = VALUES(b), c = 0"
    )


@pytest.mark.parametrize(
    "text", ["snow ☃ 😀 100% 'quoted' \" \\ \\' \n\r\t", "", "a\x00b", "'; DROP TABLE pool; --", "\\"]
)
def test_texts_come_back_as_they_went_in(store: Store, text: str) -> None:
    store.pools.set("p", 2**40, text)
    assert (store.pools.get("p").description, store.pools.get("p").slots) == (text, 2**40)


def test_all_bytes_come_back_as_they_went_in(store: Store) -> None:
    secret = bytes(range(256)) * 300
    insert = "INSERT INTO variable (name, description, secret, updated_at) VALUES ('v', '', :secret, 1)"
    store.db.write(lambda transaction: transaction.run(insert, {"secret": secret}))
    assert store.db.rows("SELECT secret FROM variable") == [(secret,)]


def test_names_differ_by_case_accent_and_blank(store: Store) -> None:
    names = ["a", "A", "á", "a ", "ä"]
    for number, name in enumerate(names):
        store.pools.set(name, number)
    assert [store.pools.get(name).slots for name in names] == [0, 1, 2, 3, 4]
    assert store.db.rows("SELECT name FROM pool WHERE name IN NAMES(:names)", {"names": '["A"]'}) == [("A",)]
    assert store.db.rows("SELECT :small = :large", {"small": "a", "large": "A"}) == [(0,)]


def test_a_sum_is_a_number_like_any_other(store: Store) -> None:
    [row] = store.db.rows("SELECT SUM(slots), AVG(slots), SUM(0.5) FROM pool")
    assert row == (128, 128.0, 0.5)
    assert [type(value) for value in row] == [int, float, float]


# --- What statements say they did


def add(name: str) -> Callable[[Transaction], int]:
    insert = "INSERT INTO pool (name, slots, description) VALUES (:name, 1, '') ON CONFLICT (name) DO NOTHING"
    return lambda transaction: transaction.run(insert, {"name": name})


def test_a_row_that_is_there_already_is_not_inserted_and_not_counted(store: Store) -> None:
    assert [store.db.write(add(name)) for name in ("p", "p", "q")] == [1, 0, 1]


def test_nothing_but_a_row_that_is_there_already_is_passed_over(store: Store) -> None:
    with pytest.raises(StoreError, match="Data truncated for column 'name'"):
        store.db.write(add("n" * 251))
    assert [pool.name for pool in store.pools.list()] == ["default_pool"]


def test_a_wrong_row_is_found_among_any_number_that_are_there_already(store: Store) -> None:
    insert = "INSERT INTO pool (name, slots, description) VALUES (:name, 1, '') ON CONFLICT (name) DO NOTHING"
    rows = [{"name": "default_pool"}] * 2000
    assert store.db.write(lambda transaction: transaction.many(insert, rows)) == 0
    with pytest.raises(StoreError, match="Data truncated for column 'name'"):
        store.db.write(lambda transaction: transaction.many(insert, [*rows, {"name": "n" * 251}]))


def test_a_server_that_remembers_too_little_of_what_was_passed_over_is_not_trusted(database: str) -> None:
    dialect = MySqlDialect(database)
    with closing(dialect.connect()) as session:
        session.run("SET max_error_count = 2")
        session.run("CREATE TEMPORARY TABLE numbers (n INTEGER PRIMARY KEY)")
        session.run("INSERT INTO numbers VALUES (1), (2), (3)")
        session.run("INSERT IGNORE INTO numbers VALUES (1), (2)")
        with pytest.raises(dialect.error, match="of 3 warnings the server remembers 2; set its max_error_count"):
            session.run("INSERT IGNORE INTO numbers VALUES (1), (2), (3)")


def test_a_reference_to_nothing_is_not_passed_over_either(store: Store) -> None:
    sql = "INSERT INTO deadline_miss (run, position, due_at, missed_at) VALUES (9, 0, 0, 0) ON CONFLICT DO NOTHING"
    with pytest.raises(StoreError, match="a foreign key constraint fails") as caught:
        store.db.write(lambda transaction: transaction.run(sql))
    assert isinstance(caught.value.__cause__, MySqlDialect.violation)


def test_a_row_that_an_update_finds_counts_also_if_it_was_like_that(store: Store) -> None:
    sql = "UPDATE pool SET slots = :slots"
    assert [store.db.write(lambda transaction: transaction.run(sql, {"slots": 7})) for _ in range(2)] == [1, 1]


def test_many_rows_are_inserted_by_few_statements_and_all_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    run_all = Session.run_all

    def noted(session: Session, statements: Sequence[str], answers: list[Result]) -> object:
        sent.extend(statements)
        return run_all(session, statements, answers)

    monkeypatch.setattr(Session, "run_all", noted)
    monkeypatch.setattr(batch, "_LENGTH", 300)
    insert = "INSERT INTO pool (name, slots, description) VALUES (:name, 1, ':)') ON CONFLICT (name) DO NOTHING"
    rows = [{"name": f"p{number}"} for number in range(40)] + [{"name": "default_pool"}]
    assert store.db.write(lambda transaction: transaction.many(insert, rows)) == 40
    assert 2 < sum(sql.startswith("INSERT") for sql in sent) < 20
    changes = [{"name": f"p{number}"} for number in range(3)]
    sql = "UPDATE pool SET slots = 2 WHERE name = :name"
    assert store.db.write(lambda transaction: transaction.many(sql, changes)) == 3
    upsert = (
        "INSERT INTO pool (name, slots, description) VALUES (:name, 5, '')"
        " ON CONFLICT (name) DO UPDATE SET slots = excluded.slots"
    )
    store.db.write(lambda transaction: transaction.many(upsert, changes))
    assert store.db.rows("SELECT COUNT(*) FROM pool WHERE slots = 5") == [(3,)]


# --- Users and URLs


def test_a_user_who_may_do_everything_with_the_database_and_nothing_else_is_enough(url: str) -> None:
    name, parts = f"windlass_{uuid4().hex[:8]}", urlsplit(url)
    with closing(dialect_of(url).connect()) as session:
        session.run(f"CREATE USER {name} IDENTIFIED BY 'p@ss'")
        try:
            session.run(f"GRANT ALL ON {parts.path[1:]}.* TO {name}")
            theirs = urlunsplit(parts._replace(netloc=f"{name}:p%40ss@{parts.hostname}:{parts.port or 3306}"))
            migrate(theirs)
            with closing(open_store(theirs, clock=None, rng=SystemRng())) as store:
                store.pools.set("p", 1, "")
                assert store.pools.get("p").slots == 1
        finally:
            session.run(f"DROP USER {name}")


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_a_driver_in_the_url_is_passed_over(url: str, scheme: str) -> None:
    given = url.replace("mysql://", f"{scheme}://") + "?charset=utf8mb4&connect_timeout=7"
    with closing(open_bare(given)) as database:
        assert database.rows("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:s3cret@h/d", "not one of MySQL or MariaDB: mysql://user:password@host:3306/database"),
        ("mysql:u:s3cret", "not one of MySQL or MariaDB"),
        ("mysql://u:s3cret@h", "names no database"),
        ("mysql://u:s3cret@h:port/d", "cannot be read"),
        ("mysql://u:s3cret@h/d?ssl_cq=x", r"does not know \(ssl_cq\); there are ssl_ca"),
        ("mysql://u:s3cret@h/d?ssl_verify_cert=maybe", "ssl_verify_cert in the database URL must be true or false"),
    ],
)
def test_a_url_that_means_nothing_is_refused_without_its_password(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Address(url)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    dialect = dialect_of("mysql://ada:s3cret@127.0.0.1:1/flows")
    with pytest.raises(StoreError, match=r"flows on 127\.0\.0\.1:1: .*refused; check that the server runs") as caught:
        dialect.connect()
    assert "s3cret" not in str(caught.value)


def test_a_host_that_vanishes_is_noticed(url: str) -> None:
    with closing(dialect_of(url).connect()) as session:
        made = session.driver._sock
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


def test_whoever_answers_and_never_greets_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"mysql://ada@127.0.0.1:{mute.getsockname()[1]}/flows?connect_timeout=1"
        with pytest.raises(StoreError, match=r"no greeting within 1 s \(connect_timeout\); check that the server runs"):
            dialect_of(url).connect()


def test_a_wrong_password_and_a_database_that_is_not_there_are_told_with_a_remedy(mysql_server: MysqlServer) -> None:
    with pytest.raises(
        StoreError, match=r"Access denied .*; check the user and the password in database\.sql"
    ) as caught:
        dialect_of(f"mysql://ada:s3cret@127.0.0.1:{mysql_server.port}/flows").connect()
    assert "s3cret" not in str(caught.value)
    with pytest.raises(StoreError, match="Unknown database 'flows'; create it with CREATE DATABASE"):
        dialect_of(f"{mysql_server.url}flows").connect()


def test_a_server_that_is_too_old_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    product, version = dialect_of(url).version().split()
    monkeypatch.setattr(driver, "MINIMUM", {product: (99, 1)})
    with pytest.raises(StoreError, match=rf"is {product} {version}; Windlass needs {product} 99\.1 or newer"):
        dialect_of(url).connect()


def test_tls_is_used_and_the_server_checked_where_the_url_says_so(mysql_server: MysqlServer) -> None:
    url = mysql_server.new_database()
    checked = f"?ssl_ca={quote(str(mysql_server.certificate), safe='')}&ssl_verify_identity=true"
    with closing(open_bare(url + checked)) as database:
        assert database.rows("SHOW STATUS LIKE 'Ssl_cipher'")[0][1]
    for own_machine in (url, f"{url}?ssl_disabled=true"):
        with closing(open_bare(own_machine)) as database:
            assert not database.rows("SHOW STATUS LIKE 'Ssl_cipher'")[0][1]
    with pytest.raises(StoreError, match="cannot connect"):
        dialect_of(f"{url}?ssl_verify_cert=true").connect()


def test_the_shell_gets_the_password_where_no_list_of_processes_shows_it() -> None:
    shell = dialect_of("mysql://ada:s3cret@h:3307/flows?ssl_ca=/ca.pem").shell()
    assert shell.program in {"mariadb", "mysql"}
    assert "s3cret" not in " ".join(shell.arguments)
    assert {"--host=h", "--port=3307", "--user=ada", "--ssl-ca=/ca.pem", "flows"} <= set(shell.arguments)
    assert shell.environment == {"MYSQL_PWD": "s3cret"}
    local = dialect_of("mysql:///flows?unix_socket=/run/db.sock").shell()
    assert "--socket=/run/db.sock" in local.arguments
    assert local.environment == {}


def test_an_unknown_mode_of_commits_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose FULL"):
        dialect_of("mysql://h/d", synchronous="OFF")


def test_every_session_is_as_the_engine_needs_it(store: Store) -> None:
    [(version,)] = store.db.rows("SELECT VERSION()")
    level = "tx_isolation" if "MariaDB" in version else "transaction_isolation"
    row = store.db.rows(f"SELECT @@{level}, @@autocommit, @@innodb_lock_wait_timeout, @@wait_timeout, @@time_zone")
    assert row == [("READ-COMMITTED", 1, 10, 30, "+00:00")]


def test_a_server_that_may_lose_commits_or_refuse_them_is_told_of(mysql_server: MysqlServer) -> None:
    url = mysql_server.new_database()

    def told(**settings: object) -> list[str]:
        with closing(dialect_of(url).connect()) as session:
            for name, value in settings.items():
                session.run(f"SET GLOBAL {name} = {value}")
        return [finding for finding, _ in dialect_of(url).weaknesses()]

    assert "a crash of the server loses" in told(innodb_flush_log_at_trx_commit=0)[0]
    assert "a crash of its host loses" in told(innodb_flush_log_at_trx_commit=2)[0]
    assert told(innodb_flush_log_at_trx_commit=1) == []
    assert told(binlog_format="'STATEMENT'") == [], "it keeps no binary log"


# --- Time


def test_database_time_is_the_servers_and_is_asked_for_seldom(store: Store) -> None:
    [(there,)] = store.db.rows("SELECT UTC_TIMESTAMP(6)")
    before = store.db.statements
    here = [store.db.clock.now() for _ in range(100)]
    assert abs((here[0] - there.replace(tzinfo=UTC)).total_seconds()) < 1
    assert here == sorted(here)
    assert store.db.statements - before <= 1
    assert isinstance(here[0], datetime)


# --- Troubles


def kill_sessions(url: str) -> None:
    with closing(dialect_of(url).connect()) as session:
        others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        for (number,) in session.run(others).fetchall():
            session.run(f"KILL {number}")
        while session.run(others).fetchall():
            time.sleep(0.01)


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
    commit = MySqlDialect.commit

    def breaks(dialect: MySqlDialect, connection: Session, *, ring: bool, after: Sequence[Statement] = ()) -> None:
        commit(dialect, connection, ring=ring, after=after)
        kill_sessions(url)
        connection.run("SELECT 1")

    monkeypatch.setattr(MySqlDialect, "commit", breaks)
    with pytest.raises(StoreError, match=r"broke during a commit: .*whether it was kept"):
        store.pools.set("p", 1)
    monkeypatch.undo()
    assert store.pools.get("p").slots == 1


@pytest.mark.parametrize("inside", ["transaction", "savepoint"])
def test_of_two_writes_in_a_deadlock_both_are_done(store: Store, inside: str, in_threads: InThreads) -> None:
    store.pools.set("a", 0)
    store.pools.set("b", 0)
    both_began = threading.Barrier(2)
    began: list[str] = []

    def raising(first: str, second: str) -> None:
        sql = "UPDATE pool SET slots = slots + 1 WHERE name = :name"

        def work(transaction: Transaction) -> None:
            transaction.run(sql, {"name": first})
            if len(began) < 2:
                began.append(first)
                both_began.wait(10)
            if inside == "transaction":
                transaction.run(sql, {"name": second})
                return
            with transaction.savepoint():
                transaction.run(sql, {"name": second})

        store.db.write(work)

    assert in_threads(lambda: raising("a", "b"), lambda: raising("b", "a")) == []
    assert (store.pools.get("a").slots, store.pools.get("b").slots) == (2, 2)


def test_a_lock_that_is_never_given_back_is_an_error_and_leaves_nothing_behind(store: Store, url: str) -> None:
    store.db.rows("SET innodb_lock_wait_timeout = 1")
    store.pools.set("q", 1)

    def work(transaction: Transaction) -> None:
        transaction.run("UPDATE pool SET slots = 2 WHERE name = 'q'")
        transaction.run("UPDATE pool SET slots = 2 WHERE name = 'default_pool'")

    with closing(dialect_of(url).connect()) as other:
        other.run("BEGIN")
        other.run("SELECT 1 FROM pool WHERE name = 'default_pool' FOR UPDATE")
        with pytest.raises(StoreBusy, match="look for a process that holds it open"):
            store.db.write(work)
        # The server undid only the statement that waited; nobody waits for the rest of the transaction.
        other.run("UPDATE pool SET slots = 3 WHERE name = 'q'")
        other.run("COMMIT")
    assert [store.pools.get(name).slots for name in ("q", "default_pool")] == [3, 128]


def test_an_error_shows_no_values(store: Store) -> None:
    def failing(sql: str) -> str:
        with pytest.raises(StoreError, match="nothing of it was kept") as caught:
            store.db.write(lambda transaction: transaction.run(sql))
        return str(caught.value)

    same = failing("INSERT INTO pool (name, slots, description) VALUES ('default_pool', 1, '')")
    assert "a row with the same" in same
    assert "default_pool" not in same
    assert "canary" not in failing("UPDATE pool SET slots = 'canary'")
    assert "canary" not in failing("UPDATE pool SET slots = 1 WHERE WHERE 'canary'")
    assert "'description' cannot be null" in failing("UPDATE pool SET description = NULL")


# --- Names that exclude


def holding(store: Store, name: str, held: threading.Event, release: threading.Event) -> threading.Thread:
    def work(transaction: Transaction) -> None:
        transaction.exclude(name)
        transaction.rows("SELECT 1")
        held.set()
        assert release.wait(30)

    thread = threading.Thread(target=lambda: store.db.write(work))
    thread.start()
    assert held.wait(30)
    return thread


def test_a_name_is_free_again_when_its_transaction_has_ended_or_failed(store: Store, url: str) -> None:
    class Wrong(Exception):
        pass

    def failing(transaction: Transaction) -> None:
        transaction.exclude("n")
        transaction.rows("SELECT 1")
        raise Wrong

    with closing(open_store(url, clock=None, rng=SystemRng())) as other:
        other.db.write(lambda transaction: transaction.exclude("n"))
        store.db.write(lambda transaction: transaction.exclude("n"))
        with pytest.raises(Wrong):
            other.db.write(failing)
        store.db.write(lambda transaction: transaction.exclude("n"))


def test_a_name_lets_no_other_pass_until_its_transaction_ends(store: Store, url: str) -> None:
    held, release = threading.Event(), threading.Event()
    thread = holding(store, "n", held, release)
    passed = threading.Event()
    with closing(open_store(url, clock=None, rng=SystemRng())) as other:
        other.db.write(lambda transaction: transaction.exclude("N"))  # another name

        def second(transaction: Transaction) -> None:
            transaction.exclude("n")
            transaction.rows("SELECT 1")
            passed.set()

        waiting = threading.Thread(target=lambda: other.db.write(second))
        waiting.start()
        assert not passed.wait(0.3)
        release.set()
        assert passed.wait(30)
        waiting.join(30)
    thread.join(30)


def test_a_name_that_is_never_given_back_is_an_error(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MySqlDialect, "exclusion", MySqlDialect.exclusion.replace(", 10)", ", 0)"))
    held, release = threading.Event(), threading.Event()
    thread = holding(store, "n", held, release)
    with (
        closing(open_store(url, clock=None, rng=SystemRng())) as other,
        pytest.raises(StoreBusy, match="stayed locked"),
    ):
        other.db.write(lambda transaction: transaction.exclude("n"))
    release.set()
    thread.join(30)


def test_a_name_is_free_when_the_session_that_had_it_broke(store: Store, url: str) -> None:
    runs = 0

    def work(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        transaction.exclude("n")
        transaction.rows("SELECT 1")
        if runs == 1:
            kill_sessions(url)
        transaction.run("UPDATE pool SET slots = 1")

    store.db.write(work)
    assert runs == 2
    with closing(open_store(url, clock=None, rng=SystemRng())) as other:
        other.db.write(lambda transaction: transaction.exclude("n"))


# --- Two at once


def test_the_same_idempotency_key_used_twice_at_once_has_one_effect(store: Store, in_threads: InThreads) -> None:
    replies: list[object] = []

    def record() -> None:
        replies.append(store.assets.create_event("s3://x", extra={}, who="ann", key="k").id)

    assert in_threads(*[record] * 8) == []
    assert len(set(replies)) == 1
    assert len(store.assets.events().items) == 1


def test_of_two_that_create_a_connection_one_is_told_that_it_exists(url: str, in_threads: InThreads) -> None:
    key = "3Ui4nqRvqjlVb5jHQ7sYPG1CDiFbDLOYEIUxTyx2I_c="
    with closing(open_store(url, clock=None, rng=SystemRng(), keys=[key])) as store:
        failures = in_threads(
            *[lambda: store.credentials.set_connection({"conn_id": "c", "conn_type": "x"}, overwrite=False)] * 6
        )
    assert [type(failure) for failure in failures] == [Conflict] * 5


# --- The doorbell


def test_the_local_doorbell_rings_since_the_server_tells_nobody(url: str, tmp_path: Path) -> None:
    with (
        closing(listening_bell(tmp_path / "doorbell", url)) as bell,
        closing(DatagramBell(tmp_path / "doorbell")) as rope,
    ):
        with closing(open_store(url, clock=None, rng=SystemRng(), doorbell=rope)) as store:
            store.db.write(lambda transaction: transaction.run("UPDATE pool SET slots = 1"))
            assert not bell.wait(0.0)
            store.pools.set("p", 1)
        assert bell.wait(10.0)
