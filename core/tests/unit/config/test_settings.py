"""The configuration: where values come from, what a project may say, and how mistakes are reported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from windlass.config import OPTIONS, Option, Reference, Settings, home
from windlass.errors import ConfigError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A home, a project and an empty environment."""
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "project" / "sub").mkdir(parents=True)
    return tmp_path


def load(place: Path, **given: str) -> Settings:
    environ = {"WINDLASS_HOME": str(place / "home")} | given
    return Settings.load(environ=environ, cwd=place / "project" / "sub")


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def test_home_is_the_variable_then_xdg_then_the_users_folder() -> None:
    assert home({"WINDLASS_HOME": "/srv/w", "XDG_DATA_HOME": "/x"}) == Path("/srv/w")
    assert home({"XDG_DATA_HOME": "/x"}) == Path("/x/windlass")
    assert home({"XDG_DATA_HOME": "relative"}) == Path("~/.local/share/windlass").expanduser()
    assert home({}) == Path("~/.local/share/windlass").expanduser()


def test_defaults_are_airflows_and_paths_lie_in_the_home(place: Path) -> None:
    settings = load(place)
    assert settings.core.parallelism == 32
    assert settings.core.executor == "LocalExecutor"
    assert settings.core.dags_are_paused_at_creation is True
    assert settings.core.dags_folder == place / "home" / "dags"
    assert settings.logging.base_log_folder == place / "home" / "logs"
    assert settings.setting("core", "parallelism").origin.kind == "default"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_default_is_a_value_that_its_option_accepts(option: Option) -> None:
    assert option.description.endswith(".")
    parsed = option.parse(option.default, Path("/home"))
    if option.kind != "path":
        assert parsed == option.default


def test_flag_beats_environment_beats_home_beats_project(place: Path) -> None:
    write(place / "project" / "windlass.toml", '[core]\ndags_folder = "project_dags"\n')
    assert load(place).core.dags_folder == place / "project" / "project_dags"
    assert load(place).setting("core", "dags_folder").origin == (
        "project",
        f"{place / 'project' / 'windlass.toml'}:2",
    )
    write(place / "home" / "windlass.toml", '[core]\ndags_folder = "home_dags"\n')
    assert load(place).core.dags_folder == place / "home" / "home_dags"
    settings = load(place, WINDLASS__CORE__DAGS_FOLDER="env_dags")
    assert settings.core.dags_folder == place / "project" / "sub" / "env_dags"
    assert settings.setting("core", "dags_folder").origin == ("environment", "WINDLASS__CORE__DAGS_FOLDER")
    settings = Settings.load(
        flags={"core.dags_folder": "/flag"},
        environ={"WINDLASS_HOME": str(place / "home"), "WINDLASS__CORE__DAGS_FOLDER": "env"},
        cwd=place,
    )
    assert settings.core.dags_folder == Path("/flag")
    assert settings.flag_environ() == {"WINDLASS__CORE__DAGS_FOLDER": "/flag"}


def test_a_homes_file_is_not_also_a_project(place: Path) -> None:
    write(place / "home" / "windlass.toml", "[core]\nparallelism = 3\n")
    settings = Settings.load(environ={"WINDLASS_HOME": str(place / "home")}, cwd=place / "home")
    assert settings.core.parallelism == 3


@pytest.mark.parametrize(
    "line",
    [
        '[core]\nexecutor = "evil"',
        "[core]\nparallelism = 2",
        '[database]\nsql_alchemy_conn = "sqlite:///evil.db"',
        '[database]\nsql_alchemy_conn_cmd = "touch /tmp/evil"',
        '[secrets]\nbackend = ["evil"]',
        '[logging]\nbase_log_folder = "/"',
    ],
)
def test_a_project_sets_only_dag_folder_time_zone_and_output(place: Path, line: str) -> None:
    path = place / "project" / "windlass.toml"
    write(path, line)
    with pytest.raises(ConfigError, match="only the DAG folder, the time zone and the output") as caught:
        load(place)
    assert f"{path}:2" in str(caught.value)
    assert "evil" not in str(caught.value)


