"""A provider whose client library is not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from windlass.registry import import_name

REQUIRES = """\
Provides-Extra: tables
Requires-Dist: shop-client>=2
Requires-Dist: table-library>=1; extra == "tables"
"""
HOOK = """
from windlass.hooks import BaseHook

class ShopHook(BaseHook):
    conn_name_attr = "shop_conn_id"

    def get_conn(self):
        import shop_client
        return shop_client

    def table(self):
        import table_library

    def through_a_module(self):
        from acme_shop import client

    def of_its_own(self):
        import acme_shop.no_such_module

    def in_its_own_words(self):
        raise ImportError("tables need pandas: pip install acme-shop[pandas]")

    def call(self, function):
        return function()

    def load(self, name):
        import importlib
        return importlib.import_module(name)

def anywhere():
    import shop_client
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Install the provider `acme-shop`, without its library `shop_client`; return its hook."""
    package, info = tmp_path / "acme_shop", tmp_path / "acme_shop-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: acme-shop\nVersion: 1.0\n" + REQUIRES)
    (info / "entry_points.txt").write_text("[windlass.providers]\nshop = acme_shop.plugin\n")
    (package / "__init__.py").touch()
    (package / "hook.py").write_text(HOOK)
    (package / "client.py").write_text("import shop_client\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield import_name("acme_shop.hook:ShopHook")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"acme_shop", "shop_client", "users_code"}:
            del sys.modules[name]
