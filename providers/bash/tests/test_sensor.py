"""BashSensor: which exit code means what."""

from __future__ import annotations

from typing import Any

import pytest

from windlass_bash.operators import BashCommandFailed
from windlass_bash.sensors import BashSensor


def poke(command: str, **arguments: Any) -> bool:
    return BashSensor(task_id="s", bash_command=command, **arguments).poke({})


def test_it_waits_until_the_command_succeeds() -> None:
    assert poke("exit 0") is True
    assert poke("exit 1") is False
    assert poke("exit 99") is False


def test_with_a_retry_exit_code_any_other_fails() -> None:
    assert poke("exit 7", retry_exit_code=7) is False
    assert poke("exit 0", retry_exit_code=7) is True
    with pytest.raises(BashCommandFailed, match="exit code 1"):
        poke("exit 1", retry_exit_code=7)


def test_the_environment_is_as_for_the_operator() -> None:
    assert poke('[ "$A" = 1 ]', env={"A": "1"}) is True
    assert poke('[ -n "$HOME" ]', env={"A": "1"}) is False
    assert poke('[ -n "$PATH" ]', env={"A": "1"}, append_env=True) is True
