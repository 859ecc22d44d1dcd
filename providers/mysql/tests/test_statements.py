"""Statements on MySQL: errors, what stays of a transaction, cancellation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable

import pytest

from windlass_mysql.hook import MySqlHook
from windlass_sql.errors import ConnectionLost, StatementFailed
from windlass_sql.operators import SQLExecuteQueryOperator
from windlass_testing import RunTask

pytestmark = pytest.mark.services
MakeHook = Callable[..., MySqlHook]


def until(condition: Callable[[], bool]) -> bool:
    """Wait for a condition, 20 seconds at most."""
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def running(hook: MySqlHook, mark: str) -> bool:
    """Return whether a statement with this text in it is being executed."""
    sql = "select count(*) from information_schema.processlist where info like %s and id <> connection_id()"
    return bool(hook.get_first(sql, (f"%{mark}%",))[0])


def test_a_script_is_split_as_mysql_reads_it(hook: MySqlHook) -> None:
    script = """
        # a comment; of MySQL's
        insert into items values (9, 'it\\'s;');
        DELIMITER //
        create procedure windlass_p() begin select 1; select 2; end//
        DELIMITER ;
        call windlass_p(); drop procedure windlass_p;
        select `name` from items where id = 9; /*! select 3 */;
    """
    found = hook.run(script, handler=lambda c: c.fetchall(), split_statements=True, return_last=False)
    assert found[4:] == [(("it's;",),), ((3,),)]


def test_a_text_that_nobody_split_is_one_statement(hook: MySqlHook) -> None:
    with pytest.raises(StatementFailed, match=r"\[1064\]"):
        hook.run("insert into items values (4, 'a'); delete from items")
    assert hook.get_first("select count(*) from items") == (3,)


def test_an_error_has_the_databases_words_and_number(hook: MySqlHook) -> None:
    script = ["insert into items values (4, 'a')", "insert into items values (1, 's3cret')", "select 1"]
    with pytest.raises(StatementFailed) as caught:
        hook.run(script)
    # MySQL names the key's table too.
    assert str(caught.value).replace("'items.PRIMARY'", "'PRIMARY'") == (
        "statement 2 of 3 (insert into items values (1, '***')) failed on connection 'db': Duplicate entry '1' for key "
        "'PRIMARY' [1062]. Committed: none of those before it"
    )
    assert hook.get_first("select count(*) from items") == (3,)


def test_data_definition_commits_what_went_before(hook: MySqlHook) -> None:
    script = (
        "insert into items values (4, 'a'); create table other (id int); insert into items values (5, 'b'); nonsense"
    )
    with pytest.raises(StatementFailed, match="Committed: statements 1 to 2 before it; the others were rolled back"):
        hook.run(script, split_statements=True)
    assert [row[0] for row in hook.get_records("select id from items order by id")] == [1, 2, 3, 4]


def test_a_percent_sign_needs_no_care_without_parameters(hook: MySqlHook) -> None:
    assert hook.get_first("select 5 % 3, 'a%s'") == (2, "a%s")
    assert hook.get_first("select %s %% 3", (5,)) == (2,)
    assert hook.get_first("select %(a)s", {"a": "x'; --"}) == ("x'; --",)


def test_a_running_statement_is_cancelled_from_another_thread(hook: MySqlHook, made_hook: MakeHook) -> None:
    slow = made_hook(read_timeout=60)
    mark = f"cancelled {os.getpid()}"

    def cancel() -> None:
        assert until(lambda: running(hook, mark))
        slow.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    # MariaDB makes it an error; MySQL ends the sleep, and the statement with it.
    with pytest.raises(StatementFailed, match=r"interrupted.*\[1317\]"):
        slow.run(f"select id, sleep(611) from items /* {mark} */")  # noqa: S608 - the test's own
    canceller.join()
    slow.cancel()  # nothing runs: nothing happens


def test_a_connection_that_is_killed_is_lost(hook: MySqlHook, made_hook: MakeHook) -> None:
    busy, mark = made_hook(), f"lost {os.getpid()}"

    def kill() -> None:
        assert until(lambda: running(hook, mark))
        sql = "select id from information_schema.processlist where info like %s and id <> connection_id()"
        hook.run(f"kill {hook.get_first(sql, (f'%{mark}%',))[0]}", autocommit=True)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ConnectionLost, match=r"was lost during the statement .* It is not known to be committed"):
        busy.run(f"select sleep(611) /* {mark} */", autocommit=True)
    killer.join()


@pytest.mark.processes
@pytest.mark.parametrize("how", ["hook.run({sql!r})", "next(hook.stream({sql!r}))", "operator.execute({{}})"])
def test_a_killed_task_cancels_its_statement_in_the_server(hook: MySqlHook, mysql_url: str, how: str) -> None:
    mark = f"killed {os.getpid()} {len(how)}"
    # Busy, so that the server does not notice by itself that the client has gone, as a sleeping one does.
    sql = f"select benchmark(4000000000, sha2('x', 256)) /* {mark} */"
    program = textwrap.dedent(
        f"""
        import signal, sys
        from windlass.hooks import Connection
        from windlass_mysql.hook import MySqlHook
        from windlass_sql.operators import SQLExecuteQueryOperator
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        hook = MySqlHook("db")
        hook.connection = Connection.from_uri("db", {mysql_url!r})
        operator = SQLExecuteQueryOperator(task_id="t", sql={sql!r})
        operator._hook = hook
        {how.format(sql=sql)}
        """
    )
    with subprocess.Popen([sys.executable, "-c", program]) as task:
        try:
            assert until(lambda: running(hook, mark))
            task.send_signal(signal.SIGTERM)
            assert task.wait(20) == 143
        finally:
            task.kill()
    try:
        assert until(lambda: not running(hook, mark))
    finally:
        for (number,) in hook.get_records(
            "select id from information_schema.processlist where info like %s and id <> connection_id()", (f"%{mark}%",)
        ):
            hook.run(f"kill {number}")


def test_the_operator_finds_the_hook_by_the_connections_type(hook: MySqlHook, run_task: RunTask) -> None:
    done = run_task(SQLExecuteQueryOperator(task_id="t", conn_id="db", sql="select name from items where id = 1"))
    assert done.result == [("pen",)]
    other = SQLExecuteQueryOperator(
        task_id="t", conn_id="db", sql="select database()", database="mysql", hook_params={"cursor": "dict"}
    )
    assert run_task(other).result == [{"database()": "mysql"}]
