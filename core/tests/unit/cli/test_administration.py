"""Pools, variables, connections, configuration, plugins, the database and the doctor."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from windlass.control.database import shown
from windlass.registry import BrokenPlugin, Catalog, ConfigOption, ConnectionField, ConnectionType, Provider, Registry
from windlass.store.database import Transaction
from windlass.store.dialect import dialect_of
from windlass.store.migrating import open_bare
from windlass_testing.installation import Installation
from windlass_testing.servers import MysqlServer
from windlass_testing.stores import url_of, use_home

Windlass = Callable[..., Any]


# -- pools ------------------------------------------------------------------------------------------------------------


def test_a_pool_is_set_shown_and_deleted(windlass: Windlass) -> None:
    assert windlass("pools", "set", "io", "3", "slow disks", "--include-deferred").code == 0
    assert windlass("pools", "get", "io", "--json").data == {
        "name": "io",
        "slots": 3,
        "include_deferred": True,
        "description": "slow disks",
        "running": 0,
        "queued": 0,
        "deferred": 0,
    }
    assert windlass("pools", "set", "io", "--", "-1").code == 0
    assert windlass("pools", "get", "io", "--json").data["slots"] == -1
    assert windlass("pools", "delete", "io", "-y").code == 0
    assert [pool["name"] for pool in windlass("pools", "list", "--json").data] == ["default_pool"]


def test_a_pool_that_is_not_there_exits_4(windlass: Windlass) -> None:
    result = windlass("pools", "get", "defualt_pool")
    assert result.code == 4
    assert "Did you mean 'default_pool'?" in result.err


def test_the_default_pool_stays(windlass: Windlass) -> None:
    result = windlass("pools", "delete", "default_pool", "-y")
    assert result.code == 2
    assert "set its slots instead" in result.err


# -- variables --------------------------------------------------------------------------------------------------------


def test_a_variable_is_set_read_and_deleted(windlass: Windlass) -> None:
    windlass("variables", "set", "k", "v", "--description", "why")
    assert windlass("variables", "get", "k").out == "v\n"
    windlass("variables", "set", "k", "w")
    assert windlass("variables", "list", "--json").data == [{"key": "k", "description": "why"}]
    assert windlass("variables", "delete", "k").code == 2
    assert windlass("variables", "delete", "k", "-y").code == 0
    assert windlass("variables", "get", "k").code == 4
    assert windlass("variables", "get", "k", "--default", "d").out == "d\n"


def test_a_secret_comes_through_standard_input(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("s3cret\n"))
    assert windlass("variables", "set", "token").code == 0
    assert windlass("variables", "get", "token").out == "s3cret\n"


def test_variables_travel_through_a_private_file(windlass: Windlass, tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_text('{"a": "1", "b": {"x": [1]}}', encoding="utf-8")
    windlass("variables", "set", "a", "kept")
    assert windlass("variables", "import", str(source), "--dry-run").err == "would store 1 variable(s), kept 1\n"
    assert windlass("variables", "import", str(source)).err == "stored 1 variable(s), kept 1\n"
    assert windlass("variables", "get", "a").out == "kept\n"
    assert windlass("variables", "import", str(source), "--overwrite").err == "stored 2 variable(s), kept 0\n"
    target = tmp_path / "out.json"
    assert windlass("variables", "export", str(target)).code == 0
    assert json.loads(target.read_text(encoding="utf-8")) == {"a": "1", "b": '{"x":[1]}'}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


# -- connections ------------------------------------------------------------------------------------------------------


def test_a_connection_never_shows_its_secrets(windlass: Windlass) -> None:
    windlass("connections", "add", "pg", "--conn-uri", "generic://ann:s3cret@db:5432/x?token=t0ken")
    for args in (("list",), ("list", "--json"), ("get", "pg"), ("get", "pg", "--json")):
        shown = windlass("connections", *args).out
        assert "ann" in shown
        assert "s3cret" not in shown
        assert "t0ken" not in shown
    assert windlass("connections", "get", "pg", "--json").data["extra"] == ["token"]


@pytest.mark.parametrize(
    "args",
    [
        ("--conn-uri", "http://ann:pw@h:80/s"),
        ("--conn-json", '{"conn_type":"http","host":"h","login":"ann","password":"pw","port":80,"schema":"s"}'),
        (
            "--conn-type", "http", "--conn-host", "h", "--conn-login", "ann", "--conn-password", "pw",
            "--conn-port", "80", "--conn-schema", "s",
        ),
    ],
    ids=["uri", "json", "parts"],
)  # fmt: skip
def test_three_ways_to_say_the_same_connection(windlass: Windlass, args: tuple[str, ...]) -> None:
    assert windlass("connections", "add", "c", *args).code == 0
    assert windlass("connections", "export").data == {
        "c": {"conn_type": "http", "host": "h", "login": "ann", "password": "pw", "port": 80, "schema": "s"}
    }


def test_a_connection_is_given_in_one_way_only(windlass: Windlass) -> None:
    assert windlass("connections", "add", "c", "--conn-uri", "http://h", "--conn-host", "h").code == 2
    assert windlass("connections", "add", "c").code == 2
    assert "has no type" in windlass("connections", "add", "c", "--conn-host", "h").err


def test_a_connection_that_exists_is_kept_unless_told_otherwise(windlass: Windlass) -> None:
    windlass("connections", "add", "c", "--conn-uri", "http://one")
    assert windlass("connections", "add", "c", "--conn-uri", "http://two").code == 1
    assert windlass("connections", "add", "c", "--conn-uri", "http://two", "--overwrite").code == 0
    assert windlass("connections", "get", "c", "--json").data["host"] == "two"


def test_a_type_that_no_provider_knows_is_stored_with_a_warning(windlass: Windlass) -> None:
    result = windlass("connections", "add", "u", "--conn-uri", "nosuch://ada:s3cret@h")
    assert (result.code, result.out) == (0, "")
    warning, stored = result.err.splitlines()
    assert warning.startswith(
        "warning: connection 'u': no installed provider brings a hook for connections of type 'nosuch'; the known types"
    )
    assert stored == "stored connection 'u'"
    assert windlass("connections", "get", "u", "--json").data["conn_type"] == "nosuch"
    assert windlass("connections", "add", "g", "--conn-uri", "generic://h").err == "stored connection 'g'\n"


def test_connections_are_imported_all_or_none(windlass: Windlass, tmp_path: Path) -> None:
    source = tmp_path / "in.json"
    source.write_text('{"a": "http://h", "b": {"conn_type": "http", "hst": "h"}}', encoding="utf-8")
    result = windlass("connections", "import", str(source))
    assert result.code == 2
    assert "'hst'" in result.err
    assert windlass("connections", "list", "--json").data == []
    source.write_text('{"a": "http://h", "b": {"conn_type": "http", "description": "why"}}', encoding="utf-8")
    assert windlass("connections", "import", str(source)).err == "stored 2 connection(s), kept 0\n"
    assert windlass("connections", "get", "b", "--json").data["description"] == "why"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "a: http://h\nb: {conn_type: http, host: h}\n"),
        ("c.toml", 'a = "http://h"\nb = {conn_type = "http", host = "h"}\n'),
        ("c.env", "a=http://h\nb=http://h\n"),
    ],
)
def test_connections_come_in_every_format_that_lookups_read(
    windlass: Windlass, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert windlass("connections", "import", str(tmp_path / name)).err == "stored 2 connection(s), kept 0\n"
    assert windlass("connections", "get", "b", "--json").data["host"] == "h"
    assert windlass("connections", "import", str(tmp_path / "missing.json")).code == 2


def test_what_is_exported_can_be_imported(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    windlass("connections", "add", "c", "--conn-uri", "http://ann:p%40w@h:80/s?x=1", "--conn-description", "why")
    exported = windlass("connections", "export").out
    windlass("connections", "delete", "c", "-y")
    monkeypatch.setattr("sys.stdin", StringIO(exported))
    assert windlass("connections", "import", "-").code == 0
    assert windlass("connections", "export").out == exported


def test_an_unknown_connection_exits_4(windlass: Windlass) -> None:
    windlass("connections", "add", "warehouse", "--conn-uri", "http://h")
    result = windlass("connections", "delete", "warehuose", "-y")
    assert result.code == 4
    assert "Did you mean 'warehouse'?" in result.err


# -- configuration ----------------------------------------------------------------------------------------------------


def test_config_says_where_a_value_comes_from(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINDLASS__DATABASE__SQL_ALCHEMY_CONN", raising=False)
    monkeypatch.setenv("WINDLASS__CORE__PARALLELISM", "7")
    assert windlass("config", "get-value", "core", "parallelism").out == "7\n"
    [row] = windlass("config", "list", "--changed", "--json").data
    assert (row["value"], row["origin"]) == ("7", "environment WINDLASS__CORE__PARALLELISM")


def test_config_hides_secrets_and_runs_no_command_to_list(
    windlass: Windlass, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WINDLASS__DATABASE__SQL_ALCHEMY_CONN", raising=False)
    monkeypatch.setenv("WINDLASS__DATABASE__SQL_ALCHEMY_CONN_CMD", f"touch {tmp_path}/ran")
    monkeypatch.setenv("WINDLASS__CORE__FERNET_KEY", "k3y")
    out = windlass("config", "list", "--json").out
    assert "k3y" not in out
    assert "(from command touch" in out
    assert not (tmp_path / "ran").exists()


def test_a_wrong_configuration_exits_2(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    assert windlass("config", "lint").code == 0
    monkeypatch.setenv("WINDLASS__CORE__PARALELISM", "7")
    monkeypatch.setenv("WINDLASS__CORE__EXECUTOR", "MoonExecutor")
    monkeypatch.setenv("WINDLASS__CORE__DEFAULT_TIMEZONE", "Mars/Olympus")
    monkeypatch.setenv("WINDLASS__CORE__DAGS_FOLDER", "/nowhere/at/all")
    monkeypatch.setenv("WINDLASS__SECRETS__BACKEND", "moonvault")
    monkeypatch.setenv("WINDLASS__SECRETS__BACKENDS_ORDER", "files")
    result = windlass("config", "lint", "--json")
    assert result.code == 2
    found = [row["problem"] for row in result.data]
    words = ["parallelism", "folder", "zone", "Moon", "moonvault', which", "add `custom`"]
    assert [next(word for word in words if word in text) for text in found] == words, "all of them, not only the first"
    assert not any("choose one of" in text and "environment_variable" in text for text in found), "it is no backend"
    assert "parallelism" in windlass("dags", "list").err, "any other command stops at the first"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SECRETS__BACKENDS_ORDER", "custom,enviroment_variable", "names 'enviroment_variable'; there is custom, env"),
        (
            "ARTIFACTS__STORE",
            "moon",
            "artifacts.store is 'moon', which no installed provider brings; choose one of loc",
        ),
        (
            "DATABASE__SQL_ALCHEMY_CONN",
            "oracle://x",
            "database.sql_alchemy_conn: the database URL starts with 'oracle'",
        ),
        ("CORE__FERNET_KEY", "abc", "core.fernet_key holds what is not 32 bytes in URL-safe base64"),
        ("CORE__EXECUTOR", "CeleryExecutor", "is 'CeleryExecutor'; choose one of LocalExecutor, SequentialExecutor"),
    ],
)
def test_what_would_stop_a_server_is_found_beforehand(
    windlass: Windlass, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"WINDLASS__{variable}", value)
    found = windlass("config", "lint", "--json")
    assert found.code == 2
    assert [says in row["problem"] for row in found.data] == [True]


def test_what_is_given_by_reference_is_not_fetched_to_look_at_it(
    windlass: Windlass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDLASS__CORE__FERNET_KEY_CMD", "false")
    monkeypatch.setenv("WINDLASS__DATABASE__SQL_ALCHEMY_CONN_CMD", "false")
    monkeypatch.delenv("WINDLASS__DATABASE__SQL_ALCHEMY_CONN", raising=False)
    result = windlass("config", "lint")
    assert (result.code, result.out) == (0, "")


# -- providers and plugins --------------------------------------------------------------------------------------------


def test_the_core_lists_itself_as_a_provider(windlass: Windlass) -> None:
    from windlass import __version__

    rows = {row["name"]: row for row in windlass("providers", "list", "--json").data}
    assert rows["core"]["version"] == __version__
    assert "windlass.executors.local" in windlass("providers", "show", "core", "--json").out
    assert windlass("providers", "show", "cor").code == 4


def test_a_provider_is_shown_with_the_fields_of_its_connections_and_where_its_names_are(
    windlass: Windlass, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = (ConnectionField(name="host", label="Host"), ConnectionField(name="token", secret=True))
    acme = Provider(
        name="acme",
        description="Use Acme.",
        version="1.2",
        connection_types=(
            ConnectionType(conn_type="acme", hook="acme.hooks:AcmeHook", fields=fields),
            ConnectionType(conn_type="acmes", fields=fields[:1], open_extra=True),
        ),
        config_options=(ConfigOption(section="acme", key="pace", default=1, description="How fast."),),
        hooks={"AcmeHook": "acme.hooks:AcmeHook"},
        operators={"Load": "acme.loading:Load", "Sell": "acme.selling:Sell", "Unload": "acme.loading:Unload"},
        triggers={"acme.triggers.Arrival": "acme.triggers:Arrival"},
        example_dags=("acme.example_dags",),
        docs_url="https://acme.example/docs",
    )
    registry = Registry(lambda: Catalog((acme,)))
    monkeypatch.setattr("windlass.control.plugins.registry", lambda: registry)
    lines = [
        "name              acme",
        "description       Use Acme.",
        "version           1.2",
        "spec_version      1",
        "connection_types  acme: host, token",
        "                  acmes: host, …",
        "config_options    acme.pace",
        "hooks             acme.hooks: AcmeHook",
        "operators         acme.loading: Load, Unload",
        "                  acme.selling: Sell",
        "triggers          acme.triggers: Arrival",
        "example_dags      acme.example_dags",
        "docs_url          https://acme.example/docs",
    ]
    assert windlass("providers", "show", "acme").out.splitlines() == lines
    plain = windlass("providers", "show", "acme", "-o", "plain").out.splitlines()
    assert "connection_types\tacme: host, token acmes: host, …" in plain
    data = windlass("providers", "show", "acme", "--json").data
    assert data["connection_types"][0]["fields"][1]["secret"] is True
    assert data["sensors"] == {}


def test_a_broken_plugin_is_shown_and_fails_the_check(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = BrokenPlugin("acme", "ImportError: no module named acme_sdk", "install acme-sdk")
    registry = Registry(lambda: Catalog((), (broken,)))
    monkeypatch.setattr("windlass.control.plugins.registry", lambda: registry)
    result = windlass("plugins", "--json")
    assert result.code == 1
    assert result.data[-1]["remedy"] == "install acme-sdk"
    assert "cannot be used: ImportError" in windlass("providers", "show", "acme").err
    assert "1 more cannot be used: windlass plugins" in windlass("providers", "list").err
    assert "BAD  plugins: acme: ImportError" in windlass("doctor").out


def test_a_provider_adds_commands_but_replaces_none(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(
        name="acme",
        cli_commands={
            "acme": "windlass.cli.completion:completion",
            "plain": "windlass.cli.completion:completion",
            "dags": "nowhere:at_all",
        },
        cli_help={"acme": "Print what acme has to say.", "dags": "Nothing that was asked for."},
    )
    registry = Registry(lambda: Catalog((provider,), ()))
    monkeypatch.setattr("windlass.registry.registry", lambda: registry)
    assert "compdef" in windlass("acme", "zsh").out
    assert windlass("dags", "list").code == 0
    monkeypatch.setattr("windlass.registry.cache.read", lambda _file: Catalog((provider,), ()))
    listed = windlass("--help").out
    assert "acme               Print what acme has to say." in listed
    assert "plain              Command of the provider acme." in listed
    assert "dags               List, trigger, pause and inspect DAGs." in listed


# -- the database and the doctor --------------------------------------------------------------------------------------


def test_check_tells_what_to_do(windlass: Windlass, here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    assert windlass("db", "check", "--json").data["state"] == "current"
    use_home(monkeypatch, here.home / "elsewhere")
    assert windlass("db", "check").code == 1
    assert windlass("db", "migrate").code == 0
    assert windlass("db", "check").code == 0


def test_reset_asks_and_spares_a_database_in_use(windlass: Windlass, here: Installation) -> None:
    windlass("variables", "set", "k", "v")
    assert windlass("db", "reset").code == 2
    (here.home / "run").mkdir()
    with (here.home / "run" / "scheduler.lock").open("w", encoding="ascii") as lock:
        lock.write(str(os.getpid()))
        lock.flush()
        used = windlass("db", "reset", "-y")
    assert used.code == 1
    assert f"the database is in use by the scheduler (process {os.getpid()}); stop it first" in used.err
    here.close()
    assert windlass("db", "reset", "-y").code == 0
    with closing(open_bare(url_of(here.home))) as database:
        assert database.rows("SELECT COUNT(*) FROM variable") == [(0,)]


def test_the_doctor_finds_an_open_home_and_a_missing_database(
    windlass: Windlass, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert windlass("doctor").code == 0
    here.home.chmod(0o755)
    result = windlass("doctor", "--json")
    assert result.code == 1
    assert [(c["name"], c["remedy"]) for c in result.data if not c["ok"]] == [("home", f"chmod go= {here.home}")]
    elsewhere = here.home / "elsewhere"
    use_home(monkeypatch, elsewhere)
    assert "the first use creates it" in windlass("doctor").out


def test_the_doctor_finds_secrets_that_everybody_may_read(windlass: Windlass, here: Installation) -> None:
    connections, variables = here.home / "connections.toml", here.home / "variables.env"
    for path, mode in ((connections, 0o644), (variables, 0o660)):
        path.write_text("")
        path.chmod(mode)
    result = windlass("doctor", "--json")
    assert result.code == 1
    assert [(row["finding"], row["remedy"]) for row in result.data if not row["ok"]] == [
        (
            f"{connections} can be read by every user (mode 0644), and it may hold secrets",
            f"chmod g-w,o= {connections}",
        ),
        (f"{variables} can be written by others (mode 0660), and it may hold secrets", f"chmod g-w,o= {variables}"),
    ]
    connections.chmod(0o640)
    variables.chmod(0o600)
    assert windlass("doctor").code == 0


@pytest.mark.services
def test_the_doctor_tells_of_a_server_that_loses_what_was_committed(
    windlass: Windlass, here: Installation, monkeypatch: pytest.MonkeyPatch, mysql_server: MysqlServer
) -> None:
    url = mysql_server.new_database()
    monkeypatch.setenv("WINDLASS__DATABASE__SQL_ALCHEMY_CONN", url)
    with closing(dialect_of(url).connect()) as session:
        session.run("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        try:
            checks = [check for check in windlass("doctor", "--json").data if check["name"] == "mysql"]
        finally:
            session.run("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert [check["ok"] for check in checks] == [True, False]
    assert checks[0]["finding"].startswith("MariaDB ")
    assert "a crash of its host loses transitions" in checks[1]["finding"]
    assert checks[1]["remedy"] == "set it to 1"


def test_the_doctor_finds_broken_promises(windlass: Windlass, here: Installation) -> None:
    assert "ok   invariants: every promise holds" in windlass("doctor", "--invariants").out

    def corrupt(transaction: Transaction) -> None:
        run = transaction.insert(
            "INSERT INTO run (dag_id, run_id, run_type, state, logical_date, interval_start, interval_end, run_after,"
            " queued_at, spec_version, code_version, bundle, file, conf, triggered_by)"
            " VALUES ('d', 'r', 'manual', 'bogus', 0, 0, 0, 0, 0, '', '', '', '', '{}', '')",
            {},
        )
        transaction.run(
            "INSERT INTO ti (run, task_id, state, pool, queue, code_version, epoch)"
            " VALUES (:run, 't', 'running', 'p', 'q', '', 1)",
            {"run": run},
        )

    here.store.db.write(corrupt)
    result = windlass("doctor", "--invariants")
    assert result.code == 1
    assert "BAD  invariants:" in result.out


def test_info_names_versions_and_paths(windlass: Windlass, here: Installation) -> None:
    data = windlass("info", "--json").data
    assert data["home"] == str(here.home)
    assert data["database"] == shown(url_of(here.home))


def test_a_database_url_is_shown_without_its_password() -> None:
    assert shown("postgresql://ann:pw@db/x") == "postgresql://ann:***@db/x"
    assert shown("postgresql://db/x") == "postgresql://db/x"
