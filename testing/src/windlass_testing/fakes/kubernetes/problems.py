"""What the API server answers when it refuses: a ``Status`` object, as every client of Kubernetes expects it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]


class Problem(Exception):
    """A request that is refused with an HTTP status and a ``Status`` body."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = tuple(headers)

    def body(self) -> Json:
        """Return the ``Status`` object."""
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            status["details"] = self.details
        return status


def success(details: Json) -> Json:
    """Return the ``Status`` of what went well and leaves no object behind."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def qualified(plural: str, group: str) -> str:
    """Return what messages call a resource: ``pods``, ``jobs.batch``."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> Problem:
    """Return the 404 of an object that is not there."""
    details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    return Problem(404, "NotFound", f'{qualified(plural, group)} "{name}" not found', details=details)


def no_such_path() -> Problem:
    """Return the 404 of an address that means nothing."""
    return Problem(404, "NotFound", "the server could not find the requested resource", details={})


def exists(plural: str, group: str, name: str) -> Problem:
    """Return the 409 of a name that is taken."""
    details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    return Problem(409, "AlreadyExists", f'{qualified(plural, group)} "{name}" already exists', details=details)


def conflict(plural: str, group: str, name: str, why: str) -> Problem:
    """Return the 409 of a change that came too late, or of a precondition that does not hold."""
    details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    text = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return Problem(409, "Conflict", text, details=details)


def stale(plural: str, group: str, name: str) -> Problem:
    """Return the 409 of an update whose ``resourceVersion`` is not the latest."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(plural, group, name, why)


def invalid(kind: str, group: str, name: str, causes: list[tuple[str, str, str]]) -> Problem:
    """Return the 422 of an object that cannot be; a cause is (field, reason, text)."""
    texts = [f"{field}: {text}" for field, _, text in causes]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    shown = f"{kind}.{group}" if group else kind
    details = {
        "name": name,
        "kind": kind,
        "causes": [{"reason": reason, "message": text, "field": field} for field, reason, text in causes],
    } | ({"group": group} if group else {})
    return Problem(422, "Invalid", f'{shown} "{name}" is invalid: {listed}', details=details)


def bad_request(message: str) -> Problem:
    """Return the 400 of a request that cannot be understood."""
    return Problem(400, "BadRequest", message)


def forbidden(plural: str, group: str, name: str, why: str) -> Problem:
    """Return the 403 of a request that an admission check or the authorizer refuses."""
    details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    what = f'{qualified(plural, group)} "{name}"' if name else qualified(plural, group)
    return Problem(403, "Forbidden", f"{what} is forbidden: {why}", details=details)


def gone(message: str) -> Problem:
    """Return the 410 of a version or a continue token that is too old."""
    return Problem(410, "Expired", message)


def too_many(retry_after: int) -> Problem:
    """Return the 429 of a server that has too much to do."""
    text = "Too many requests, please try again later."
    return Problem(429, "TooManyRequests", text, headers=[("Retry-After", str(retry_after))])
