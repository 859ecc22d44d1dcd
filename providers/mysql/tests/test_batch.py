"""Statements of the store that travel together: what fails among them, what guards them, and what ends a trip."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from urllib.parse import quote

import pytest

from windlass.backends import Trouble
from windlass.errors import StoreBusy, StoreError
from windlass.store.database import Refused, Transaction
from windlass.store.dialect import dialect_of
from windlass.store.migrating import open_bare
from windlass.store.store import Store, open_store
from windlass.store.system import SystemRng
from windlass_mysql import batch, session
from windlass_mysql.driver import MySqlDialect
from windlass_mysql.session import Result, Session
from windlass_testing.servers import MysqlServer

pytestmark = pytest.mark.services
InThreads = Callable[..., list[BaseException]]

RAISE = "UPDATE pool SET slots = slots + 1 WHERE name = :name"
INSERT = "INSERT INTO pool (name, slots, description, include_deferred) VALUES (:name, :slots, '', 0)"
ADD = f"{INSERT} ON CONFLICT (name) DO NOTHING"
DEFAULT = {"name": "default_pool"}
NOBODY = {"name": "nobody"}
#: What of a transaction outlives its rollback, so that it shows what has run.
MARK = "SET @ran = 1"
UNTOUCHED = [("default_pool", 128)]


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The statements of each trip of a session, from here on."""
    sent: list[Sequence[str]] = []
    run_all = Session.run_all

    def noted(session: Session, statements: Sequence[str], answers: list[Result]) -> list[Result]:
        sent.append(statements)
        return run_all(session, statements, answers)

    monkeypatch.setattr(Session, "run_all", noted)
    return sent


def pools(store: Store) -> list[tuple[str, int]]:
    return [(pool.name, pool.slots) for pool in store.pools.list()]


def ran(store: Store) -> bool:
    """Whether :data:`MARK` has run in this thread's session."""
    return store.db.rows("SELECT @ran") == [(1,)]


