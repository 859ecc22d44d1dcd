"""The registry: what is installed, what is refused, and from a name to a class."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from windlass.errors import PluginError
from windlass.registry import (
    KINDS,
    Catalog,
    ConfigOption,
    ConnectionType,
    PluginModules,
    Provider,
    Registry,
    import_name,
    lookup,
    registry,
)
from windlass.registry.cache import read, write
from windlass.registry.catalog import names_of
from windlass.registry.core_provider import CORE
from windlass.registry.discovery import discover

Install = Callable[[str, str], EntryPoint]

GOOD = """
from windlass.plugin import Provider, hookimpl

@hookimpl
def windlass_provider():
    return Provider(name="{name}", executors={{"{name}": "{name}_plugin:Executor"}})

class Executor:
    pass
"""


MANIFEST = """
from windlass.plugin import Provider, hookimpl

@hookimpl
def windlass_provider():
    return Provider(name="x", {})
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write a plugin module and return its entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(name: str, text: str) -> EntryPoint:
        (tmp_path / f"{name}_plugin.py").write_text(text)
        return EntryPoint(name, f"{name}_plugin", "windlass.providers")

    yield make
    for name in set(sys.modules) - before:
        if name.endswith(("_plugin", "_hooks")):
            del sys.modules[name]


def test_good_providers_are_found_in_order_of_their_names(install: Install) -> None:
    catalog = discover([install("b", GOOD.format(name="b")), install("a", GOOD.format(name="a"))])
    assert [provider.name for provider in catalog.providers] == ["a", "b"]
    assert catalog.broken == ()
    plugins = Registry(lambda: catalog)
    assert [provider.name for provider in plugins.providers] == ["core", "a", "b"]
    assert plugins.lookup("executors", "b").__name__ == "Executor"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def", "SyntaxError: "),
        ("1 / 0", "ZeroDivisionError: "),
        ("import sys; sys.exit(3)", "called sys.exit(3)"),
        ("", "has no hook windlass_provider that returns a Provider"),
        (
            "from windlass.plugin import hookimpl\n@hookimpl\ndef windlass_provdier(): pass\n",
            "has a hook that does not fit: unknown hook 'windlass_provdier'",
        ),
        (
            "from windlass.plugin import hookimpl\n@hookimpl\ndef on_run_changed(changed): pass\n",
            "has a hook that does not fit: ",
        ),
        (
            MANIFEST.format("hooks=3"),
            "its manifest is wrong: Expected `object`, got `int` - at `$.hooks`",
        ),
        (
            MANIFEST.format("hooks={'h': '!'}"),
            "hooks['h'] is '!', which is no package.module:Name",
        ),
        (
            MANIFEST.format("example_dags='x.example_dags'"),
            "its manifest is wrong: Expected `array`, got `str` - at `$.example_dags`",
        ),
        (
            MANIFEST.format("example_dags=('x/example_dags',)"),
            "its manifest is wrong: example_dags has 'x/example_dags', which is no name of a package",
        ),
        (
            MANIFEST.format("example_dags=('',)"),
            "its manifest is wrong: example_dags has '', which is no name of a package",
        ),
        (
            MANIFEST.format("spec_version=99"),
            "it needs plugin interface 99, and this Windlass has 1",
        ),
        (
            "from windlass.plugin import *\n@hookimpl\ndef windlass_provider(): return Provider(name='core')\n",
            "another provider is already called 'core'",
        ),
    ],
)
def test_a_broken_provider_is_shown_and_stops_no_other(install: Install, text: str, error: str) -> None:
    catalog = discover([install("bad", text), install("good", GOOD.format(name="good"))])
    assert [provider.name for provider in catalog.providers] == ["good"]
    (broken,) = catalog.broken
    assert broken.name == "bad"
    assert error in broken.error
    assert broken.remedy


