"""What arguments must look like, and the sentences for those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from windlass.errors import AuthoringError
from windlass.moment import parse_moment, utc

MAX_ID = 250
_CO_VARKEYWORDS = 0x08


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the name of ``known`` that ``name`` most likely means."""
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown_argument(owner: str, name: str, known: Iterable[str]) -> AuthoringError:
    """Return the error for an argument that ``owner`` does not have."""
    match = closest(name, known)
    remedy = f"did you mean {match!r}?" if match else "remove it, or look up the arguments in the reference"
    return AuthoringError(f"{owner} has no argument {name!r}; {remedy}")


def check_id(kind: str, value: object, *, dots: bool = True) -> str:
    """Return ``value`` if it can be the id of a ``kind``: letters, digits, ``_``, ``-`` and, if allowed, ``.``.

    :raises AuthoringError: if not.
    """
    if not isinstance(value, str):
        raise AuthoringError(f"{kind} must be a string, not {type(value).__name__} ({value!r}); write it in quotes")
    if not 0 < len(value) <= MAX_ID:
        raise AuthoringError(f"{kind} {value[:60]!r} has {len(value)} characters; give it 1 to {MAX_ID}")
    allowed = "_-." if dots else "_-"
    if not all(char.isalnum() or char in allowed for char in value):
        signs = "underscores, dashes and dots" if dots else "underscores and dashes"
        raise AuthoringError(f"{kind} {value!r} has characters that an id cannot have; use letters, digits, {signs}")
    return value


def duration(
    owner: str, name: str, value: object, *, is_positive: bool = False, is_signed: bool = False
) -> timedelta | None:
    """Return ``value``, a timedelta or a number of seconds, as a timedelta.

    :raises AuthoringError: if it is neither, negative where it has no sign, or zero where it must be positive.
    """
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (OverflowError, ValueError):
            raise AuthoringError(f"{owner}: {name} of {value!r} seconds is no length of time; write less") from None
    if not isinstance(value, timedelta):
        raise AuthoringError(f"{owner}: {name} must be a timedelta or a number of seconds, not {value!r}")
    if (value < timedelta(0) and not is_signed) or (is_positive and not value):
        wanted = "positive" if is_positive else "0 or more"
        raise AuthoringError(f"{owner}: {name} must be {wanted}, not {value.total_seconds():g} seconds")
    return value


