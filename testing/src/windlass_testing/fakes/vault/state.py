"""A Vault without its network: namespaces, mounts, who may do what, and whether it answers at all.

One lock is held while a request is answered, as if there were one core, so that two writers never see half of a change.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final, Literal, TypeVar

from windlass_testing.fakes.vault.auth import AppRole, Jwt, Kubernetes, Login, Method, ServiceAccounts, Userpass
from windlass_testing.fakes.vault.kv import KV1, KV2, Engine
from windlass_testing.fakes.vault.policies import DEFAULT, Rules, allowed, mentions, parse_policy
from windlass_testing.fakes.vault.tokens import Token, Tokens
from windlass_testing.fakes.vault.wire import Request, Response, VaultFailure, denied, empty, envelope

T = TypeVar("T")

Mode = Literal["active", "standby", "performance_standby", "dr_secondary"]

#: What ``sys/health`` answers in each mode.
_HEALTH: Final = {"active": 200, "standby": 429, "performance_standby": 473, "dr_secondary": 472}
_VERSION: Final = "1.18.0"


class Namespace:
    """What a namespace has of its own."""

    def __init__(self) -> None:
        self.mounts: dict[str, Engine] = {}
        self.methods: dict[str, Method] = {}
        self.policies: dict[str, str] = {}
        self.rules: dict[str, Rules] = {"default": DEFAULT}


class State:
    """Answers requests. Its attributes may be set at any time.

    ``sealed`` and ``mode`` make it answer as a Vault in that state does; ``leader`` is the address of the active node,
    to which a standby node redirects.
    """

    def __init__(self, clock: Callable[[], datetime] | None = None, root_token: str | None = None) -> None:
        self._clock = clock
        self.root_token = root_token or f"hvs.root-{secrets.token_urlsafe(12)}"
        self.sealed = False
        self.mode: Mode = "active"
        self.leader = ""
        self.tokens = Tokens(self.now, self.root_token)
        self.service_accounts = ServiceAccounts(self.now)
        self.namespaces: dict[str, Namespace] = {"": Namespace()}
        self.namespaces[""].mounts["secret"] = KV2(self.now)
        self._lock = Lock()

    def now(self) -> float:
        """Return the seconds since 1970, by the clock it was given."""
        return (datetime.now(tz=UTC) if self._clock is None else self._clock()).timestamp()

    def handle(self, request: Request) -> Response:
        """Answer a request."""
        with self._lock:
            try:
                if request.path == "sys/health":
                    return self._health()
                if request.path == "sys/seal-status":
                    return Response(200, {"type": "shamir", "initialized": True, "sealed": self.sealed})
                return self._redirected(request) or self._answer(self._resolved(request))
            except VaultFailure as failure:
                return failure.response

    def _health(self) -> Response:
        status = 503 if self.sealed else _HEALTH[self.mode]
        return Response(
            status,
            {
                "initialized": True,
                "sealed": self.sealed,
                "standby": self.mode in {"standby", "performance_standby"},
                "performance_standby": self.mode == "performance_standby",
                "replication_performance_mode": "disabled",
                "replication_dr_mode": "secondary" if self.mode == "dr_secondary" else "disabled",
                "server_time_utc": int(self.now()),
                "version": _VERSION,
                "cluster_name": "vault-cluster-fake",
            },
        )

    def _redirected(self, request: Request) -> Response | None:
        """Where another node answers; None if this one does."""
        if self.sealed:
            raise VaultFailure(503, "Vault is sealed")
        if self.mode == "dr_secondary":
            raise VaultFailure(400, "path disabled in replication DR secondary mode")
        if self.mode == "standby":
            if not self.leader:
                raise VaultFailure(503, "no active Vault instance found")
            return Response(307, None, {"Location": self.leader + request.target})
        return None

    def _resolved(self, request: Request) -> Request:
        """Return the request with the namespace taken out of its path, where it may stand as well."""
        namespace, path = request.namespace.strip("/"), request.path
        while (longer := f"{namespace}/{path.partition('/')[0]}".lstrip("/")) in self.namespaces:
            namespace, path = longer, path.partition("/")[2]
        if namespace not in self.namespaces:
            raise VaultFailure(404, "namespace not found")
        return replace(request, namespace=namespace, path=path)

    def _answer(self, request: Request) -> Response:
        here = self.namespaces[request.namespace]
        if request.path.startswith("auth/"):
            mount, method = _longest(here.methods, request.path.removeprefix("auth/"))
            rest = request.path.removeprefix(f"auth/{mount}").strip("/")
            if method is not None and rest.partition("/")[0] == "login":
                return self._logged_in(request, mount, method.handle(request, rest))
        token = self.tokens.find(request.token)
        if token is None:
            raise denied("invalid token") if request.token else VaultFailure(403, "permission denied")
        self._authorise(request, token, here)
        if request.path.startswith("auth/token/"):
            return self.tokens.handle(request, token, request.path.removeprefix("auth/token/"))
        if request.path.startswith("sys/"):
            return self._system(request, token, here)
        if request.path.startswith("auth/"):
            mount, method = _longest(here.methods, request.path.removeprefix("auth/"))
            if method is not None:
                return self._logged_in(
                    request, mount, method.handle(request, request.path.removeprefix(f"auth/{mount}").strip("/"))
                )
        mount, engine = _longest(here.mounts, request.path)
        if engine is None:
            raise VaultFailure(404, f'no handler for route "{request.path}". route entry not found.')
        return engine.handle(request, request.path.removeprefix(mount).strip("/"))

    def _logged_in(self, request: Request, mount: str, outcome: Response | Login) -> Response:
        if isinstance(outcome, Response):
            return outcome
        token = self.tokens.issue(
            namespace=request.namespace,
            path=f"auth/{mount}/login",
            display_name=outcome.display_name,
            policies=outcome.policies,
            asked=outcome.asked,
            meta=outcome.meta,
        )
        return envelope(auth=self.tokens.auth_of(token))

    # --- Who may do what -----------------------------------------------------------------------------------------

    def _rules(self, token: Token) -> list[Rules]:
        known = self.namespaces[token.namespace].rules
        return [known[name] for name in token.policies if name in known]

    def _authorise(self, request: Request, token: Token, here: Namespace) -> None:
        below = request.namespace == token.namespace or request.namespace.startswith(f"{token.namespace}/".lstrip("/"))
        if not below:
            raise denied()
        if "root" in token.policies or request.path.startswith("sys/internal/ui/mounts/"):
            return  # the latter looks for itself
        seen = f"{request.namespace}/{request.path}".removeprefix(token.namespace).lstrip("/")
        capability = request.method.lower()
        if capability == "update":
            mount, engine = _longest(here.mounts, request.path)
            there = engine is None or engine.has(request.path.removeprefix(mount).strip("/"))
            capability = "update" if there else "create"
        if not allowed(self._rules(token), f"{seen}/" if capability == "list" else seen, capability) and not (
            capability == "list" and allowed(self._rules(token), seen, capability)
        ):
            raise denied()

    # --- sys/ ----------------------------------------------------------------------------------------------------

    def _system(self, request: Request, token: Token, here: Namespace) -> Response:
        what, _, name = request.path.removeprefix("sys/").partition("/")
        match what:
            case "mounts":
                return self._mounts(request, name, here)
            case "auth":
                return self._methods(request, name, here)
            case "policies" | "policy":
                return _policies(request, name.removeprefix("acl/"), here)
            case "namespaces" if name and request.method == "UPDATE":
                self.namespaces[f"{request.namespace}/{name}".strip("/")] = Namespace()
                return envelope({"path": f"{name}/"})
            case "internal" if name.startswith("ui/mounts/"):
                return self._preflight(name.removeprefix("ui/mounts/"), token, here)
            case "seal" if request.method == "UPDATE":
                self.sealed = True
                return empty()
        raise VaultFailure(404, "unsupported path")

    def _mounts(self, request: Request, name: str, here: Namespace) -> Response:
        match request.method:
            case "READ" if not name:
                return envelope({f"{path}/": _described(engine) for path, engine in here.mounts.items()})
            case "UPDATE":
                if name in here.mounts:
                    raise VaultFailure(400, f"path is already in use at {name}/")
                kind = request.body.get("type")
                options = request.body.get("options") or {}
                if kind not in {"kv", "kv-v1", "kv-v2"}:
                    raise VaultFailure(400, f'plugin not found in the catalog: "{kind}"; this fake has kv alone')
                version = str(options.get("version") or (2 if kind == "kv-v2" else 1))
                here.mounts[name] = KV2(self.now) if version == "2" else KV1()
                return empty()
            case "DELETE":
                here.mounts.pop(name, None)
                return empty()
        raise VaultFailure(405, "unsupported operation")

    def _methods(self, request: Request, name: str, here: Namespace) -> Response:
        match request.method:
            case "READ" if not name:
                found = {f"{path}/": {"type": method.type} for path, method in here.methods.items()}
                return envelope({"token/": {"type": "token"}, **found})
            case "UPDATE":
                if name in here.methods:
                    raise VaultFailure(400, f"path is already in use at {name}/")
                makers: dict[str, Callable[[], Method]] = {
                    "approle": lambda: AppRole(self.now),
                    "jwt": lambda: Jwt(self.service_accounts),
                    "kubernetes": lambda: Kubernetes(self.service_accounts),
                    "ldap": lambda: Userpass("ldap"),
                    "userpass": Userpass,
                }
                kind = str(request.body.get("type"))
                if kind not in makers:
                    known = ", ".join(makers)
                    raise VaultFailure(400, f'plugin not found in the catalog: "{kind}"; this fake has {known}')
                here.methods[name] = makers[kind]()
                return empty()
            case "DELETE":
                here.methods.pop(name, None)
                return empty()
        raise VaultFailure(405, "unsupported operation")

    def _preflight(self, path: str, token: Token, here: Namespace) -> Response:
        """What is mounted at ``path``: every token may ask that may do anything there."""
        mount, engine = _longest(here.mounts, path)
        if engine is None or not ("root" in token.policies or mentions(self._rules(token), f"{mount}/")):
            reason = "preflight capability check returned 403, please ensure client's policies grant access to path"
            raise VaultFailure(403, f'{reason} "{path}/"')
        return envelope({"path": f"{mount}/", "accessor": "kv_fake", **_described(engine)})


def _longest(mounted: Mapping[str, T], path: str) -> tuple[str, T | None]:
    """Return the mount that ``path`` lies in."""
    found = max((mount for mount in mounted if f"{path}/".startswith(f"{mount}/")), key=len, default=None)
    return ("", None) if found is None else (found, mounted[found])


def _described(engine: Engine) -> dict[str, Any]:
    return {"type": "kv", "description": "", "options": {"version": engine.version}, "local": False}


def _policies(request: Request, name: str, here: Namespace) -> Response:
    match request.method:
        case "UPDATE":
            text = str(request.body.get("policy") or "")
            here.rules[name] = parse_policy(text)
            here.policies[name] = text
            return empty()
        case "READ" if name in here.policies:
            return envelope({"name": name, "policy": here.policies[name]})
        case "DELETE":
            here.rules.pop(name, None)
            here.policies.pop(name, None)
            return empty()
    raise VaultFailure(404)
