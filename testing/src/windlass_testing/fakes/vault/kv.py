"""The secrets engines ``kv`` 1 and 2: what they keep, and the paths under which they are asked.

Version 1 keeps one value at a path. Version 2 keeps versions, below ``data/``, with what is known of them below
``metadata/``; a path of version 1 is answered with a 404 that says so in its warnings, as Vault does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from windlass_testing.fakes.vault.wire import Request, Response, VaultFailure, empty, envelope, seconds, timestamp

#: 32 days, in seconds: what version 1 says of how long its answers hold.
_LEASE: Final = 2_764_800
_KEPT_VERSIONS: Final = 10


class Engine(Protocol):
    """A secrets engine at a mount."""

    version: str

    def handle(self, request: Request, path: str) -> Response:
        """Answer a request to ``path`` below the mount.

        :raises VaultFailure: if it asks for what is not there.
        """
        ...

    def has(self, path: str) -> bool:
        """Return whether a write to ``path`` updates what is there, rather than creating it."""
        ...


def folder(keys: Iterable[str], path: str) -> Response:
    """Return the answer to LIST: the names directly below ``path``, folders with a slash.

    :raises VaultFailure: if there are none.
    """
    prefix = f"{path}/" if path else ""
    rests = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    found = sorted({rest.partition("/")[0] + ("/" if "/" in rest else "") for rest in rests})
    if not found:
        raise VaultFailure(404)
    return envelope({"keys": found})


class KV1:
    """Version 1."""

    version = "1"

    def __init__(self) -> None:
        self._values: dict[str, Mapping[str, Any]] = {}

    def has(self, path: str) -> bool:
        """Return whether there is a value."""
        return path in self._values

    def handle(self, request: Request, path: str) -> Response:
        """Answer a request."""
        match request.method:
            case "LIST":
                return folder(self._values, path)
            case "READ":
                if path not in self._values:
                    raise VaultFailure(404)
                return envelope(self._values[path], lease_duration=_LEASE)
            case "UPDATE":
                if not request.body:
                    raise VaultFailure(400, "missing data fields")
                self._values[path] = dict(request.body)
                return empty()
            case "DELETE":
                self._values.pop(path, None)
                return empty()
        raise VaultFailure(405, "unsupported operation")


@dataclass
class _Version:
    data: Mapping[str, Any] | None
    created: str
    deleted: str = ""
    destroyed: bool = False


@dataclass
class _Secret:
    created: str
    updated: str
    current: int = 0
    versions: dict[int, _Version] = field(default_factory=dict)
    settings: dict[str, Any] = field(
        default_factory=lambda: {
            "max_versions": 0,
            "cas_required": False,
            "delete_version_after": "0s",
            "custom_metadata": None,
        }
    )


class KV2:
    """Version 2."""

    version = "2"

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._secrets: dict[str, _Secret] = {}
        self._config: dict[str, Any] = {"max_versions": 0, "cas_required": False, "delete_version_after": "0s"}

    def has(self, path: str) -> bool:
        """Return whether there is a secret, whatever is asked about it."""
        return path.partition("/")[2] in self._secrets

    def handle(self, request: Request, path: str) -> Response:
        """Answer a request."""
        part, _, name = path.partition("/")
        if part == "config" and not name:
            return self._configure(request)
        if part == "metadata" and request.method == "LIST":
            return folder(self._secrets, name)
        if name and part in {"data", "metadata"}:
            return self._data(request, name) if part == "data" else self._metadata(request, name)
        if name and part in {"delete", "undelete", "destroy"} and request.method == "UPDATE":
            return self._mark(part, name, request.body.get("versions") or [])
        verb = {"UPDATE": "put", "READ": "get"}.get(request.method, request.method.lower())
        warning = (
            "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to "
            f"use. If using the Vault CLI, use 'vault kv {verb}' for this operation."
        )
        return envelope(status=404, warnings=[warning])

    def _configure(self, request: Request) -> Response:
        if request.method == "READ":
            return envelope(self._config)
        self._config |= {key: request.body[key] for key in self._config if key in request.body}
        return empty()

    # --- data/ ---------------------------------------------------------------------------------------------------

    def _data(self, request: Request, name: str) -> Response:
        match request.method:
            case "READ":
                return self._read(name, int(request.query.get("version") or 0))
            case "UPDATE":
                return self._write(name, request.body)
            case "DELETE":
                secret = self._secrets.get(name)
                return self._mark("delete", name, [secret.current] if secret else [])
        raise VaultFailure(405, "unsupported operation")

    def _read(self, name: str, number: int) -> Response:
        secret = self._secrets.get(name)
        number = number or (secret.current if secret else 0)
        version = secret.versions.get(number) if secret else None
        if secret is None or version is None:
            raise VaultFailure(404)
        gone = version.destroyed or self._is_deleted(version)
        data = {"data": None if gone else version.data, "metadata": self._about(secret, number)}
        return envelope(data, status=404 if gone else 200)

    def _write(self, name: str, body: Mapping[str, Any]) -> Response:
        if "data" not in body or not isinstance(body["data"], Mapping):
            raise VaultFailure(400, "no data provided")
        secret = self._secrets.get(name)
        expected = (body.get("options") or {}).get("cas")
        if expected is None and (self._config["cas_required"] or (secret and secret.settings["cas_required"])):
            raise VaultFailure(400, "check-and-set parameter required for this call")
        if expected is not None and int(expected) != (secret.current if secret else 0):
            raise VaultFailure(400, "check-and-set parameter did not match the current version")
        written = timestamp(self._now())
        secret = self._secrets.setdefault(name, _Secret(created=written, updated=written))
        secret.current += 1
        secret.updated = written
        after = seconds(secret.settings["delete_version_after"]) or seconds(self._config["delete_version_after"])
        secret.versions[secret.current] = _Version(
            dict(body["data"]), written, deleted=timestamp(self._now() + after) if after else ""
        )
        kept = int(secret.settings["max_versions"] or self._config["max_versions"] or _KEPT_VERSIONS)
        for old in sorted(secret.versions)[:-kept]:
            del secret.versions[old]
        return envelope(self._about(secret, secret.current))

    def _about(self, secret: _Secret, number: int) -> dict[str, Any]:
        version = secret.versions[number]
        return {
            "created_time": version.created,
            "custom_metadata": secret.settings["custom_metadata"],
            "deletion_time": version.deleted,
            "destroyed": version.destroyed,
            "version": number,
        }

    def _is_deleted(self, version: _Version) -> bool:
        return bool(version.deleted) and version.deleted <= timestamp(self._now())

    # --- metadata/ -----------------------------------------------------------------------------------------------

    def _metadata(self, request: Request, name: str) -> Response:
        secret = self._secrets.get(name)
        match request.method:
            case "READ" if secret is not None:
                numbers = sorted(secret.versions)
                versions = {str(number): self._about(secret, number) for number in numbers}
                for about in versions.values():
                    del about["version"], about["custom_metadata"]
                return envelope(
                    {
                        "created_time": secret.created,
                        "updated_time": secret.updated,
                        "current_version": secret.current,
                        "oldest_version": numbers[0] if numbers else 0,
                        "versions": versions,
                        **secret.settings,
                    }
                )
            case "READ":
                raise VaultFailure(404)
            case "UPDATE":
                written = timestamp(self._now())
                secret = self._secrets.setdefault(name, _Secret(created=written, updated=written))
                secret.settings |= {key: request.body[key] for key in secret.settings if key in request.body}
                return empty()
            case "DELETE":
                self._secrets.pop(name, None)
                return empty()
        raise VaultFailure(405, "unsupported operation")

    def _mark(self, how: str, name: str, numbers: Iterable[Any]) -> Response:
        secret = self._secrets.get(name)
        for number in numbers if secret else []:
            version = secret.versions.get(int(number)) if secret else None
            if version is None or (version.destroyed and how != "destroy"):
                continue
            if how == "destroy":
                version.destroyed, version.data = True, None
            else:
                version.deleted = timestamp(self._now()) if how == "delete" else ""
        return empty()