def test_a_project_may_set_dag_folder_time_zone_and_output(place: Path) -> None:
    write(
        place / "project" / "windlass.toml",
        '[core]\ndags_folder = "."\ndefault_timezone = "Europe/Paris"\n[cli]\noutput = "json"\n',
    )
    settings = load(place)
    assert settings.core.dags_folder == place / "project"
    assert settings.core.default_timezone == "Europe/Paris"
    assert settings.cli.output == "json"


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("WINDLASS__CORE__PARALELISM", "no setting core.paralelism; did you mean core.parallelism?"),
        ("WINDLASS__CORES__PARALLELISM", "no section 'cores'; did you mean core.parallelism?"),
        (
            "WINDLASS__CORE__SQL_ALCHEMY_CONN",
            "no setting core.sql_alchemy_conn; did you mean database.sql_alchemy_conn?",
        ),
        ("WINDLASS__SCHEDULR__X", r"no section 'schedulr'; did you mean \[scheduler\]\?"),
        ("WINDLASS__CORE", "no setting core.; did you mean one of"),
    ],
)
def test_an_unknown_variable_is_an_error_with_a_suggestion(place: Path, variable: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load(place, **{variable: "1"})
    assert str(caught.value).startswith(f"{variable}: ")


def test_an_unknown_key_names_file_and_line(place: Path) -> None:
    path = place / "home" / "windlass.toml"
    write(path, "# mine\n\n[core]\nparallelism = 4\nparalellism = 4\n")
    with pytest.raises(ConfigError, match=f"^{path}:5: .*did you mean core.parallelism"):
        load(place)
    write(path, "parallelism = 4\n")
    with pytest.raises(ConfigError, match=f"^{path}:1: .*outside a section"):
        load(place)
    write(path, "[core\n")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(place)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(place)


@pytest.mark.parametrize(
    ("section", "key", "value", "says"),
    [
        ("CORE", "PARALLELISM", "many", "core.parallelism takes a whole number, not 'many'"),
        ("CORE", "PARALLELISM", "-1", "core.parallelism takes at least 0, not '-1'"),
        ("CORE", "LOAD_EXAMPLES", "perhaps", "takes true or false, not 'perhaps'"),
        ("DATABASE", "SYNCHRONOUS", "off", "takes one of FULL, NORMAL, not 'off'"),
        ("SECRETS", "BACKEND_KWARGS", "s3cret", "secrets.backend_kwargs takes a JSON object, not what is given"),
    ],
)
def test_a_wrong_value_names_setting_and_what_it_takes(
    place: Path, section: str, key: str, value: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        load(place, **{f"WINDLASS__{section}__{key}": value})
    assert "s3cret" not in str(caught.value)


def test_texts_become_values(place: Path) -> None:
    settings = load(
        place,
        WINDLASS__CORE__LOAD_EXAMPLES="Yes",
        WINDLASS__SECRETS__BACKEND="vault, aws",
        WINDLASS__SECRETS__BACKEND_KWARGS='{"url": "http://v"}',
        WINDLASS__DATABASE__SYNCHRONOUS="normal",
        WINDLASS__DAG_PROCESSOR__REFRESH_INTERVAL="2",
    )
    assert settings.core.load_examples is True
    assert settings.secrets.backend == ("vault", "aws")
    assert settings.secrets.backend_kwargs == {"url": "http://v"}
    assert settings.database.synchronous == "NORMAL"
    assert settings.dag_processor.refresh_interval == 2.0
    assert settings.get("dag_processor", "refresh_interval") == 2.0


def test_the_homes_file_must_be_ours_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "home" / "windlass.toml"
    write(path, "[core]\nparallelism = 2\n")
    path.chmod(0o620)
    with pytest.raises(ConfigError, match=f"chmod go-w {path}"):
        load(place)
    path.chmod(0o600)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner != 0:
        with pytest.raises(ConfigError, match=f"belongs to user {owner}"):
            load(place)


def test_a_reference_is_recorded_and_resolved_only_on_request(place: Path) -> None:
    mark = place / "ran"
    settings = load(place, WINDLASS__DATABASE__SQL_ALCHEMY_CONN_CMD=f"sh -c 'touch {mark}; echo sqlite:///x.db'")
    assert not mark.exists()
    assert settings.setting("database", "sql_alchemy_conn").value == Reference(
        "command", f"sh -c 'touch {mark}; echo sqlite:///x.db'"
    )
    with pytest.raises(ConfigError, match=r"database\.sql_alchemy_conn is given by reference"):
        _ = settings.database.sql_alchemy_conn
    with pytest.raises(ConfigError, match="given by reference"):
        settings.get("database", "sql_alchemy_conn")
    assert settings.resolve().database.sql_alchemy_conn == "sqlite:///x.db"
    assert mark.exists()


def test_file_and_secret_references(place: Path) -> None:
    write(place / "home" / "key", "k1,k2\n")
    write(place / "home" / "windlass.toml", '[core]\nfernet_key_file = "key"\n')
    assert load(place).resolve().core.fernet_key == "k1,k2"
    settings = load(place, WINDLASS__CORE__FERNET_KEY_SECRET="prod/fernet")
    asked: list[str] = []

    def read_secret(name: str) -> str:
        asked.append(name)
        return "k3"

    assert settings.resolve(read_secret).core.fernet_key == "k3"
    assert asked == ["prod/fernet"]
    with pytest.raises(ConfigError, match="none is configured"):
        settings.resolve()
    with pytest.raises(ConfigError, match="has no configuration entry 'prod/fernet'"):
        settings.resolve(lambda _name: None)


def test_a_reference_that_cannot_be_fetched_is_an_error_without_its_output(place: Path) -> None:
    settings = load(place, WINDLASS__CORE__FERNET_KEY_CMD="sh -c 'echo s3cret; exit 3'")
    with pytest.raises(ConfigError, match=r"core\.fernet_key .* failed with exit code 3") as caught:
        settings.resolve()
    assert "s3cret" not in str(caught.value)
    settings = load(place, WINDLASS__CORE__FERNET_KEY_FILE="nowhere")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        settings.resolve()


def test_only_secrets_are_given_by_reference_and_only_once(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"core\.parallelism is not secret"):
        load(place, WINDLASS__CORE__PARALLELISM_CMD="echo 1")
    with pytest.raises(ConfigError, match=r"both set core\.fernet_key"):
        load(place, WINDLASS__CORE__FERNET_KEY="a", WINDLASS__CORE__FERNET_KEY_CMD="echo a")


@pytest.mark.parametrize("where", ["environment", "home"])
def test_how_to_reach_the_backend_is_not_kept_in_the_backend(place: Path, where: str) -> None:
    if where == "home":
        write(
            place / "home" / "windlass.toml", '[secrets]\nbackend = ["vault"]\nbackend_kwargs_secret = "prod/vault"\n'
        )
    given = {"WINDLASS__SECRETS__BACKEND_KWARGS_SECRET": "prod/vault"} if where == "environment" else {}
    with pytest.raises(
        ConfigError, match=r"secrets\.backend_kwargs says how to reach the secrets backend, .* backend_kwargs_file"
    ):
        load(place, **given)
    loaded = load(place, WINDLASS__SECRETS__BACKEND_KWARGS_CMD="echo {}") if where == "environment" else None
    assert loaded is None or loaded.resolve().secrets.backend_kwargs == {}


def test_a_providers_setting_is_known_when_it_is_declared(place: Path) -> None:
    option = Option("eu-west-1", "Where.", section="aws", key="region")
    environ = {"WINDLASS_HOME": str(place / "home"), "WINDLASS__AWS__REGION": "us-east-1"}
    assert Settings.load(environ=environ, cwd=place, options=[option]).get("aws", "region") == "us-east-1"
    with pytest.raises(ConfigError, match="no section 'aws'"):
        Settings.load(environ=environ, cwd=place)


@pytest.mark.budget
def test_loading_the_configuration_imports_nothing_heavy(place: Path) -> None:
    code = (
        "import sys; from windlass.config import Settings; Settings.load();"
        "print(*sorted({'subprocess','tomllib','json.tool','msgspec','logging','dataclasses','inspect','asyncio'}"
        " & sys.modules.keys()))"
    )
    environ = {"WINDLASS_HOME": str(place / "home"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=place, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
