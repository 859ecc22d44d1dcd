"""What a server says about itself: text for people, or JSON for whatever collects it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from windlass.app.server_log import configure
from windlass.config import Settings

log = logging.getLogger("windlass.scheduler")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def settings(**environ: str) -> Settings:
    return Settings.load(environ={f"WINDLASS__LOGGING__{key}": value for key, value in environ.items()})


def test_text_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings())
    log.info("took %d runs", 3)
    log.debug("not told")
    assert capsys.readouterr().err.endswith(" INFO windlass.scheduler: took 3 runs\n")


def test_json_is_one_object_a_line_whatever_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    configure(settings(JSON_LOGS="true", LOGGING_LEVEL="WARNING"))
    log.info("not told")
    log.warning("two\nlines of ünï 'code'")
    try:
        int("broken")
    except ValueError:
        log.exception("it failed")
    said, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert said.keys() == {"ts", "level", "logger", "msg"}
    assert (said["level"], said["logger"], said["msg"]) == (
        "WARNING", "windlass.scheduler", "two\nlines of ünï 'code'",
    )  # fmt: skip
    assert datetime.fromisoformat(said["ts"]).utcoffset() is not None
    assert failed["traceback"].endswith("ValueError: invalid literal for int() with base 10: 'broken'")
