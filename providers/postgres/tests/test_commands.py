"""The commands about the database, on PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from windlass.store.migrating import open_bare
from windlass.store.revision import HEAD
from windlass_testing.live import LiveInstallation

pytestmark = [pytest.mark.services, pytest.mark.processes]


@pytest.fixture
def installation(tmp_path: Path, postgres_url: str) -> Iterator[LiveInstallation]:
    """A home over a schema with nothing in it, whose URL has a password."""
    with closing(open_bare(postgres_url)) as database:
        database.write(lambda transaction: transaction.run("DROP SCHEMA IF EXISTS commands CASCADE"))
        database.write(lambda transaction: transaction.run("CREATE SCHEMA commands"))
        scheme, _, rest = postgres_url.partition("://")
        login, _, address = rest.rpartition("@")
        name = login.partition(":")[0]
        password = login.partition(":")[2] or "s3cret"
        url = f"{scheme}://{name}:{password}@{address}?options=-c%20search_path%3Dcommands"
        made = LiveInstallation(tmp_path, database=url)
        yield made
        made.close()
        database.write(lambda transaction: transaction.run("DROP SCHEMA commands CASCADE"))


def test_a_database_is_made_checked_taken_back_and_made_anew(installation: LiveInstallation) -> None:
    windlass = installation.windlass
    missing = windlass("db", "check", code=1)
    assert "missing" in missing
    assert "windlass db migrate" in windlass("dags", "list", code=2)
    assert HEAD in windlass("db", "migrate")
    checked = installation.json("db", "check")
    assert (checked["state"], checked["revision"]) == ("current", HEAD)
    assert ":***@" in checked["url"]
    windlass("db", "downgrade", "--to-revision", "0005", "--yes")
    assert "is at revision 0005, this release needs" in windlass("dags", "list", code=2)
    assert HEAD in windlass("db", "migrate")
    windlass("pools", "set", "mine", "3")
    assert HEAD in windlass("db", "reset", "--yes")
    assert [pool["name"] for pool in installation.json("pools", "list")] == ["default_pool"]
    assert windlass("db", "clean", "--yes")


def test_the_doctor_names_the_server_and_nothing_shows_the_password(installation: LiveInstallation) -> None:
    installation.windlass("db", "migrate")
    said = installation.windlass("doctor", "--invariants")
    assert "postgresql: PostgreSQL" in said
    assert "every promise holds" in said
    assert "s3cret" not in said + installation.windlass("info") + installation.windlass("db", "check")


@pytest.mark.skipif(shutil.which("psql") is None, reason="install psql, for example as postgresql-client")
def test_the_shell_is_psql(installation: LiveInstallation) -> None:
    installation.windlass("db", "migrate")
    assert installation.windlass("db", "shell", "-Atc", "SELECT name FROM pool") == "default_pool\n"


def test_a_server_that_is_not_there_is_one_sentence(installation: LiveInstallation) -> None:
    installation.environ["WINDLASS__DATABASE__SQL_ALCHEMY_CONN"] = "postgresql://ada:s3cret@127.0.0.1:1/flows"
    said = installation.windlass("dags", "list", code=3)
    assert "cannot connect to the database flows on 127.0.0.1:1" in said
    assert "Traceback" not in said
    assert "s3cret" not in said