def test_a_broken_provider_is_logged_loudly(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    discover([install("bad", "import no_such_module")])
    assert "provider bad cannot be used: ModuleNotFoundError" in caplog.text
    assert "install what is missing, or reinstall bad" in caplog.text


def test_the_remedy_for_a_newer_provider_is_an_upgrade(install: Install) -> None:
    text = (
        "from windlass.plugin import *\n@hookimpl\ndef windlass_provider(): return Provider(name='x', spec_version=2)\n"
    )
    (broken,) = discover([install("bad", text)]).broken
    assert broken.remedy == "upgrade windlass, or install an older bad"


def test_the_first_of_two_wins_and_the_second_is_shown() -> None:
    first = Provider(
        name="a",
        hooks={"H": "json:JSONDecoder"},
        connection_types=(ConnectionType(conn_type="t", label="first"),),
        config_options=(ConfigOption(section="x", key="y", default=1, description="First."),),
    )
    second = Provider(
        name="b",
        hooks={"H": "json:JSONEncoder"},
        executors={"LocalExecutor": "json:JSONEncoder"},
        connection_types=(ConnectionType(conn_type="t", label="second"),),
    )
    plugins = Registry(lambda: Catalog((first, second)))
    assert plugins.lookup("hooks", "H") is json.JSONDecoder
    assert plugins.find("executors", "LocalExecutor") == "windlass.executors.local:LocalExecutor"
    assert plugins.connection_types["t"].label == "first"
    assert [(entry.kind, entry.name, entry.first, entry.second) for entry in plugins.duplicates] == [
        ("hooks", "H", "a", "b"),
        ("executors", "LocalExecutor", "core", "b"),
        ("connection_types", "t", "a", "b"),
    ]
    (option,) = plugins.options
    assert (option.name, option.kind, option.default) == ("x.y", "int", 1)


def test_a_type_of_connection_may_have_aliases_and_a_type_of_that_name_comes_first() -> None:
    own = ConnectionType(conn_type="tt", label="own")
    aliased = ConnectionType(conn_type="t", aliases=("tt", "ttt"), label="aliased", hook="json:JSONDecoder")
    plugins = Registry(
        lambda: Catalog((Provider(name="a", connection_types=(aliased,)), Provider(name="b", connection_types=(own,))))
    )
    assert plugins.hook_class("ttt") is plugins.hook_class("t") is json.JSONDecoder
    assert plugins.connection_types["ttt"] is aliased
    assert plugins.connection_types["tt"] is own
    assert [(entry.name, entry.first, entry.second) for entry in plugins.duplicates] == [("tt", "a", "b")]


def test_an_unknown_name_is_an_error_with_the_closest_and_the_broken() -> None:
    plugins = Registry(Catalog)
    with pytest.raises(
        PluginError, match="no installed provider brings the executor 'LocalExecuter'; did you mean Local"
    ):
        plugins.lookup("executors", "LocalExecuter")
    with pytest.raises(PluginError, match="there is no kind 'executor' of plugin; the kinds are hooks, "):
        plugins.lookup("executor", "LocalExecutor")


def test_a_hook_is_found_by_a_type_of_connection_in_the_manifests_alone() -> None:
    provider = Provider(name="a", connection_types=(ConnectionType(conn_type="t", hook="json:JSONDecoder"),))
    plugins = Registry(lambda: Catalog((provider,)))
    assert plugins.hook_class("t") is json.JSONDecoder
    with pytest.raises(PluginError, match="brings a hook for connections of type 'u'; the known types are generic, t"):
        plugins.hook_class("u")
    with pytest.raises(PluginError, match="brings a hook for connections without a type; the known types"):
        plugins.hook_class(None)
    with pytest.raises(PluginError, match="connections of type 'generic' have no hook"):
        plugins.hook_class("generic")


@pytest.mark.parametrize(
    ("conn_type", "remedy"),
    [
        ("warehose", "did you mean 'warehouse'?"),
        ("aws", "`pip install windlass-aws` does"),
        ("valt", "did you mean 'vault', for which `pip install windlass-vault` does?"),
        ("nosuch", "the known types are generic, warehouse"),
    ],
)
def test_a_type_of_connection_that_nobody_brings_has_a_remedy(conn_type: str, remedy: str) -> None:
    provider = Provider(name="acme", connection_types=(ConnectionType(conn_type="warehouse", hook="json:loads"),))
    with pytest.raises(PluginError) as caught:
        Registry(lambda: Catalog((provider,))).hook_class(conn_type)
    assert str(caught.value) == (f"no installed provider brings a hook for connections of type {conn_type!r}; {remedy}")


def test_importing_a_name_says_what_is_missing() -> None:
    assert import_name("json:JSONDecoder.decode") is json.JSONDecoder.decode
    assert import_name("json.JSONDecoder") is json.JSONDecoder
    with pytest.raises(PluginError, match=r"^hook 'H' \(json:Nope\) does not exist: json has no Nope"):
        import_name("json:Nope", "hook 'H'")
    with pytest.raises(PluginError, match=r"^no_such:x cannot be imported: ModuleNotFoundError"):
        import_name("no_such:x")


def test_the_cores_own_names_need_no_discovery() -> None:
    def never() -> Catalog:
        raise AssertionError

    assert Registry(never).find("executors", "LocalExecutor") == CORE.executors["LocalExecutor"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in KINDS
        if kind not in {"executors", "runners"}  # which need more than the slim core
        for name in names_of(CORE, kind)
    ],
)
def test_everything_in_the_cores_manifest_exists(kind: str, name: str) -> None:
    assert callable(lookup(kind, name))