def mapping(owner: str, name: str, value: object) -> dict[str, Any]:
    """Return ``value`` as a dict, an empty one for None.

    :raises AuthoringError: if it is no mapping with texts as keys.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise AuthoringError(f"{owner}: {name} must be a dict, not {value!r:.80}; write {name}={{'key': …}}")
    for key in value:
        if not isinstance(key, str):
            raise AuthoringError(f"{owner}: a key of {name} must be a text, not {key!r:.80}; write it in quotes")
    return dict(value)


def check_callbacks(owner: str, name: str, value: object) -> None:
    """Check that ``value`` is something to call, several of them, or None.

    :raises AuthoringError: if not.
    """
    for callback in value if isinstance(value, (list, tuple)) else () if value is None else (value,):
        if not callable(callback):
            raise AuthoringError(f"{owner}: {name} must be a function or a notifier, not {callback!r:.80}")


def moment(owner: str, name: str, value: object) -> datetime | None:
    """Return ``value`` as a datetime; a text in ISO 8601 is read.

    :raises AuthoringError: if it is none.
    """
    if isinstance(value, str):
        try:
            return parse_moment(value)
        except ValueError as error:
            raise AuthoringError(f"{owner}: {name} {error}") from None
    if value is not None and not isinstance(value, datetime):
        raise AuthoringError(
            f"{owner}: {name} must be a datetime, not {value!r:.80}; write datetime(2026, 1, 1, tzinfo=UTC)"
        )
    return value


def rendered_moment(owner: str, name: str, value: object, default: tzinfo = UTC) -> datetime | None:
    """Return what a template or another task has given as a moment in UTC; one without a zone is read in ``default``.

    :raises AuthoringError: if it is none.
    """
    try:
        if isinstance(value, str):
            return parse_moment(value, default)
    except ValueError as error:
        raise AuthoringError(f"{owner}: {name} {error}") from None
    found = moment(owner, name, value)
    return None if found is None else utc(found, default)


def states(
    owner: str, name: str, value: Iterable[object] | None, default: tuple[str, ...], known: Iterable[str]
) -> tuple[str, ...]:
    """Return the names of states in ``value``, ``default`` for None.

    :raises AuthoringError: if one is no state.
    """
    if value is None:
        return default
    if isinstance(value, str):
        raise AuthoringError(f"{owner}: {name} must be a list of states; write {name}=[{value!r}]")
    names = tuple(str(state) for state in value)
    every = tuple(str(state) for state in known)
    for state in names:
        if state not in every:
            match = closest(state, every)
            hint = f"did you mean {match!r}?" if match else f"the states are {', '.join(every)}"
            raise AuthoringError(f"{owner}: {name} has {state!r}, which is no state; {hint}")
    return names or default


def required_duration(owner: str, name: str, value: object) -> timedelta:
    """Return ``value`` as a timedelta, like :func:`duration`, but refuse None."""
    result = duration(owner, name, value)
    if result is None:
        raise AuthoringError(f"{owner}: {name} must be a timedelta or a number of seconds, not None")
    return result


def whole(owner: str, name: str, value: object, *, low: int = 0) -> int:
    """Return ``value`` as an int of at least ``low``; text of digits is accepted.

    :raises AuthoringError: if it is none.
    """
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, (bool, float)) or number < low:
        raise AuthoringError(f"{owner}: {name} must be a whole number of at least {low}, not {value!r}")
    return int(number)


class Signature:
    """The parameters of a callable, read from its code object so that a DAG file need not load ``inspect``."""

    __slots__ = ("has_var_keywords", "has_var_positional", "keyword_only", "names", "positional", "required")

    def __init__(
        self,
        positional: tuple[str, ...],
        keyword_only: tuple[str, ...],
        required: frozenset[str],
        *,
        has_var_positional: bool,
        has_var_keywords: bool,
    ) -> None:
        self.positional = positional
        self.keyword_only = keyword_only
        #: All parameters that have a name of their own.
        self.names = (*positional, *keyword_only)
        self.required = required
        self.has_var_positional = has_var_positional
        self.has_var_keywords = has_var_keywords

    def check(self, name: str, args: tuple[Any, ...], given: Iterable[str]) -> None:
        """Refuse a call with ``args`` and the keywords ``given`` that Python would refuse when the task runs.

        :raises TypeError: as Python words it.
        """
        given = list(given)
        if len(args) > len(self.positional) and not self.has_var_positional:
            raise TypeError(f"{name}() takes {len(self.positional)} positional arguments but {len(args)} were given")
        filled = self.positional[: len(args)]
        for key in given:
            if key in filled:
                raise TypeError(f"{name}() got multiple values for argument {key!r}")
            if key not in self.names and not self.has_var_keywords:
                match = closest(key, self.names)
                hint = f". Did you mean {match!r}?" if match else ""
                raise TypeError(f"{name}() got an unexpected keyword argument {key!r}{hint}")
        missing = [key for key in self.names if key in self.required and key not in filled and key not in given]
        if missing:
            raise TypeError(f"{name}() missing required argument: {', '.join(map(repr, missing))}")


def signature(function: Callable[..., Any]) -> Signature:
    """Return the parameters of ``function``, as a caller sees them (without a bound ``self``)."""
    known = getattr(function, "__signature_of__", None)
    if isinstance(known, Signature):
        return known
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        return _inspected(function)
    positional: tuple[str, ...] = code.co_varnames[: code.co_argcount]
    keyword_only: tuple[str, ...] = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    defaults = function.__defaults__ or ()
    keyword_defaults = function.__kwdefaults__ or {}
    required = {*positional[: len(positional) - len(defaults)], *(n for n in keyword_only if n not in keyword_defaults)}
    if getattr(function, "__self__", None) is not None:
        required.discard(positional[0] if positional else "")
        positional = positional[1:]
    return Signature(
        positional,
        keyword_only,
        frozenset(required),
        has_var_positional=bool(code.co_flags & 0x04),
        has_var_keywords=bool(code.co_flags & _CO_VARKEYWORDS),
    )


def _inspected(function: Callable[..., Any]) -> Signature:
    """Read the parameters of a wrapped function, a partial, or an object with ``__call__``."""
    import inspect

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin without one: it gets what it is given
        return Signature((), (), frozenset(), has_var_positional=True, has_var_keywords=False)
    kinds = inspect.Parameter
    named = [p for p in parameters if p.kind in {kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD}]
    keyword_only = [p for p in parameters if p.kind is kinds.KEYWORD_ONLY]
    return Signature(
        tuple(p.name for p in named),
        tuple(p.name for p in keyword_only),
        frozenset(p.name for p in (*named, *keyword_only) if p.default is kinds.empty),
        has_var_positional=any(p.kind is kinds.VAR_POSITIONAL for p in parameters),
        has_var_keywords=any(p.kind is kinds.VAR_KEYWORD for p in parameters),
    )
