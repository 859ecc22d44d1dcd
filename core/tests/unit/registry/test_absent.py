"""A library that a provider needs and that is not there: whose it is, and the command that installs it."""

# ruff: noqa: ANN401 - the hook is made at run time
from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import PluginError
from windlass.registry import discovery, import_name, registry
from windlass.registry.absent import OWN_COMMANDS, OWN_TYPES, missing_library


def said(action: Callable[[], object]) -> str | None:
    """Return what is said of the ImportError that ``action`` raises."""
    with pytest.raises(ImportError) as caught:
        action()
    return missing_library(caught.value)


NEEDS = "needs shop_client, which cannot be imported (No module named 'shop_client'): `pip install acme-shop`"


def test_the_sentence_names_the_connection_the_library_and_the_command(shop: Any) -> None:
    assert said(shop("till").get_conn) == f"connection 'till' {NEEDS}"
    assert said(shop("till").through_a_module) == f"connection 'till' {NEEDS}"


def test_where_no_hook_is_at_work_it_names_the_distribution(shop: Any) -> None:
    assert said(sys.modules[shop.__module__].anywhere) == f"acme-shop {NEEDS}"


def test_a_library_of_an_extra_is_installed_by_the_extra(shop: Any) -> None:
    assert (said(shop("till").table) or "").endswith("'table_library'): `pip install 'acme-shop[tables]'`")


@pytest.mark.parametrize(
    ("library", "why"),
    [
        ("import shop_core", "No module named 'shop_core'"),
        ("def load():\n    raise ImportError('no wrapper:\\n- none built')\nload()", "no wrapper: - none built"),
    ],
)
def test_a_library_that_is_there_and_lacks_something_is_named_with_what_it_says(
    shop: Any, tmp_path: Path, library: str, why: str
) -> None:
    (tmp_path / "shop_client.py").write_text(library)
    assert said(shop("till").get_conn) == (
        f"connection 'till' needs shop_client, which cannot be imported ({why}): `pip install acme-shop`"
    )


def test_what_the_users_code_lacks_is_not_blamed_on_the_provider(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "users_code.py").write_text("import no_such_module\n")

    def callback() -> None:
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401

    assert said(callback) is None
    assert said(lambda: shop("till").call(callback)) is None
    assert said(lambda: shop("till").load("users_code")) is None
    assert said(lambda: shop("till").load("no_such_module")) is None


def test_a_fault_of_the_provider_and_a_sentence_of_its_own_stay_as_they_are(shop: Any) -> None:
    assert said(shop("till").of_its_own) is None
    assert said(shop("till").in_its_own_words) is None
    assert missing_library(ValueError("no import")) is None


def test_a_hook_whose_module_lacks_its_library_says_so_when_it_is_looked_up(shop: Any) -> None:
    assert shop
    with pytest.raises(PluginError) as caught:
        import_name("acme_shop.client:Client", "hook of 'shop'")
    assert str(caught.value) == f"hook of 'shop' (acme_shop.client:Client) {NEEDS}"


def test_the_commands_of_our_own_distributions_are_those_of_their_manifests() -> None:
    installed = {entry.name: entry.dist.name for entry in discovery.installed() if entry.dist is not None}
    brought = {name: installed[provider.name] for provider in registry().providers for name in provider.cli_commands}
    assert {name: brings for name, brings in brought.items() if brings.startswith("windlass-")} == OWN_COMMANDS


def test_the_types_of_our_own_providers_are_those_of_their_manifests() -> None:
    installed = {entry.name: entry.dist.name for entry in discovery.installed() if entry.dist is not None}
    own = set(OWN_TYPES.values())
    found = {
        name: installed[provider.name]
        for provider in registry().providers
        if installed.get(provider.name) in own
        for entry in provider.connection_types
        for name in (entry.conn_type, *entry.aliases)
    }
    assert {name: brings for name, brings in OWN_TYPES.items() if brings in found.values()} == found
