"""The helper process: backends answer from there, and whatever they do, the asking process goes on."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from windlass.config import Settings
from windlass.errors import ConfigError, ConnectionNotDefined, SecretsError, WindlassError
from windlass.interfaces.connection import Connection
from windlass.registry import Catalog, Provider, Registry
from windlass.secrets.chain import Chain, Kind, Place
from windlass.secrets.client import HelperClient
from windlass.secrets.env import EnvironmentSource
from windlass.secrets.resolver import Resolver, backend_arguments, resolve_settings

pytestmark = pytest.mark.processes

BACKEND = """
import os, time
from windlass.backends import Connection, SecretsBackend

class Fake(SecretsBackend):
    def __init__(self, url):
        self.url = url
        print("an SDK may print")
    def get_connection(self, conn_id):
        if conn_id == "known":
            return Connection(conn_id, "fake", self.url, password="p/w")
    def get_variable(self, key):
        if key == "refused":
            raise PermissionError("403 forbidden")
        if key == "hang":
            time.sleep(60)
        if key == "die":
            os._exit(1)
        return {"pid": str(os.getpid()), "argv": open("/proc/self/cmdline").read()}.get(key)
    def get_config(self, key):
        return "config of " + key if key == "fernet" else None

class Worse(SecretsBackend):
    def __init__(self):
        raise RuntimeError("cannot log in")
