"""Two hosts on one database: both work at once, limits hold across them, and each takes over from the other.

Each home stands for a host. A ledger outside the database tells what ran, where, and what at the same time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from windlass.app.clocks import SystemRng
from windlass.planning.sharing import holder_of
from windlass.store import Store, invariant_violations, open_store
from windlass_testing.live import LiveInstallation
from windlass_testing.stores import URL_FIXTURES, emptied_url

pytestmark = [pytest.mark.processes, pytest.mark.services, pytest.mark.timeout(240)]

#: DAGs that fall to each of the homes.
EACH = 3
SOURCE = """
import os, time
from datetime import datetime, timedelta
from windlass import DAG, get_current_context, task

def note(word):
    context = get_current_context()
    with open(os.environ["LEDGER"], "a") as ledger:
        words = word, os.environ["HOST"], context["dag"].dag_id, context["run_id"], context["ti"].task_id
        ledger.write(" ".join(words) + "\\n")

@task(pool="narrow")
def work():
    note("start")
    time.sleep(0.2)
    note("end")

for name in NAMES:
    with DAG(
        name,
        schedule=SCHEDULE,
        start_date=datetime(2026, 1, 1),
        end_date=datetime(2026, 1, 1, 0, 0, 50),
        catchup=True,
        max_active_runs=1,
        is_paused_upon_creation=False,
    ):
        work.override(task_id="a")() >> work.override(task_id="b")()
"""
FAILS_FIRST = """
with DAG("NAME", schedule=None, is_paused_upon_creation=False):
    @task(retries=1, retry_delay=4)
    def t():
        note("start")
        if get_current_context()["ti"].try_number == 1:
            raise ValueError("once")
        note("end")
    t()
"""


@pytest.fixture(params=URL_FIXTURES)
def homes(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[LiveInstallation, LiveInstallation]]:
    url = emptied_url(request.param, request)
    first, second = (LiveInstallation(tmp_path, database=url, home=name) for name in ("one", "two"))
    for home in (first, second):
        home.environ["HOST"] = home.home.name
        home.environ["WINDLASS__CORE__DAGS_FOLDER"] = str(first.dags)
    yield first, second
    for home in (first, second):
        home.close()


@pytest.fixture
def store(homes: tuple[LiveInstallation, LiveInstallation]) -> Iterator[Store]:
    url = homes[0].environ["WINDLASS__DATABASE__SQL_ALCHEMY_CONN"]
    with closing(open_store(url, clock=None, rng=SystemRng())) as store:
        store.pools.set("narrow", 2)
        yield store


def living(*homes: LiveInstallation) -> dict[str, str]:
    return {home.home.name: f"{socket.gethostname()}:{home.home}" for home in homes}


def names_of(*homes: LiveInstallation) -> dict[str, str]:
    """Return the names of DAGs, as many for each home, with that home's name."""
    found: dict[str, str] = {}
    number = 0
    while len(found) < EACH * len(homes):
        whose = holder_of(f"d{number}", living(*homes))
        if Counter(found.values())[whose] < EACH:
            found[f"d{number}"] = whose
        number += 1
    return found


def source(names: dict[str, str], schedule: str = "None") -> str:
    return SOURCE.replace("NAMES", repr(tuple(names))).replace("SCHEDULE", schedule)


def holders(store: Store) -> dict[str, str]:
    rows = store.db.rows("SELECT d.dag_id, s.home FROM dag d JOIN scheduler s ON s.owner = d.owner")
    return {dag_id: Path(home).name for dag_id, home in rows}


def kill(home: LiveInstallation, server: subprocess.Popen[bytes]) -> None:
    """Kill a scheduler and its supervisor, as the end of a host does."""
    os.kill(server.pid, signal.SIGKILL)
    os.kill(home.supervisor(), signal.SIGKILL)
    server.wait()


def ran_at(home: LiveInstallation, dag_id: str) -> str:
    """Trigger a DAG, wait for the end of the run and return where its tasks ran."""
    run_id = home.trigger(dag_id)
    assert home.wait_for_run(dag_id, run_id)["state"] == "success"
    [host] = {line[1] for line in home.ledger() if line[3] == run_id}
    return host


