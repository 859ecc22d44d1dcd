"""Ways to log in, each mounted below ``auth/`` and set up through Vault's own API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from windlass_testing.fakes.vault.kv import folder
from windlass_testing.fakes.vault.wire import Request, Response, VaultFailure, denied, empty, envelope, names, seconds

#: The arguments of a role that shape the tokens of its logins, by what the making of a token calls them.
_TOKEN_ARGUMENTS: Final = {
    "ttl": "token_ttl",
    "max_ttl": "token_max_ttl",
    "explicit_max_ttl": "token_explicit_max_ttl",
    "period": "token_period",
    "no_default_policy": "token_no_default_policy",
}


@dataclass(frozen=True)
class Login:
    """A login that worked: who, by which role, and what stands in the token's metadata."""

    display_name: str
    role: Mapping[str, Any]
    meta: Mapping[str, str]

    @property
    def policies(self) -> list[str]:
        """The policies of the token."""
        return names(self.role.get("token_policies") or self.role.get("policies"))

    @property
    def asked(self) -> dict[str, Any]:
        """What the role says of its tokens."""
        asked = {ours: self.role[theirs] for ours, theirs in _TOKEN_ARGUMENTS.items() if theirs in self.role}
        return asked | {"renewable": self.role.get("token_type") != "batch"}


class Method(Protocol):
    """A way to log in, at a mount."""

    type: str

    def handle(self, request: Request, path: str) -> Response | Login:
        """Answer a request to ``path`` below the mount; ``login…`` needs no token.

        :raises VaultFailure: if it is refused, or asks for what is not there.
        """
        ...


class _Roles:
    """What is kept of each role or user: written, read, listed and deleted under its name."""

    def __init__(self) -> None:
        self.all: dict[str, dict[str, Any]] = {}

    def handle(self, request: Request, name: str) -> Response:
        match request.method:
            case "UPDATE":
                self.all.setdefault(name, {}).update(request.body)
                return empty()
            case "READ" if name in self.all:
                return envelope({key: value for key, value in self.all[name].items() if key != "password"})
            case "LIST" if not name:
                return folder(self.all, "")
            case "DELETE":
                self.all.pop(name, None)
                return empty()
        raise VaultFailure(404)


class Userpass:
    """A name and a password."""

    def __init__(self, type: str = "userpass") -> None:
        """Make one; ``ldap`` has the same requests, and here the same users."""
        self.type = type
        self._users = _Roles()

    def handle(self, request: Request, path: str) -> Response | Login:
        """Answer a request."""
        part, _, name = path.partition("/")
        if part == "users":
            return self._users.handle(request, name)
        if part != "login" or request.method != "UPDATE":
            raise VaultFailure(404)
        user = self._users.all.get(name)
        if not request.body.get("password"):
            raise VaultFailure(400, "missing password")
        if user is None or user.get("password") != request.body["password"]:
            raise VaultFailure(400, "invalid username or password")
        return Login(f"{self.type}-{name}", user, {"username": name})


@dataclass
class _SecretId:
    role: str
    uses: int
    expires: float | None


class AppRole:
    """A role's id, and a secret id that may end, or wear out."""

    type = "approle"

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._roles = _Roles()
        self._secret_ids: dict[str, _SecretId] = {}

    def handle(self, request: Request, path: str) -> Response | Login:
        """Answer a request."""
        parts = path.split("/")
        match parts:
            case ["login"] if request.method == "UPDATE":
                return self._login(request)
            case ["role"]:
                return self._roles.handle(request, "")
            case ["role", name]:
                answer = self._roles.handle(request, name)
                if request.method == "UPDATE":
                    self._roles.all[name].setdefault("role_id", secrets.token_hex(16))
                return answer
            case ["role", name, what] if name in self._roles.all:
                return self._about(request, name, what)
        raise VaultFailure(404)

    def _about(self, request: Request, name: str, what: str) -> Response:
        role = self._roles.all[name]
        match what, request.method:
            case "role-id", "READ":
                return envelope({"role_id": role["role_id"]})
            case "role-id", "UPDATE":
                role["role_id"] = request.body["role_id"]
                return empty()
            case "secret-id" | "custom-secret-id", "UPDATE":
                ttl = seconds(request.body.get("ttl") or role.get("secret_id_ttl"))
                uses = int(request.body.get("num_uses") or role.get("secret_id_num_uses") or 0)
                secret_id = str(request.body.get("secret_id") or secrets.token_hex(16))
                self._secret_ids[secret_id] = _SecretId(name, uses, self._now() + ttl if ttl else None)
                return envelope(
                    {
                        "secret_id": secret_id,
                        "secret_id_accessor": secrets.token_hex(16),
                        "secret_id_num_uses": uses,
                        "secret_id_ttl": int(ttl),
                    }
                )
        raise VaultFailure(405, "unsupported operation")

    def _login(self, request: Request) -> Login:
        role_id, secret_id = str(request.body.get("role_id") or ""), str(request.body.get("secret_id") or "")
        if not role_id:
            raise VaultFailure(400, "missing role_id")
        found = [(name, role) for name, role in self._roles.all.items() if role["role_id"] == role_id]
        if not found:
            raise VaultFailure(400, "invalid role or secret ID")
        name, role = found[0]
        if role.get("bind_secret_id", True):
            if not secret_id:
                raise VaultFailure(400, "missing secret_id")
            self._use(secret_id, name)
        return Login("approle", role, {"role_name": name})

    def _use(self, secret_id: str, role: str) -> None:
        entry = self._secret_ids.get(secret_id)
        if entry is None or entry.role != role or (entry.expires is not None and entry.expires <= self._now()):
            raise VaultFailure(400, "invalid role or secret ID")
        if entry.uses:
            entry.uses -= 1
            if not entry.uses:
                del self._secret_ids[secret_id]