"""


@pytest.fixture
def installed(install: Callable[[str, dict[str, str]], None]) -> None:
    install(BACKEND, {"fake": "Fake", "worse": "Worse"})


Open = Callable[..., Resolver]


@pytest.fixture
def resolver(installed: None) -> Iterator[Open]:
    made: list[Resolver] = []

    def make(*, timeout: float = 30.0, ttl: float = 0.0, backend: str = "fake") -> Resolver:
        client = HelperClient({"fake": {"url": "http://s3cret"}, "worse": {}}, timeout=timeout)
        places = [
            Place(f"backend {backend}", None, backend),
            Place("environment", EnvironmentSource({"WINDLASS_VAR_HERE": "env"})),
        ]
        made.append(Resolver(Chain(places, ttl=ttl), client))
        return made[-1]

    yield make
    for entry in made:
        entry.close()


def test_values_misses_and_configuration_come_from_the_backend(resolver: Open) -> None:
    secrets = resolver()
    assert secrets.get_connection("known") == Connection("known", "fake", "http://s3cret", password="p/w")
    assert secrets.get_variable("here") == "env"
    assert secrets.get_config("fernet") == "config of fernet"
    assert secrets.get_config("other") is None
    with pytest.raises(ConnectionNotDefined, match="looked in: backend fake, environment"):
        secrets.get_connection("unknown")


def test_it_is_another_process_that_shows_no_configuration(resolver: Open) -> None:
    secrets = resolver()
    assert secrets.get_variable("pid") != str(os.getpid())
    assert "s3cret" not in secrets.get_variable("argv")


def test_it_is_started_on_first_need(resolver: Open) -> None:
    secrets = resolver()
    assert secrets._helper is not None
    assert secrets._helper._process is None
    secrets.get_variable("pid")
    assert secrets._helper._process is not None


def test_a_refusal_ends_the_lookup_and_the_helper_lives(resolver: Open) -> None:
    secrets = resolver()
    pid = secrets.get_variable("pid")
    with pytest.raises(SecretsError, match="backend fake refused variable `refused`: PermissionError: 403 forbidden"):
        secrets.get_variable("refused")
    assert secrets.get_variable("pid") == pid


def test_a_backend_that_cannot_be_made_is_a_refusal(resolver: Open) -> None:
    with pytest.raises(SecretsError, match="RuntimeError: cannot log in"):
        resolver(backend="worse").get_variable("here")


def test_a_dead_helper_fails_what_waits_and_is_started_again(resolver: Open) -> None:
    secrets = resolver()
    pid = secrets.get_variable("pid")
    with pytest.raises(SecretsError, match="variable `die`: the secrets helper ended unexpectedly"):
        secrets.get_variable("die")
    assert secrets.get_variable("pid") not in {pid, ""}


def test_a_hanging_backend_fails_in_time_and_is_replaced(resolver: Open) -> None:
    secrets = resolver(timeout=2.0)
    pid = secrets.get_variable("pid")
    with pytest.raises(SecretsError, match="variable `hang`: secrets backend fake did not answer within 2 s"):
        secrets.get_variable("hang")
    assert secrets.get_variable("pid") != pid


def test_a_loop_is_never_blocked_and_a_slow_question_delays_no_other(resolver: Open) -> None:
    secrets = resolver()
    descriptor = secrets.fileno()
    assert descriptor is not None
    outcomes: dict[str, tuple[Connection | str | None, WindlassError | None]] = {}

    def ask(key: str) -> None:
        secrets.resolve(Kind.VARIABLE, key, lambda value, error: outcomes.__setitem__(key, (value, error)))

    for key in ("hang", "pid", "refused"):
        ask(key)
    assert outcomes == {}
    with selectors.DefaultSelector() as loop:
        loop.register(descriptor, selectors.EVENT_READ)
        limit = time.monotonic() + 20
        while len(outcomes) < 2 and time.monotonic() < limit:
            if loop.select(1.0):
                secrets.receive()
            secrets.expire()
    assert set(outcomes) == {"pid", "refused"}
    assert isinstance(outcomes["refused"][1], SecretsError)
    assert secrets.deadline() is not None
    assert secrets.fileno() == descriptor
    secrets.close()
    assert "given up" in str(outcomes["hang"][1])


def test_without_backends_everything_is_answered_at_once() -> None:
    secrets = Resolver(Chain([Place("environment", EnvironmentSource({"WINDLASS_CONN_DB": "pg://h"}))]))
    outcomes: list[Connection | str | WindlassError | None] = []
    secrets.resolve(Kind.CONNECTION, "db", lambda value, error: outcomes.append(value or error))
    secrets.resolve(Kind.CONNECTION, "other", lambda value, error: outcomes.append(value or error))
    assert outcomes[0] == Connection("db", "pg", "h")
    assert isinstance(outcomes[1], ConnectionNotDefined)
    assert secrets.fileno() is None
    assert secrets.deadline() is None


def test_settings_kept_in_a_backend_are_fetched_from_there(installed: None, tmp_path: Path) -> None:
    environ = {
        "WINDLASS_HOME": str(tmp_path),
        "WINDLASS__SECRETS__BACKEND": "fake",
        "WINDLASS__SECRETS__BACKEND_KWARGS_CMD": """echo '{"url": "u"}'""",
        "WINDLASS__CORE__FERNET_KEY_SECRET": "fernet",
    }
    plugins = Registry(lambda: Catalog((Provider(name="fake", secrets_backends={"fake": "fake_backend:Fake"}),)))
    settings = resolve_settings(Settings.load(environ=environ, cwd=tmp_path), plugins=plugins)
    assert settings.core.fernet_key == "config of fernet"
    assert settings.setting("core", "fernet_key").origin.where == "WINDLASS__CORE__FERNET_KEY_SECRET"


def test_the_arguments_of_backends(tmp_path: Path) -> None:
    def arguments(names: str, data: str) -> dict[str, dict[str, object]]:
        environ = {"WINDLASS_HOME": str(tmp_path), "WINDLASS__SECRETS__BACKEND": names}
        environ["WINDLASS__SECRETS__BACKEND_KWARGS"] = data
        return backend_arguments(Settings.load(environ=environ, cwd=tmp_path))

    assert arguments("", "{}") == {}
    assert arguments("vault", '{"url": "u"}') == {"vault": {"url": "u"}}
    assert arguments("vault,ssm", '{"vault": {"url": "u"}}') == {"vault": {"url": "u"}, "ssm": {}}
    with pytest.raises(ConfigError, match="one object for each of vault, ssm"):
        arguments("vault,ssm", '{"url": "u"}')
