from __future__ import annotations

import json
import subprocess
import sys

import pytest

PLUGIN = """
from windlass.hooks import BaseHook, mask_secret

class Hook(BaseHook):
    def get_conn(self):
        print("connecting")
        return object()

    def test_connection(self):
        self.get_conn()
        return True, f"hello {self.connection.login}"

class Vault(BaseHook):
    def test_connection(self):
        mask_secret(["found-in-a-vault"])
        return True, "the key is found-in-a-vault"

class Lacking(BaseHook):
    def get_conn(self):
        import shop_client

class Broken(BaseHook):
    def get_conn(self):
        raise OSError(f"cannot log in with {self.connection.password}")
"""
RUN = """
import sys
sys.path.insert(0, {folder!r})
from windlass.interfaces.provider import ConnectionField, ConnectionType
from windlass.registry.lookup import Registry
Registry.connection_types = property(lambda self: {{
    "good": ConnectionType(
        conn_type="good", hook="hooks_of_test:Hook", fields=(ConnectionField(name="region"),)
    ),
    "vault": ConnectionType(conn_type="vault", hook="hooks_of_test:Vault"),
    "broken": ConnectionType(conn_type="broken", hook="hooks_of_test:Broken"),
    "lacking": ConnectionType(conn_type="lacking", hook="hooks_of_test:Lacking"),
    "hookless": ConnectionType(conn_type="hookless"),
}})
from windlass.runtime.__main__ import main
sys.exit(main(["test-connection", "my_conn"]))
"""


@pytest.mark.parametrize(
    ("fields", "works", "words"),
    [
        ({"conn_type": "vault"}, True, "found-in-a-vault"),
        ({"conn_type": "good", "login": "ada"}, True, "hello ada"),
        (
            {"conn_type": "good", "login": "ada", "extra": '{"regionn": "hunter22"}'},
            True,
            "hello ada; connection 'my_conn' of type 'good' has no field 'regionn'; did you mean 'region'?",
        ),
        ({"conn_type": "broken", "password": "hunter22"}, False, "OSError"),
        (
            {"conn_type": "lacking"},
            False,
            "connection 'my_conn' needs shop_client, which cannot be imported (No module named 'shop_client')",
        ),
        ({"conn_type": "hookless"}, False, "connection 'my_conn': connections of type 'hookless' have no hook"),
        ({"conn_type": "nosuch"}, False, "connection 'my_conn': no installed provider brings a hook"),
    ],
)
def test_the_answer_says_whether_it_works_and_holds_no_secret(
    fields: dict[str, str], works: bool, words: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "hooks_of_test.py").write_text(PLUGIN)
    info = folder / "acme_shop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: acme-shop\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[windlass.providers]\nshop = hooks_of_test\n")
    child = subprocess.run(
        [sys.executable, "-c", RUN.format(folder=str(folder))],
        input=json.dumps(fields),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(child.stdout)
    assert answer[0] is works
    assert words in answer[1]
    assert answer[2] == (["found-in-a-vault"] if "found" in words else [])  # for who asked to hide
    assert "hunter22" not in child.stdout + child.stderr