class Kubernetes:
    """The token of a service account, which Vault would ask the cluster about: this one asks itself."""

    type = "kubernetes"

    def __init__(self, accounts: ServiceAccounts) -> None:
        self._accounts = accounts
        self._roles = _Roles()
        self._config: dict[str, Any] = {}

    def handle(self, request: Request, path: str) -> Response | Login:
        """Answer a request."""
        match path.split("/"):
            case ["config"]:
                if request.method == "UPDATE":
                    self._config = dict(request.body)
                    return empty()
                return envelope(self._config)
            case ["role"]:
                return self._roles.handle(request, "")
            case ["role", name]:
                return self._roles.handle(request, name)
            case ["login"] if request.method == "UPDATE":
                return self._login(str(request.body.get("role") or ""), str(request.body.get("jwt") or ""))
        raise VaultFailure(404)

    def _login(self, name: str, jwt: str) -> Login:
        if not name or not jwt:
            raise VaultFailure(400, f"missing {'jwt' if name else 'role'}")
        role = self._roles.all.get(name)
        if role is None:
            raise VaultFailure(400, f'invalid role name "{name}"')
        claims = self._accounts.review(jwt)
        if claims is None:
            raise denied()
        about = claims["kubernetes.io"]
        account, namespace = about["serviceaccount"]["name"], about["namespace"]
        for what, value, bound in (
            ("namespace", namespace, names(role.get("bound_service_account_namespaces"))),
            ("service account name", account, names(role.get("bound_service_account_names"))),
        ):
            if value not in bound and "*" not in bound:
                raise VaultFailure(403, f"{what} not authorized")
        if role.get("audience") and role["audience"] not in names(claims.get("aud")):
            raise VaultFailure(403, "invalid audience (aud) claim")
        meta = {"role": name, "service_account_name": account, "service_account_namespace": namespace}
        return Login(f"kubernetes-{namespace}-{account}", role, meta)


class Jwt:
    """A token of whoever the method trusts: here, of the same cluster."""

    type = "jwt"

    def __init__(self, accounts: ServiceAccounts) -> None:
        self._accounts = accounts
        self._roles = _Roles()

    def handle(self, request: Request, path: str) -> Response | Login:
        """Answer a request."""
        match path.split("/"):
            case ["config"] if request.method == "UPDATE":
                return empty()
            case ["role", name]:
                return self._roles.handle(request, name)
            case ["login"] if request.method == "UPDATE":
                return self._login(str(request.body.get("role") or ""), str(request.body.get("jwt") or ""))
        raise VaultFailure(404)

    def _login(self, name: str, jwt: str) -> Login:
        role = self._roles.all.get(name)
        if role is None:
            raise VaultFailure(400, f'role "{name}" could not be found')
        claims = self._accounts.review(jwt)
        if claims is None:
            raise VaultFailure(400, "error validating token: invalid signature or expired")
        if role.get("bound_subject") not in {None, "", claims["sub"]}:
            raise VaultFailure(400, "error validating token: sub claim does not match bound subject")
        return Login(f"jwt-{claims['sub']}", role, {"role": name})


class ServiceAccounts:
    """The part of a Kubernetes cluster that issues and reviews the tokens of service accounts."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._key = secrets.token_bytes(32)

    def issue(self, name: str, namespace: str = "default", *, ttl: float = 3600.0, audience: str = "vault") -> str:
        """Return a token (JWT) for a service account, good for ``ttl`` seconds."""
        now = int(self._now())
        claims = {
            "aud": [audience],
            "exp": now + int(ttl),
            "iat": now,
            "iss": "https://kubernetes.default.svc.cluster.local",
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name}},
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
        return f"{signed}.{self._signature(signed)}"

    def review(self, jwt: str) -> dict[str, Any] | None:
        """Return the claims of a token that this cluster has issued and that has not ended, else None."""
        signed, _, signature = jwt.rpartition(".")
        if not signed or not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        payload = signed.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims if claims["exp"] > self._now() else None

    def _signature(self, signed: str) -> str:
        return _base64(hmac.digest(self._key, signed.encode(), hashlib.sha256))


def _encoded(part: Mapping[str, Any]) -> str:
    return _base64(json.dumps(part).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
