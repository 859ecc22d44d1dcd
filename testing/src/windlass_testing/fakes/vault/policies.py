"""Policies: which token may do what at which path. They are given as JSON, or as the plain HCL that people write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from windlass_testing.fakes.vault.wire import VaultFailure

Rules = Mapping[str, frozenset[str]]

_CAPABILITIES: Final = frozenset({"create", "read", "update", "patch", "delete", "list", "sudo", "deny"})
_PATH: Final = re.compile(r'path\s+"([^"]+)"\s*\{(.*?)\}', re.DOTALL)
_LIST: Final = re.compile(r"capabilities\s*=\s*\[([^\]]*)\]")

#: What every token may do, unless it is made without the policy of this name.
DEFAULT: Final[Rules] = {
    "auth/token/lookup-self": frozenset({"read"}),
    "auth/token/renew-self": frozenset({"update"}),
    "auth/token/revoke-self": frozenset({"update"}),
    "sys/capabilities-self": frozenset({"update"}),
}


def parse_policy(text: str) -> Rules:
    """Return the rules of a policy.

    :raises VaultFailure: if it is none, or names a capability that does not exist.
    """
    try:
        paths = json.loads(text)["path"] if text.lstrip().startswith("{") else None
        found = (
            {path: rule["capabilities"] for path, rule in paths.items()}
            if paths is not None
            else {path: re.findall(r'"([^"]+)"', _LIST.search(rule)[1]) for path, rule in _PATH.findall(text)}  # type: ignore[index]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise VaultFailure(400, "failed to parse policy") from None
    for path, capabilities in found.items():
        if unknown := set(capabilities) - _CAPABILITIES:
            raise VaultFailure(400, f"failed to parse policy: path {path!r}: invalid capability {unknown.pop()!r}")
    return {path: frozenset(capabilities) for path, capabilities in found.items()}


def allowed(policies: Iterable[Rules], path: str, capability: str) -> bool:
    """Return whether rules grant a capability: per policy the rule that names the path best, all of them together."""
    granted: set[str] = set()
    for rules in policies:
        matching = [rule for rule in rules if _matches(rule, path)]
        if matching:
            granted |= rules[max(matching, key=_precision)]
    return capability in granted and "deny" not in granted


def mentions(policies: Iterable[Rules], prefix: str) -> bool:
    """Return whether a rule is about something below ``prefix``, which ends in a slash."""
    return any(
        rule.startswith(prefix) or _matches(rule, prefix) for rules in policies for rule, what in rules.items() if what
    )


def _matches(rule: str, path: str) -> bool:
    """``+`` stands for one part of a path, ``*`` at the end for whatever follows."""
    pattern = "[^/]+".join(re.escape(part) for part in rule.removesuffix("*").split("+"))
    return re.fullmatch(pattern + (".*" if rule.endswith("*") else ""), path) is not None


def _precision(rule: str) -> tuple[bool, int, int]:
    return not rule.endswith("*"), -rule.count("+"), len(rule)