@pytest.fixture(params=[1_000_000, 1], ids=["one trip", "a trip for each"], autouse=True)
def longest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How long the text of a trip may be: all that is true here is so however statements are spread over trips."""
    monkeypatch.setattr(batch, "_LENGTH", request.param)
    return int(request.param)


# --- Order


def test_a_write_is_one_trip_from_its_begin_to_its_commit(
    store: Store, longest: int, trips: list[Sequence[str]]
) -> None:
    store.pools.list()
    trips.clear()

    def work(transaction: Transaction) -> None:
        transaction.each(RAISE, [DEFAULT])
        transaction.send(INSERT, [{"name": "p", "slots": 1}, {"name": "q", "slots": 2}])

    store.db.write(work)
    sent = [sql.partition(" ")[0] for trip in trips for sql in trip]
    if longest == 1:
        assert sent == ["BEGIN", "UPDATE", "SET", "INSERT", "INSERT", "COMMIT"]
        assert len(trips) == 6
    else:
        assert sent == ["BEGIN", "UPDATE", "SET", "INSERT", "COMMIT"]
        assert len(trips) == 1
    assert pools(store) == [("default_pool", 129), ("p", 1), ("q", 2)]


def test_answers_can_be_read_when_the_write_is_over(store: Store) -> None:
    def work(transaction: Transaction) -> list[Callable[[], object]]:
        before = transaction.ask("SELECT slots FROM pool")
        transaction.send(RAISE, [DEFAULT])
        return [before, transaction.ask("SELECT slots FROM pool")]

    assert [answer() for answer in store.db.write(work)] == [[(128,)], [(129,)]]


def test_each_answer_belongs_to_its_statement(store: Store) -> None:
    def work(transaction: Transaction) -> tuple[object, ...]:
        transaction.send(INSERT, [{"name": f"p{number}", "slots": number} for number in range(3)])
        two = transaction.ask("SELECT name, slots FROM pool WHERE slots > 0 AND slots < 3 ORDER BY slots")
        transaction.each(RAISE, [DEFAULT, {"name": "p1"}])
        changed = transaction.many(RAISE, [{"name": "p1"}, NOBODY, {"name": "p2"}])
        none = transaction.ask("SELECT 1 FROM pool WHERE slots < 0")
        return two(), changed, none(), transaction.many(INSERT, [{"name": n, "slots": 9} for n in ("x", "y")])

    assert store.db.write(work) == ([("p1", 1), ("p2", 2)], 2, [], 2)


@pytest.mark.parametrize("text", ["; COMMIT; --", "a\\", "'; DROP TABLE pool; #", "/*", "x\x00;\n", "😀;'\"\\'"])
def test_no_text_ends_its_statement(store: Store, text: str) -> None:
    def work(transaction: Transaction) -> None:
        for name in (f"1{text}", f"2{text}"):
            transaction.send(INSERT, [{"name": name, "slots": 1}])
            transaction.each(RAISE, [{"name": name}])

    store.db.write(work)
    assert pools(store) == [(f"1{text}", 2), (f"2{text}", 2), ("default_pool", 128)]


def test_what_is_longer_than_a_trip_goes_by_itself(store: Store, longest: int) -> None:
    insert = "INSERT INTO variable (name, description, secret, updated_at) VALUES (:name, '', :secret, 1)"
    secrets = {name: name.encode() * 3_000_000 for name in ("a", "b")}

    def work(transaction: Transaction) -> None:
        transaction.send(RAISE, [DEFAULT])
        transaction.send(insert, [{"name": name, "secret": secret} for name, secret in secrets.items()])
        transaction.each(RAISE, [DEFAULT])

    store.db.write(work)
    assert dict(store.db.rows("SELECT name, secret FROM variable")) == secrets
    assert pools(store) == [("default_pool", 130)]


@pytest.mark.parametrize("statements", [["SELECT 1; SELECT 2"], ["SELECT 1; SELECT 2", "SELECT 3"]], ids=len)
def test_a_session_that_was_given_two_statements_as_one_is_given_up(url: str, statements: list[str]) -> None:
    with closing(dialect_of(url).connect()) as session:
        with pytest.raises(AssertionError, match="more than one"):
            session.run_all(statements, [])
        assert not session.open


def test_a_session_that_leaves_a_statement_out_is_a_lost_connection(url: str) -> None:
    dialect = dialect_of(url)
    with closing(dialect.connect()) as session:
        with pytest.raises(dialect.error, match="stopped before the last statement") as caught:
            session.run_all(["SELECT 1 -- the rest is a comment", "SELECT 2"], [])
        assert dialect.trouble(caught.value) is Trouble.DISCONNECTED
        assert not session.open


# --- What fails


@pytest.mark.parametrize("more", [0, 3000], ids=["at the end", "with many after it"])
def test_what_fails_leaves_nothing_and_a_session_that_works(store: Store, more: int) -> None:
    def work(transaction: Transaction) -> None:
        transaction.send(RAISE, [DEFAULT])
        transaction.send(INSERT, [{"name": "default_pool", "slots": 1}])
        transaction.send(MARK, [{}])
        for number in range(more):
            transaction.send(INSERT, [{"name": f"p{number}", "slots": number}])

    mine = store.db.rows("SELECT CONNECTION_ID()")
    for _ in range(2):
        with pytest.raises(Refused, match=r"a row with the same .* nothing of it was kept"):
            store.db.write(work)
    assert pools(store) == UNTOUCHED
    assert not ran(store)
    assert store.db.rows("SELECT CONNECTION_ID()") == mine


@pytest.mark.parametrize("rows", [[NOBODY], [NOBODY, DEFAULT], [DEFAULT, NOBODY], [DEFAULT, NOBODY, DEFAULT]], ids=len)
def test_a_guard_that_finds_no_row_keeps_what_follows_from_running_and_the_commit_from_committing(
    store: Store, rows: list[dict[str, object]]
) -> None:
    def work(transaction: Transaction) -> str:
        transaction.each(RAISE, rows)
        transaction.send(MARK, [{}])
        transaction.send(INSERT, [{"name": "p", "slots": 1}])
        return "usual"

    mine = store.db.rows("SELECT CONNECTION_ID()")
    with pytest.raises(Refused, match=r"a guarded statement found no row to change; nothing of it was kept"):
        store.db.write(work)
    assert not ran(store)
    assert pools(store) == UNTOUCHED
    assert store.db.write(work, lambda transaction: f"{transaction.run(RAISE, DEFAULT)} row") == "1 row"
    assert not ran(store)
    assert pools(store) == [("default_pool", 129)]
    assert store.db.rows("SELECT CONNECTION_ID()") == mine


@pytest.mark.parametrize("guard", ["DO 0", "SET @guard = 1"])
def test_a_server_that_a_guard_does_not_stop_is_refused(url: str, monkeypatch: pytest.MonkeyPatch, guard: str) -> None:
    monkeypatch.setattr(batch, "GUARD", guard)
    with (
        closing(open_bare(url)) as database,
        pytest.raises(StoreError, match="does not stop at a statement that fails"),
    ):
        database.rows("SELECT 1")


def test_of_two_that_claim_the_same_row_one_is_refused(store: Store, in_threads: InThreads) -> None:
    """As two supervisors do that start the same task: the second waits for the first, and judges the row anew."""
    claim = (
        "UPDATE pool SET description = :by WHERE name = 'default_pool' AND description <> 'a' AND description <> 'b'"
    )
    both = threading.Barrier(2)

    def claiming(by: str) -> Callable[[], object]:
        def work(transaction: Transaction) -> None:
            transaction.each(claim, [{"by": by}])
            transaction.send(INSERT, [{"name": by, "slots": 1}])

        def write() -> None:
            store.db.rows("SELECT 1")
            both.wait(10)
            store.db.write(work)

        return write

    for _ in range(20):
        store.db.write(lambda transaction: transaction.run("UPDATE pool SET description = ''"))
        store.db.write(lambda transaction: transaction.run("DELETE FROM pool WHERE name <> 'default_pool'"))
        [failure] = in_threads(claiming("a"), claiming("b"))
        assert isinstance(failure, Refused)
        [(winner,)] = store.db.rows("SELECT description FROM pool WHERE name = 'default_pool'")
        assert [name for name, _ in pools(store)] == [winner, "default_pool"]


def test_a_guard_lets_a_row_pass_that_was_like_that_before(store: Store) -> None:
    store.db.write(lambda transaction: transaction.each("UPDATE pool SET slots = 128", [{}, {}]))


def test_a_number_out_of_range_elsewhere_is_not_taken_for_a_guard(store: Store) -> None:
    with pytest.raises(StoreError, match="out of range") as caught:
        store.db.write(
            lambda transaction: transaction.each("UPDATE pool SET slots = slots + 9223372036854775807", [{}])
        )
    assert not isinstance(caught.value, Refused)


def test_a_row_that_is_there_already_is_passed_over_and_nothing_else_is(store: Store) -> None:
    def adding(*names: str) -> Callable[[Transaction], None]:
        def work(transaction: Transaction) -> None:
            transaction.send(ADD, [{"name": name, "slots": 1} for name in names])
            transaction.send(MARK, [{}])
            transaction.send(RAISE, [DEFAULT])

        return work

    with pytest.raises(StoreError, match="Data truncated for column 'name'"):
        store.db.write(adding("default_pool", "n" * 251))
    assert not ran(store)
    assert pools(store) == UNTOUCHED
    store.db.write(adding("default_pool", "p"))
    assert pools(store) == [("default_pool", 129), ("p", 1)]


def test_nothing_runs_where_another_keeps_the_name(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch, in_threads: InThreads
) -> None:
    monkeypatch.setattr(MySqlDialect, "exclusion", MySqlDialect.exclusion.replace(", 10)", ", 0)"))

    def work(transaction: Transaction) -> None:
        transaction.exclude("n")
        transaction.send(MARK, [{}])
        transaction.send(RAISE, [DEFAULT])

    def keeping(transaction: Transaction) -> None:
        transaction.exclude("n")
        transaction.rows("SELECT 1")
        [failure] = in_threads(lambda: other.db.write(work))
        assert isinstance(failure, StoreBusy)

    with closing(open_store(url, clock=None, rng=SystemRng())) as other:
        store.db.write(keeping)
        assert pools(store) == UNTOUCHED
        other.db.write(work)
        store.db.write(work)
    assert pools(store) == [("default_pool", 130)]


def test_a_lock_that_is_not_given_back_in_the_trip_that_commits_leaves_nothing(store: Store, url: str) -> None:
    store.db.rows("SET innodb_lock_wait_timeout = 1")
    store.pools.set("q", 1)

    def work(transaction: Transaction) -> None:
        transaction.send("UPDATE pool SET slots = 2 WHERE name = 'q'", [{}])
        transaction.send("UPDATE pool SET slots = 2 WHERE name = 'default_pool'", [{}])
        transaction.send(MARK, [{}])

    with closing(dialect_of(url).connect()) as other:
        other.run("BEGIN")
        other.run("SELECT 1 FROM pool WHERE name = 'default_pool' FOR UPDATE")
        with pytest.raises(StoreBusy, match="look for a process that holds it open"):
            store.db.write(work)
        assert not ran(store)
        other.run("UPDATE pool SET slots = 3 WHERE name = 'q'")
        other.run("COMMIT")
    assert pools(store) == [("default_pool", 128), ("q", 3)]


def test_a_deadlock_found_in_the_trip_that_commits_has_the_work_done_again(store: Store, in_threads: InThreads) -> None:
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
            transaction.each(RAISE, [{"name": second}])

        store.db.write(work)

    assert in_threads(lambda: raising("a", "b"), lambda: raising("b", "a")) == []
    assert (store.pools.get("a").slots, store.pools.get("b").slots) == (2, 2)


# --- Savepoints


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

    with pytest.raises(Refused, match="a row with the same"):
        store.db.write(work)
    assert pools(store) == UNTOUCHED


def test_a_violation_inside_a_savepoint_undoes_the_block_alone(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        transaction.send(RAISE, [DEFAULT])
        with contextlib.suppress(transaction.violation), transaction.savepoint():
            transaction.send(INSERT, [{"name": "p", "slots": 1}])
            transaction.run(INSERT, {"name": "default_pool", "slots": 1})
            pytest.fail("two rows have the same name")
        transaction.send(RAISE, [DEFAULT])

    store.db.write(work)
    assert pools(store) == [("default_pool", 130)]


# --- Sessions that end


def end_while_it_sleeps(url: str) -> None:
    """End the session that runs SLEEP, once there is one."""
    with closing(dialect_of(url).connect()) as session:
        asleep = (
            "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            " AND state = 'User sleep'"
        )
        deadline = time.monotonic() + 20
        while not (found := session.run(asleep).fetchall()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        session.run(f"KILL {found[0][0]}")


@pytest.fixture
def ending(url: str) -> Iterator[None]:
    """Ends the next session that sleeps."""
    thread = threading.Thread(target=end_while_it_sleeps, args=(url,))
    thread.start()
    yield
    thread.join(30)


@pytest.mark.usefixtures("ending")
def test_a_connection_lost_in_the_trip_that_commits_is_an_error_that_says_so(store: Store) -> None:
    runs = 0

    def work(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        transaction.send(RAISE, [DEFAULT])
        transaction.ask("SELECT SLEEP(60)")

    with pytest.raises(StoreError, match=r"broke during a commit: .*whether it was kept"):
        store.db.write(work)
    assert runs == 1
    assert pools(store) == UNTOUCHED
    store.db.write(lambda transaction: transaction.send(RAISE, [DEFAULT]))
    assert pools(store) == [("default_pool", 129)]


@pytest.mark.usefixtures("ending")
def test_a_connection_lost_in_a_trip_before_that_has_the_work_done_again(store: Store) -> None:
    runs = 0

    def work(transaction: Transaction) -> int:
        nonlocal runs
        runs += 1
        transaction.send(RAISE, [DEFAULT])
        if runs == 1:
            transaction.ask("SELECT SLEEP(60)")
        return transaction.run(RAISE, DEFAULT)

    assert store.db.write(work) == 1
    assert runs == 2
    assert pools(store) == [("default_pool", 130)]


def said_goodbye(store: Store) -> bool:
    """Wait until the server has ended the session of ``store``, which takes it a moment."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            store.db.dialect.look(store.db._connection())
        except store.db.dialect.error:
            return True
        time.sleep(0.01)
    return False


