"""Another time of day for one process: what a file makes of its DAGs must not depend on when it is parsed."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

_Moment = dt.datetime
_Day = dt.date
#: The constructors of the real classes that do not look at a clock.
_MOMENT_MAKERS = (
    "fromtimestamp", "utcfromtimestamp", "fromisoformat", "fromordinal", "fromisocalendar", "strptime", "combine",
)  # fmt: skip
_DAY_MAKERS = ("fromtimestamp", "fromisoformat", "fromordinal", "fromisocalendar")


def live_later(seconds: float) -> None:
    """Let every clock of this process that tells the date be ahead by ``seconds``, for good.

    What has been imported already keeps the classes that it has; a DAG file gets the later ones. Whatever they make is
    a plain datetime, so that nobody can tell it from another.
    """
    shift = dt.timedelta(seconds=seconds)
    module: Any = dt
    module.datetime, module.date = _later_moment(shift), _later_day(shift)
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)
    for name in ("localtime", "gmtime", "ctime"):
        setattr(time, name, _given_now(getattr(time, name)))
    strftime, localtime = time.strftime, time.localtime
    later: Any = time
    later.strftime = lambda form, when=None: strftime(form, localtime() if when is None else when)


def _given_now(function: Callable[[float], Any]) -> Callable[..., Any]:
    """Return a function of :mod:`time` that takes the later now where no instant is given."""

    def given(seconds: float | None = None) -> Any:  # noqa: ANN401 - what the real one returns
        return function(time.time() if seconds is None else seconds)

    return given


class _Passing(type):
    """Makes a stand-in for a class pass for it: the instances of the real one are its own."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


def _later_moment(shift: dt.timedelta) -> Any:  # noqa: ANN401 - a class that passes for another
    class Later(_Moment, metaclass=_Passing):
        """A datetime whose now is later."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the real one takes
            return _made(cls, stand_in, _Moment, args, kwargs)

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:  # noqa: ANN401 - as above
            return _Moment.now(tz) + shift

        @classmethod
        def utcnow(cls) -> Any:  # noqa: ANN401 - as above
            return _Moment.now(dt.UTC).replace(tzinfo=None) + shift

        @classmethod
        def today(cls) -> Any:  # noqa: ANN401 - as above
            return _Moment.now() + shift

    stand_in = _with_makers(Later, _Moment, _MOMENT_MAKERS)
    return stand_in


def _later_day(shift: dt.timedelta) -> Any:  # noqa: ANN401 - a class that passes for another
    class Later(_Day, metaclass=_Passing):
        """A date whose today is later."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the real one takes
            return _made(cls, stand_in, _Day, args, kwargs)

        @classmethod
        def today(cls) -> Any:  # noqa: ANN401 - as above
            return (_Moment.now() + shift).date()

    stand_in = _with_makers(Later, _Day, _DAY_MAKERS)
    return stand_in


def _made(cls: type, stand_in: type, real: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return an instance of the real class, or of a subclass that a library has made of the stand-in."""
    return real(*args, **kwargs) if cls is stand_in else real.__new__(cls, *args, **kwargs)


def _with_makers(stand_in: type, real: type, names: tuple[str, ...]) -> type:
    """Give a stand-in the name and the constructors of the real class."""
    for name in names:
        setattr(stand_in, name, staticmethod(getattr(real, name)))
    stand_in.__name__ = stand_in.__qualname__ = real.__name__
    return stand_in
