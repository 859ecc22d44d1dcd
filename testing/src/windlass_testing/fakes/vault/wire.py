"""What goes over the wire, without the wire: a request, a response, and how Vault writes its errors and durations."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Request:
    """One request. ``method`` is Vault's operation: LIST also where ``?list=true`` asked for it."""

    method: str
    #: Behind ``/v1/``, decoded, without a slash at its end; below the namespace.
    path: str
    namespace: str = ""
    token: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    #: As it was sent, with its query.
    target: str = ""


@dataclass(frozen=True)
class Response:
    """One response. A ``body`` of None is sent as no body at all."""

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class VaultFailure(Exception):
    """Ends a request with ``status`` and Vault's ``{"errors": […]}``."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(f"{status}: {', '.join(errors)}")
        self.response = Response(status, {"errors": list(errors)})


def denied(*more: str) -> VaultFailure:
    """Return the refusal of a token, written as Go writes several errors."""
    errors = ("permission denied", *more)
    noun = "error" if len(errors) == 1 else "errors"
    lines = "".join(f"\t* {error}\n" for error in errors)
    return VaultFailure(403, f"{len(errors)} {noun} occurred:\n{lines}\n")


def envelope(
    data: Mapping[str, Any] | None = None,
    *,
    auth: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    lease_duration: int = 0,
    status: int = 200,
) -> Response:
    """Return what Vault wraps every answer in."""
    body = {
        "request_id": str(uuid.uuid4()),
        "lease_id": "",
        "renewable": False,
        "lease_duration": lease_duration,
        "data": data,
        "wrap_info": None,
        "warnings": list(warnings) or None,
        "auth": auth,
    }
    return Response(status, body)


def empty() -> Response:
    """Return the answer of what has nothing to say."""
    return Response(204)


def seconds(value: object, what: str = "ttl") -> float:
    """Return a duration such as ``3600``, ``"1h30m"`` or ``"90s"`` in seconds; nothing is 0.

    :raises VaultFailure: if it is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value or "0").strip()
    if not _DURATION.fullmatch(text):
        raise VaultFailure(400, f"error converting input for field {what!r}: time: invalid duration {text!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd]?)", text))


def names(value: object) -> list[str]:
    """Return a list that may also be written as a text with commas."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return [str(name) for name in value] if isinstance(value, Sequence) else []


def timestamp(instant: float) -> str:
    """Return seconds since 1970 as Vault writes an instant."""
    moment = datetime.fromtimestamp(instant, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z"
