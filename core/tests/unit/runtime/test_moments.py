"""The datetimes of contexts come from a provider's factory, where one is installed that can be used."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from windlass import DAG, task
from windlass.interfaces.provider import Provider
from windlass.moment import install_factory, moment
from windlass.registry.catalog import Catalog
from windlass.registry.lookup import Registry
from windlass.runtime.moments import use_factory


class Pendulum(datetime):
    """A datetime with more methods."""

    def next_day(self) -> datetime:
        return self + timedelta(days=1)


def pendulum(value: datetime) -> Pendulum:
    return Pendulum.fromisoformat(value.isoformat())


def text(value: datetime) -> str:
    return value.isoformat()


def late(value: datetime) -> datetime:
    return value + timedelta(hours=1)


def raising(value: datetime) -> datetime:
    raise RuntimeError("no calendar")


@pytest.fixture(autouse=True)
def own_factory() -> Iterator[None]:
    yield
    install_factory(None)


def install(monkeypatch: pytest.MonkeyPatch, **factories: str) -> None:
    provided = Provider(name="acme", moment_factories={name: f"{__name__}:{made}" for name, made in factories.items()})
    registry = Registry(lambda: Catalog((provided,), ()))
    monkeypatch.setattr("windlass.app.inproc.testing.registry", lambda: registry)


def test_the_contexts_of_a_dag_hold_what_the_factory_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, acme="pendulum")
    with DAG("d", schedule=None) as dag:

        @task
        def tomorrow(logical_date: Pendulum) -> str:
            return logical_date.next_day().isoformat()

        tomorrow()
    done = dag.test(logical_date=datetime(2028, 2, 28, tzinfo=UTC))
    assert done.xcom("tomorrow") == "2028-02-29T00:00:00+00:00"


def test_without_a_provider_they_are_plain() -> None:
    use_factory("")
    assert type(moment(datetime(2026, 1, 1, tzinfo=UTC))) is datetime


def test_of_two_factories_the_first_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, acme="pendulum", other="late")
    with DAG("d", schedule=None) as dag:
        task(task_id="kind")(lambda logical_date: type(logical_date).__name__)()
    assert dag.test().xcom("kind") == "Pendulum"


@pytest.mark.parametrize(
    ("factory", "finding"),
    [
        ("text", "makes '2000-02-29T12:30:00+00:00' of 2000-02-29T12:30:00+00:00, which is not the same datetime"),
        ("late", "which is not the same datetime"),
        ("raising", f"moment factory {__name__}:raising raised RuntimeError: no calendar"),
        ("missing", "does not exist"),
    ],
)
def test_one_that_cannot_be_used_is_a_warning_and_datetimes_stay_plain(
    caplog: pytest.LogCaptureFixture, factory: str, finding: str
) -> None:
    with caplog.at_level(logging.WARNING):
        use_factory(f"{__name__}:{factory}")
    assert finding in caplog.text
    assert "contexts hold plain datetimes" in caplog.text
    assert type(moment(datetime(2026, 1, 1, tzinfo=UTC))) is datetime
