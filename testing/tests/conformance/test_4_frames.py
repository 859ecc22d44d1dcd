"""SEMANTICS, section 4: arrays, frames and models travel where their libraries are installed.

The workspace does without them: ``nox -s frames`` installs them and runs this file. Elsewhere it says what to install.
"""

# ruff: noqa: ANN401 - the libraries' own types, which the workspace does not have
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from windlass import DAG, task
from windlass_testing.virtual import VirtualInstallation

VALUES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a numpy array": ("numpy", lambda np: np.arange(6, dtype="int16").reshape(2, 3)),
    "an empty numpy array": ("numpy", lambda np: np.zeros((0, 3))),
    "a numpy array of dates": ("numpy", lambda np: np.array(["2026-01-01"], dtype="datetime64[D]")),
    "a numpy array of texts": ("numpy", lambda np: np.array(["a", "bc"])),
    "a numpy scalar": ("numpy", lambda np: np.float32(0.5)),
    "a numpy truth": ("numpy", lambda np: np.bool_(1)),
    "a pandas frame": ("pandas", lambda pd: pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["p", "q"])),
    "a polars frame": ("polars", lambda pl: pl.DataFrame({"a": [1, 2], "b": ["x", None]})),
    "a pyarrow table": ("pyarrow", lambda pa: pa.table({"a": [1, 2]})),
}


def library(name: str) -> Any:
    """Return a library, or skip the test and say what to install."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        pytest.skip(f"needs {name}: run `nox -s frames`, or pip install numpy pandas polars pyarrow pydantic")


def both_ways(windlass: VirtualInstallation, value: Any) -> Any:
    """Return what becomes of a value between two tasks."""
    seen: list[Any] = []
    with DAG("d", schedule=None) as dag:
        task(task_id="use")(seen.append)(task(task_id="make")(lambda: value)())
    run = windlass.run(dag)
    assert run.state == "success", windlass.log(run, "make")
    return seen[0]


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_the_same(windlass: VirtualInstallation, name: str) -> None:
    module, make = VALUES[name]
    value = make(library(module))
    found = both_ways(windlass, value)
    assert type(found) is type(value)
    if hasattr(value, "equals"):
        assert found.equals(value)
    else:
        assert found.dtype == value.dtype
        assert found.tolist() == value.tolist()


def test_a_pydantic_model_travels(windlass: VirtualInstallation) -> None:
    model = library("pydantic").create_model("Model", a=(int, ...), __module__=__name__)
    globals()["Model"] = model
    assert both_ways(windlass, {"deep": [model(a=1)]}) == {"deep": [model(a=1)]}
