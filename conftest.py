"""What holds for every test of every package: how they share the machine, and nothing about what they prove."""

from __future__ import annotations

import gc

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that are given more time than others, so that no worker waits at the end for one long test."""
    items.sort(key=_patience, reverse=True)


def _patience(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker is not None else item.config.getini("timeout") or 0)


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what ten thousand tests keep until the end, and come less often.

    Python looks through everything that lives whenever enough was made, and here the tests themselves live on: in
    tests that make large things, such as a client of AWS, that was half of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, *gc.get_threshold()[1:])