def test_both_work_at_once_and_keep_to_every_limit_together(
    homes: tuple[LiveInstallation, LiveInstallation], store: Store
) -> None:
    first, second = homes
    names = names_of(first, second)
    for home in homes:
        home.start("scheduler")
    first.wait(lambda: store.db.rows("SELECT COUNT(*) FROM scheduler") == [(2,)], "two schedulers")
    first.write("dags.py", source(names, "timedelta(seconds=10)"))
    ended = "SELECT COUNT(*) FROM run WHERE state = 'success'"
    first.wait(lambda: store.db.rows(ended) == [(6 * len(names),)], "the end of all runs", patience=120)

    active: Counter[str] = Counter()
    running: dict[str, set[str]] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    for word, host, dag_id, run_id, task_id in first.ledger():
        seen[word, dag_id, run_id, task_id] += 1
        assert host == names[dag_id], "a DAG's tasks run where its scheduler is"
        active["pool"] += 1 if word == "start" else -1
        assert active["pool"] <= 2
        runs = running.setdefault(dag_id, set())
        runs.add(run_id)
        assert len(runs) == 1, f"two runs of {dag_id} at once"
        if (word, task_id) == ("end", "b"):
            runs.clear()
    assert len(seen) == 6 * len(names) * 4
    assert set(seen.values()) == {1}
    assert invariant_violations(store.db) == []


def test_a_newcomer_gets_its_share_and_one_that_stops_hands_over_at_once(
    homes: tuple[LiveInstallation, LiveInstallation], store: Store
) -> None:
    first, second = homes
    names = names_of(first, second)
    first.write("dags.py", source(names))
    first.start("scheduler")
    first.wait(lambda: holders(store) == dict.fromkeys(names, "one"), "the first to hold all")
    of_second = next(name for name, whose in names.items() if whose == "two")
    assert ran_at(first, of_second) == "one"

    server = second.start("scheduler")
    first.wait(lambda: holders(store) == names, "a fair share for both")
    assert ran_at(first, of_second) == "two"
    # Long before the lease of a minute could lapse.
    assert second.stop(server) == 0
    first.wait(lambda: holders(store) == dict.fromkeys(names, "one"), "the first to hold all again")
    assert ran_at(second, of_second) == "one"


def test_when_a_host_dies_the_other_goes_on_with_its_runs_once_its_lease_has_lapsed(
    homes: tuple[LiveInstallation, LiveInstallation], store: Store
) -> None:
    first, second = homes
    names = names_of(first, second)
    of_second = next(name for name, whose in names.items() if whose == "two")
    first.write("dags.py", source(names))
    late = next(name for number in range(99) if holder_of(name := f"late_{number}", living(*homes)) == "two")
    first.write("late.py", source({}) + FAILS_FIRST.replace("NAME", late))
    _, server = [home.start("scheduler", WINDLASS__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD="6") for home in homes]
    first.wait(lambda: holders(store) == {**names, late: "two"}, "a fair share for both")
    run_id = first.trigger(late)
    waiting = "SELECT COUNT(*) FROM ti WHERE state = 'up_for_retry'"
    first.wait(lambda: store.db.rows(waiting) == [(1,)], "the first try's failure")
    kill(second, server)
    assert first.wait_for_run(late, run_id)["state"] == "success"
    assert [line[:2] for line in first.ledger()] == [["start", "two"], ["start", "one"], ["end", "one"]]
    assert set(holders(store).values()) == {"one"}
    assert ran_at(first, of_second) == "one"


def test_a_restart_in_the_same_home_waits_for_no_lease(
    homes: tuple[LiveInstallation, LiveInstallation], store: Store
) -> None:
    first, _ = homes
    names = names_of(first)
    first.write("dags.py", source(names))
    server = first.start("scheduler")
    first.wait(lambda: holders(store) == names, "the DAGs")
    kill(first, server)
    first.start("scheduler")
    assert ran_at(first, next(iter(names))) == "one"
    assert store.db.rows("SELECT COUNT(*) FROM scheduler") == [(1,)]
    assert "another" in first.windlass("scheduler", code=1), "a home has one scheduler"
