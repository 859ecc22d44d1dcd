"""Tokens and the times at which they end: ``auth/token``, and what every login hands out."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from windlass_testing.fakes.vault.wire import Request, Response, VaultFailure, empty, envelope, names, seconds
from windlass_testing.fakes.vault.wire import timestamp as written

#: Vault's own: 32 days, for tokens that ask for none and as the longest of all.
LONGEST: Final = 32 * 86_400.0


@dataclass
class Token:
    """A token; times are seconds since 1970. ``ttl`` 0 is the root token's, which never ends."""

    id: str
    policies: tuple[str, ...]
    namespace: str
    path: str
    display_name: str
    created: float
    ttl: float
    expires: float | None
    explicit_max_ttl: float
    max_ttl: float
    period: float
    renewable: bool
    meta: Mapping[str, str] = field(default_factory=dict)
    accessor: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    parent: str | None = None


class Tokens:
    """All tokens of a Vault."""

    def __init__(self, now: Callable[[], float], root: str) -> None:
        self._now = now
        self._all: dict[str, Token] = {}
        self.root = self._keep(
            Token(root, ("root",), "", "auth/token/root", "root", now(), 0, None, 0, 0, 0, renewable=False)
        )

    def _keep(self, token: Token) -> Token:
        self._all[token.id] = token
        return token

    def find(self, token_id: str) -> Token | None:
        """Return a token that is known and has not ended."""
        token = self._all.get(token_id)
        if token is not None and token.expires is not None and token.expires <= self._now():
            self.revoke(token.id)
            return None
        return token

    def issue(
        self,
        *,
        namespace: str,
        path: str,
        display_name: str,
        policies: Sequence[str],
        asked: Mapping[str, Any],
        meta: Mapping[str, str] | None = None,
        parent: str | None = None,
    ) -> Token:
        """Make a token.

        ``asked`` holds ``ttl``, ``max_ttl``, ``explicit_max_ttl``, ``period``, ``renewable``, ``id``, as the API does.
        """
        explicit, period = seconds(asked.get("explicit_max_ttl")), seconds(asked.get("period"))
        longest = min(LONGEST, explicit or LONGEST, seconds(asked.get("max_ttl")) or LONGEST)
        ttl = period or min(seconds(asked.get("ttl")) or longest, longest)
        now = self._now()
        return self._keep(
            Token(
                id=str(asked.get("id") or f"hvs.{secrets.token_urlsafe(24)}"),
                policies=tuple(sorted({*policies} | (set() if asked.get("no_default_policy") else {"default"}))),
                namespace=namespace,
                path=path,
                display_name=display_name,
                created=now,
                ttl=ttl,
                expires=now + ttl,
                explicit_max_ttl=explicit,
                max_ttl=longest,
                period=period,
                renewable=bool(asked.get("renewable", True)),
                meta=meta or {},
                parent=parent,
            )
        )

    def renew(self, token: Token, increment: float) -> tuple[Token, list[str]]:
        """Let a token live on, at most as long as it may; the second is Vault's warning, if it got less than it asked.

        :raises VaultFailure: if it cannot be renewed.
        """
        if not token.renewable or token.expires is None:
            raise VaultFailure(400, "lease is not renewable")
        now = self._now()
        wanted = token.period or increment or token.ttl
        limits = [] if token.period and not token.explicit_max_ttl else [token.created + token.max_ttl]
        token.expires = min(now + wanted, *limits) if limits else now + wanted
        if token.expires < now + wanted:
            most = f"{token.expires - now:g}s"
            return token, [f'TTL of "{wanted:g}s" exceeded the effective max_ttl of "{most}"; TTL value is capped']
        return token, []

    def revoke(self, token_id: str) -> None:
        """End a token and those that it has made."""
        self._all.pop(token_id, None)
        for child in [token.id for token in self._all.values() if token.parent == token_id]:
            self.revoke(child)

    # --- auth/token ----------------------------------------------------------------------------------------------

    def handle(self, request: Request, token: Token, rest: str) -> Response:
        """Answer a request to ``auth/token``.

        :raises VaultFailure: if it asks for what is not there.
        """
        match request.method, rest.partition("/")[0]:
            case "UPDATE", "create" | "create-orphan":
                return envelope(auth=self.auth_of(self._create(request, token, orphan=rest == "create-orphan")))
            case "READ", "lookup-self":
                return envelope(self._described(token))
            case "UPDATE", "renew-self":
                renewed, warnings = self.renew(token, seconds(request.body.get("increment")))
                return envelope(auth=self.auth_of(renewed), warnings=warnings)
            case "UPDATE", "revoke-self":
                self.revoke(token.id)
                return empty()
            case "UPDATE", "lookup" | "renew" | "revoke":
                return self._other(request, rest)
        raise VaultFailure(405, "unsupported operation")

    def _create(self, request: Request, maker: Token, *, orphan: bool) -> Token:
        policies = names(request.body.get("policies")) or list(maker.policies)
        if "root" not in maker.policies and not {*policies} <= {*maker.policies, "default"}:
            raise VaultFailure(400, "child policies must be subset of parent")
        return self.issue(
            namespace=request.namespace,
            path="auth/token/create",
            display_name=f"token-{request.body['display_name']}" if request.body.get("display_name") else "token",
            policies=policies,
            asked=request.body,
            meta=request.body.get("meta") or {},
            parent=None if orphan or request.body.get("no_parent") else maker.id,
        )

    def _other(self, request: Request, what: str) -> Response:
        found = self.find(str(request.body.get("token", "")))
        if found is None:
            raise VaultFailure(400, "token not found") if what == "revoke" else VaultFailure(403, "bad token")
        if what == "lookup":
            return envelope(self._described(found))
        if what == "renew":
            renewed, warnings = self.renew(found, seconds(request.body.get("increment")))
            return envelope(auth=self.auth_of(renewed), warnings=warnings)
        self.revoke(found.id)
        return empty()

    def auth_of(self, token: Token) -> dict[str, Any]:
        """Return what a login, a creation and a renewal answer."""
        return {
            "client_token": token.id,
            "accessor": token.accessor,
            "policies": list(token.policies),
            "token_policies": list(token.policies),
            "metadata": dict(token.meta) or None,
            "lease_duration": self._left(token),
            "renewable": token.renewable,
            "entity_id": "",
            "token_type": "service",
            "orphan": token.parent is None,
            "mfa_requirement": None,
            "num_uses": 0,
        }

    def _described(self, token: Token) -> dict[str, Any]:
        return {
            "accessor": token.accessor,
            "creation_time": int(token.created),
            "creation_ttl": int(token.ttl),
            "display_name": token.display_name,
            "entity_id": "",
            "expire_time": None if token.expires is None else written(token.expires),
            "explicit_max_ttl": int(token.explicit_max_ttl),
            "id": token.id,
            "issue_time": written(token.created),
            "meta": dict(token.meta) or None,
            "namespace_path": f"{token.namespace}/" if token.namespace else "",
            "num_uses": 0,
            "orphan": token.parent is None,
            "path": token.path,
            "policies": list(token.policies),
            "renewable": token.renewable,
            "ttl": self._left(token),
            "type": "service",
        } | ({"period": int(token.period)} if token.period else {})

    def _left(self, token: Token) -> int:
        return 0 if token.expires is None else max(0, int(token.expires - self._now() + 0.5))
