"""``macros``: functions and modules for templates. Modules are imported when a template uses them."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from windlass.errors import ExtraMissing


def ds_add(ds: str, days: int) -> str:
    """Return the day ``days`` after ``ds`` (YYYY-MM-DD)."""
    if not days:
        return str(ds)
    return (datetime.strptime(str(ds), "%Y-%m-%d") + timedelta(days=days)).strftime("%Y-%m-%d")  # noqa: DTZ007 - a day


def ds_format(ds: str, input_format: str, output_format: str) -> str:
    """Return ``ds``, read as ``input_format``, in ``output_format``."""
    return datetime.strptime(str(ds), input_format).strftime(output_format)  # noqa: DTZ007 - a date as text


class Macros:
    """The names that templates find under ``macros``."""

    ds_add = staticmethod(ds_add)
    ds_format = staticmethod(ds_format)
    datetime = datetime
    timedelta = timedelta
    _modules = {"dateutil": "dateutil", "json": "json", "math": "math", "time": "time", "uuid": "uuid"}  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        """Import what the template asks for."""
        if name == "random":
            return import_module("random").random
        if name in self._modules:
            if name == "dateutil":
                return self._dateutil()
            return import_module(self._modules[name])
        raise AttributeError(f"there is no macro {name!r}")

    @staticmethod
    def _dateutil() -> Any:
        try:
            import_module("dateutil.parser")
            import_module("dateutil.relativedelta")
        except ImportError:
            raise ExtraMissing("macros.dateutil needs python-dateutil") from None
        return import_module("dateutil")


MACROS = Macros()