def test_a_session_that_ended_while_idle_is_noticed_before_anything_is_sent(
    store: Store, url: str, trips: list[Sequence[str]]
) -> None:
    [(mine,)] = store.db.rows("SELECT CONNECTION_ID()")
    with closing(dialect_of(url).connect()) as other:
        other.run(f"KILL {mine}")
    assert said_goodbye(store)
    trips.clear()
    store.db.write(lambda transaction: transaction.send(RAISE, [DEFAULT]))
    assert [sql for trip in trips for sql in trip].count("BEGIN") == 1
    assert pools(store) == [("default_pool", 129)]


def test_a_session_that_is_encrypted_is_not_taken_for_ended(mysql_server: MysqlServer) -> None:
    url = f"{mysql_server.new_database()}?ssl_ca={quote(str(mysql_server.certificate), safe='')}"
    with closing(open_bare(url)) as database:
        mine = database.rows("SELECT CONNECTION_ID()")
        for _ in range(3):
            assert database.write(lambda transaction: transaction.rows("SELECT CONNECTION_ID()")) == mine


def test_a_session_whose_answers_are_not_read_is_given_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(cursor: object) -> Result:
        raise Interrupted

    mine = store.db.rows("SELECT CONNECTION_ID()")
    monkeypatch.setattr(session, "_result", interrupt)
    with pytest.raises(Interrupted):
        store.db.write(lambda transaction: transaction.rows("SELECT slots FROM pool"))
    monkeypatch.undo()
    assert store.db.rows("SELECT CONNECTION_ID()") != mine
    assert pools(store) == UNTOUCHED
    store.db.write(lambda transaction: transaction.send(RAISE, [DEFAULT]))
    assert pools(store) == [("default_pool", 129)]


def test_a_session_out_of_step_is_a_lost_connection(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a KILL QUERY between two statements: the server stops, and says so when it ends the idle session."""
    monkeypatch.setattr(batch, "_LENGTH", 1_000_000)
    [(before,)] = store.db.rows("SELECT CONNECTION_ID()")
    driver = store.db._connection().driver  # type: ignore[attr-defined]
    next_result = driver.next_result

    def another(*, unbuffered: bool) -> object:
        driver._next_seq_id += 1
        return next_result(unbuffered=unbuffered)

    monkeypatch.setattr(driver, "next_result", another)
    with pytest.raises(StoreError, match=r"broke during a commit: Packet sequence .*whether it was kept"):
        store.db.write(lambda transaction: transaction.each(RAISE, [DEFAULT]))
    assert store.db.rows("SELECT CONNECTION_ID()") != [(before,)]
