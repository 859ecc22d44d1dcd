"""Statements on PostgreSQL: errors, notices, timeouts, cancellation."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable

import pytest

from windlass_postgres.hook import PostgresHook
from windlass_sql.errors import StatementFailed
from windlass_sql.operators import SQLExecuteQueryOperator
from windlass_testing import RunTask

pytestmark = pytest.mark.services
MakeHook = Callable[..., PostgresHook]


def until(condition: Callable[[], bool]) -> bool:
    """Wait for a condition, 20 seconds at most."""
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def sleeping(hook: PostgresHook, application: str) -> bool:
    """Return whether a connection of that name executes pg_sleep."""
    sql = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and application_name = %s"
    return bool(hook.get_first(sql, (application,))[0])


def test_a_script_is_split_as_postgresql_reads_it(hook: PostgresHook) -> None:
    script = """
        create function f() returns int language plpgsql as $$ begin; perform 1; return 1; end $$;
        create procedure p() begin atomic insert into items values (9, ';'); select 1; end;
        call p(); select e'\\';', "name" from items where id = 9; /* a /* nested; */ ; */
    """.replace("begin; perform", "begin perform")
    assert hook.run(script, handler=lambda c: c.description and c.fetchall(), split_statements=True) == [("';", ";")]


def test_an_error_has_the_databases_words_and_code(hook: PostgresHook) -> None:
    script = ["insert into items values (4, 'a')", "insert into items values (1, 's3cret')", "select 1"]
    with pytest.raises(StatementFailed) as caught:
        hook.run(script)
    assert str(caught.value) == (
        "statement 2 of 3 (insert into items values (1, '***')) failed on connection 'db': duplicate key value "
        'violates unique constraint "items_pkey" DETAIL: Key (id)=(1) already exists. [23505]. '
        "Committed: none of those before it"
    )
    assert caught.value.sqlstate == "23505"
    with pytest.raises(StatementFailed, match="Committed: statement 1 before it"):
        hook.run(script, autocommit=True)
    assert hook.get_first("select count(*) from items") == (4,)


def test_notices_go_to_the_log(hook: PostgresHook, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        hook.run("do $$ begin raise notice 'half way: %', 50; end $$")
    assert "notice: half way: 50" in caplog.text


def test_notices_can_be_left_out(made_hook: MakeHook, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        made_hook({"enable_log_db_messages": False}).run("do $$ begin raise notice 'half way'; end $$")
    assert "notice: half" not in caplog.text


def test_a_statement_timeout_is_the_servers(made_hook: MakeHook) -> None:
    with pytest.raises(StatementFailed, match=r"canceling statement due to statement timeout \[57014\]"):
        made_hook(options="-c statement_timeout=50").run("select pg_sleep(60)")


def test_a_percent_sign_needs_no_care_without_parameters(hook: PostgresHook) -> None:
    assert hook.get_first("select 5 % 3, 'a%s'") == (2, "a%s")
    assert hook.get_first("select %s::int %% 3", (5,)) == (2,)
    assert hook.get_first("select %(a)s", {"a": "x"}) == ("x",)


def test_a_running_statement_is_cancelled_from_another_thread(hook: PostgresHook, made_hook: MakeHook) -> None:
    slow = made_hook(application_name="slow", options="-c statement_timeout=60s")

    def cancel() -> None:
        assert until(lambda: sleeping(hook, "slow"))
        slow.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(StatementFailed, match="canceling statement due to user request"):
        slow.run("select pg_sleep(611)")
    canceller.join()
    slow.cancel()  # nothing runs: nothing happens


@pytest.mark.processes
@pytest.mark.parametrize("interrupt", ["SystemExit(143)", "TimeoutError('too long')"])
@pytest.mark.parametrize("how", ["hook.run({sql!r})", "next(hook.stream({sql!r}))", "operator.execute({{}})"])
def test_an_interrupted_task_cancels_its_statement_in_the_server(
    hook: PostgresHook, postgres_url: str, how: str, interrupt: str
) -> None:
    name, sql = f"windlass-{os.getpid()}-{len(how)}-{interrupt[:3]}", "select pg_sleep(612)"
    uri = postgres_url
    program = textwrap.dedent(
        f"""
        import signal, sys
        from windlass.hooks import Connection
        from windlass_postgres.hook import PostgresHook
        from windlass_sql.operators import SQLExecuteQueryOperator
        def terminated(*_):
            raise {interrupt}
        signal.signal(signal.SIGTERM, terminated)
        hook = PostgresHook("db")
        hook.connection = Connection.from_uri("db", {f"{uri}?application_name={name}"!r})
        operator = SQLExecuteQueryOperator(task_id="t", sql={sql!r})
        operator._hook = hook
        {how.format(sql=sql)}
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as task:
        try:
            assert until(lambda: sleeping(hook, name))
            task.send_signal(signal.SIGTERM)
            assert task.wait(20) == (143 if "143" in interrupt else 1)
        finally:
            task.kill()
    assert not sleeping(hook, name)


def test_the_operator_finds_the_hook_by_the_connections_type(hook: PostgresHook, run_task: RunTask) -> None:
    done = run_task(SQLExecuteQueryOperator(task_id="t", conn_id="db", sql="select name from items where id = 1"))
    assert done.result == [("pen",)]
    other = SQLExecuteQueryOperator(
        task_id="t", conn_id="db", sql="select current_database()", database="postgres", hook_params={"cursor": "dict"}
    )
    assert run_task(other).result == [{"current_database": "postgres"}]