def test_executors_and_runners_exist_where_a_server_is_installed() -> None:
    pytest.importorskip("sqlalchemy")
    assert lookup("executors", "LocalExecutor").__name__ == "LocalExecutor"
    assert lookup("executors", "SequentialExecutor").__name__ == "SequentialExecutor"
    assert callable(lookup("runners", "inproc"))


def test_there_is_one_registry_in_a_process() -> None:
    assert registry() is registry()
    assert registry().providers[0] is CORE


def test_a_cached_catalog_is_the_same_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    site.mkdir()
    module = tmp_path / "plugin.py"
    module.write_text("")
    monkeypatch.setattr(sys, "path", [str(site)])
    file = tmp_path / "cache" / "providers.json"
    types = (ConnectionType(conn_type="t"),)
    catalog = Catalog((Provider(name="a", hooks={"h": "m:C"}, connection_types=types, example_dags=("a.examples",)),))
    assert read(file) is None
    write(file, catalog, [str(module)])
    assert read(file) == catalog
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]

    (site / "some_module.py").touch()
    os.utime(site, ns=(1, 1))
    assert read(file) == catalog  # no distribution came or went
    (site / "new.dist-info").mkdir()
    assert read(file) is None
    write(file, catalog, [str(module)])
    os.utime(site / "new.dist-info", ns=(1, 1))
    os.utime(site, ns=(2, 2))
    assert read(file) is None  # installed again, with other entry points perhaps
    write(file, catalog, [str(module)])
    assert read(file) == catalog
    module.write_text("# edited\n")
    assert read(file) is None
    write(file, catalog, [str(module)])
    module.unlink()
    assert read(file) is None
    write(file, catalog, [])
    monkeypatch.setattr(sys, "path", [str(site), str(tmp_path)])
    assert read(file) is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"format": 0}'])
def test_a_damaged_cache_is_no_cache(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "providers.json"
    file.write_bytes(data)
    assert read(file) is None


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    write(tmp_path / "cache" / "providers.json", Catalog(), [])
    assert (tmp_path / "cache").read_text() == "a file in the way"


def test_hook_modules_are_loaded_apart(install: Install, tmp_path: Path) -> None:
    marker = "from windlass.plugin import hookimpl\n"
    (tmp_path / "good_hooks.py").write_text(marker + "@hookimpl\ndef on_run_changed(change): return change\n")
    (tmp_path / "bad_hooks.py").write_text(marker + "@hookimpl\ndef on_run_chagned(change): pass\n")
    providers = tuple(Provider(name=name, observers=(f"{name}_hooks",)) for name in ("bad", "good", "missing"))
    modules = PluginModules(Registry(lambda: Catalog(providers)), "observers")
    assert [broken.name for broken in modules.broken] == ["bad", "missing"]
    ((provider, call),) = modules.callers("on_run_changed")
    assert provider == "good"
    assert call(change="it") == ["it"]
    assert list(modules.callers("on_task_changed")) == []


def test_every_kind_is_a_field_of_the_manifest() -> None:
    assert set(KINDS) <= set(Provider.__struct_fields__)
    assert "observers" not in KINDS
