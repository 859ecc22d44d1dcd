"""What windlass-bash promises as a provider, an operator and a sensor; its own behaviour is tested beside this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from windlass_bash.operators import BashOperator
from windlass_bash.sensors import BashSensor
from windlass_testing.conformance import OperatorSuite, ProviderSuite, SensorSuite


class TestProvider(ProviderSuite):
    distribution = "windlass-bash"


class TestBashOperator(OperatorSuite):
    operator_class = BashOperator
    arguments = {"bash_command": "echo one; echo two"}
    result = "two"
    template_values = {"env": {"WORD": "{{ params.conformance }}"}}

    @pytest.fixture
    def endless_arguments(self, tmp_path: Path) -> Mapping[str, Any]:
        self.pids = tmp_path / "pids"
        command = f"sleep 600 & echo $! > {self.pids}.new; mv {self.pids}.new {self.pids}; wait"
        return {"bash_command": command}

    def is_at_work(self) -> bool:
        return self.pids.exists()

    def is_gone(self) -> bool:
        try:
            return Path(f"/proc/{int(self.pids.read_text())}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True


class TestBashSensor(SensorSuite):
    operator_class = BashSensor
    arguments = {"bash_command": "exit 0"}
    waiting_arguments = {"bash_command": "exit 1"}
    template_values = {"env": {"WORD": "{{ params.conformance }}"}}
