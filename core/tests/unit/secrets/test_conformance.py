"""The core's secrets backends do what every secrets backend must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from windlass.secrets.env import CONNECTION_PREFIX, VARIABLE_PREFIX, EnvironmentSource
from windlass.secrets.files import FileSource
from windlass_testing.conformance import SecretsBackendSuite


class TestEnvironment(SecretsBackendSuite):
    @pytest.fixture(autouse=True)
    def environment(self) -> None:
        self.environ: dict[str, str] = {}

    def make(self) -> EnvironmentSource:
        return EnvironmentSource(self.environ)

    def put_connection(self, conn_id: str, text: str) -> None:
        self.environ[f"{CONNECTION_PREFIX}{conn_id.upper()}"] = text

    def put_variable(self, key: str, text: str) -> None:
        self.environ[f"{VARIABLE_PREFIX}{key.upper()}"] = text

    def unusable(self) -> dict[str, EnvironmentSource]:
        return {}  # an environment is always there


class TestFiles(SecretsBackendSuite):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path

    def make(self) -> FileSource:
        return FileSource(self.tmp_path)

    def put_connection(self, conn_id: str, text: str) -> None:
        self._put("connections.json", conn_id, json.loads(text) if text.startswith("{") else text)

    def put_variable(self, key: str, text: str) -> None:
        self._put("variables.json", key, text)

    def unusable(self) -> dict[str, FileSource]:
        broken = self.tmp_path / "broken"
        broken.mkdir(exist_ok=True)
        for name in ("connections.json", "variables.json"):
            (broken / name).write_text('{"db": "postgres://ada:secret-of-the-file@host", ', encoding="utf-8")
        return {"no JSON": FileSource(broken)}

    credentials = ("secret-of-the-file",)

    def _put(self, name: str, key: str, value: object) -> None:
        file = self.tmp_path / name
        entries = json.loads(file.read_text("utf-8")) if file.exists() else {}
        file.write_text(json.dumps({**entries, key: value}), encoding="utf-8")
