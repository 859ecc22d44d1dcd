"""The example in the README of a provider runs as it stands, with a connection to a server that is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from windlass_testing import RunDag
from windlass_testing.bag import load_bag
from windlass_testing.fakes.vault import FakeVault
from windlass_testing.servers import mysql, postgres

Readme = Callable[..., list[object]]

PROVIDERS = Path(__file__).parents[3] / "providers"
pytestmark = pytest.mark.skipif(not PROVIDERS.is_dir(), reason="the providers are not part of this package's sources")


@pytest.fixture
def readme(tmp_path: Path, run_dag: RunDag) -> Readme:
    """Runs the DAG in a provider's README; returns the results of its tasks."""

    def run(provider: str, connections: Mapping[str, str], variables: Mapping[str, str] | None = None) -> list[object]:
        text = (PROVIDERS / provider / "README.md").read_text("utf-8")
        (example,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        (tmp_path / f"{provider}_example.py").write_text(example)
        bag = load_bag(tmp_path)
        (dag_id,) = bag
        day = datetime(2026, 1, 2, tzinfo=UTC)
        done = run_dag(bag[dag_id], connections=connections, variables=variables, logical_date=day)
        assert set(done.states.values()) == {"success"}, done
        return [done.xcom(task_id) for task_id in done.states]

    return run


def test_bash(readme: Readme) -> None:
    count, said = readme("bash", {})
    assert said == f"{count} files on 2026-01-02"


@pytest.mark.services
def test_mysql(readme: Readme, mysql_url: str) -> None:
    with mysql(mysql_url) as database:  # of its own, since the example leaves a table
        assert readme("mysql", {"shop": database}) == [None, 1]


@pytest.mark.services
def test_postgres(readme: Readme, postgres_url: str) -> None:
    with postgres(postgres_url) as database:
        assert readme("postgres", {"warehouse": database}) == [None, 1]


def test_sql(readme: Readme, tmp_path: Path) -> None:
    assert readme("sql", {"shop": f"sqlite:///{tmp_path}/shop.db"}) == [None, None]


def test_vault(readme: Readme, fake_vault: FakeVault) -> None:
    fake_vault.write("secret/data/shop", data={"key": "abc"})
    address = fake_vault.url.removeprefix("http://")
    assert readme("vault", {"vault": f"vault://:{fake_vault.root_token}@{address}"}, {"colour": "blue"}) == [
        "blue, with a key of 3 characters"
    ]
