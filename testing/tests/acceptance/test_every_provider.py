"""The example that uses every provider in one DAG, through the shipped processes and against its real systems."""

# ruff: noqa: ANN401 - the example's classes cannot be imported by name
from __future__ import annotations

import gzip
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from windlass_testing.databases import contents
from windlass_testing.live import LiveInstallation
from windlass_testing.stores import on_server, url_of

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "every_provider"

pytestmark = [pytest.mark.processes, pytest.mark.services]

FIRST, SECOND = "backfill__2026-11-20T00:00:00+00:00", "backfill__2026-11-21T00:00:00+00:00"


@pytest.fixture(scope="module")
def module() -> Iterator[ModuleType]:
    """The example's module `systems`, under a name of its own."""
    name = "windlass_every_provider_systems"
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / "systems.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = made = importlib.util.module_from_spec(spec)  # where its dataclass looks for itself
    spec.loader.exec_module(made)
    yield made
    del sys.modules[name]


@pytest.fixture
def there(module: ModuleType, postgres_url: str, mysql_url: str) -> Iterator[Any]:
    with module.systems(postgres_url, mysql_url) as made:
        yield made


@pytest.fixture
def installation(tmp_path: Path, there: Any) -> Iterator[LiveInstallation]:
    made = LiveInstallation(tmp_path)
    made.environ = {name: value for name, value in made.environ.items() if not name.startswith("AWS_")}
    made.environ |= there.settings
    shutil.copytree(EXAMPLE / "dags", made.dags, dirs_exist_ok=True)
    yield made
    made.close()


def states(installation: LiveInstallation, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in installation.run("daily_orders", run_id)["tasks"]}


def again(installation: LiveInstallation, run_id: str, *which: str) -> None:
    """Clear a run, or some of its tasks, and wait for its end."""
    installation.windlass("tasks", "clear", "daily_orders", "-r", run_id, *which, "-y")
    installation.wait_for_run("daily_orders", run_id, patience=120)


@pytest.mark.timeout(300)
def test_two_days_of_orders_go_through_every_provider_and_can_go_again(
    installation: LiveInstallation, there: Any
) -> None:
    there.order(1, "2026-11-20T00:00:00Z", "DE", "ada@example.com", 1250)
    there.order(2, "2026-11-20T13:30:00Z", "FR", "grace@example.com", 2000)
    there.order(3, "2026-11-20T23:59:59.999999Z", "DE", "zoë@example.com", 999)
    there.order(4, "2026-11-22T00:00:00Z", "IT", "ada@example.com", 100)  # of neither day; the second has none
    installation.start()
    installation.wait_for_dag("daily_orders")
    days = ["--from-date", "2026-11-20", "--to-date", "2026-11-21"]
    installation.windlass("backfill", "create", "--dag-id", "daily_orders", *days)
    installation.wait(lambda: len(installation.json("runs", "list", "daily_orders")) == 2, "both runs")
    for run_id in (FIRST, SECOND):
        installation.wait_for_run("daily_orders", run_id, patience=120)
        assert set(states(installation, run_id).values()) == {"success"}, installation.logs()

    ada, grace, zoe = (customer for _, _, _, customer, _ in there.warehoused())
    assert there.warehoused() == [
        (1, "2026-11-20", "DE", ada, 1250),
        (2, "2026-11-20", "FR", grace, 2000),
        (3, "2026-11-20", "DE", zoe, 999),
    ]
    assert len({ada, grace, zoe}) == 3
    assert there.summaries() == [("2026-11-20", 3, 4249, "DE"), ("2026-11-21", 0, 0, None)]
    assert there.lake_keys() == ["orders/2026-11-20.csv.gz", "orders/2026-11-21.csv.gz"]
    content = gzip.decompress(there.lake.get_object(Bucket="lake", Key="orders/2026-11-20.csv.gz")["Body"].read())
    assert content.decode().splitlines()[0] == f"1,2026-11-20,DE,{ada},1250"
    assert "2026-11-20: 3 orders from 2 countries" in installation.windlass(
        "tasks", "logs", "daily_orders", "summarise", FIRST
    )

    # Corrected and late orders: the day runs again, and no order is doubled.
    there.order(2, "2026-11-20T13:30:00Z", "FR", "grace@example.com", 3000)
    there.order(5, "2026-11-20T07:00:00Z", "IT", "ada@example.com", 1)
    again(installation, FIRST)
    assert set(states(installation, FIRST).values()) == {"success"}, installation.logs()
    assert [(number, customer, cents) for number, _, _, customer, cents in there.warehoused()] == [
        (1, ada, 1250),
        (2, grace, 3000),
        (3, zoe, 999),
        (5, ada, 1),
    ]
    assert there.summaries()[0] == ("2026-11-20", 4, 5250, "FR")

    # What the shop does not know of makes the check fail, and nothing is recorded.
    with there.warehouse.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (99, '2026-11-21', 'XX', 'nobody', 7)")
    again(installation, SECOND, "-t", "^totals$", "--downstream")
    failed = states(installation, SECOND)
    assert failed["check"] == "failed", installation.logs()
    assert failed["record"] == "upstream_failed"
    log = installation.windlass("tasks", "logs", "daily_orders", "check", SECOND)
    assert "extracted 0 orders of 0 cents; the warehouse has 1 orders of 7 cents" in log
    assert there.summaries()[1] == ("2026-11-21", 0, 0, None)

    written = {path: path.read_bytes() for path in installation.home.rglob("*") if path.is_file()}
    assert on_server() or any(path.name == "windlass.db" for path in written)
    tables = repr(contents(url_of(installation.home)))
    for name, secret in there.secrets.items():
        holders = [path for path, content in written.items() if secret.encode() in content]
        assert not holders, f"the secret {name} lies in {holders}"
        assert secret not in tables, f"the secret {name} lies in a table"
