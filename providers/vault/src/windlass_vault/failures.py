"""The sentences for what goes wrong between us and Vault: which Vault, which path, why, and what to do about it.

Vault's own words are quoted, without what is secret of the credentials. Those of the network's libraries never are,
since they quote headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import requests
from hvac.exceptions import VaultError

from windlass.errors import ConfigError, SecretsError, WindlassError
from windlass_vault.adapter import status_of, was_refused
from windlass_vault.credentials import Credentials

_HIDDEN: Final = "***"
_LEAST: Final = 4
_NO_GOOD: Final = "it has ended, was revoked or is wrong, or it lacks even the policy default"

#: What to do about a login that Vault refused.
_LOGIN_REMEDY: Final[Mapping[str, str]] = {
    "approle": "check role_id and secret_id, which may have ended or be used up",
    "jwt": "check jwt_role and the JWT, which may have ended",
    "kubernetes": "check kubernetes_role and that it is bound to the service account and namespace of this pod",
    "ldap": "check username and password",
    "token": "make another token and give that one",
    "userpass": "check username and password",
}


class Failures:
    """Writes the sentences of one client."""

    def __init__(self, url: str, credentials: Credentials, namespace: str | None, conn_id: str | None) -> None:
        about = [f"connection `{conn_id}`"] if conn_id else []
        about += [f"namespace {namespace}"] if namespace else []
        #: How the sentences name the one that was asked.
        self.vault = f"Vault at {url}" + (f" ({', '.join(about)})" if about else "")
        self._credentials = credentials
        method = credentials.auth_type
        self._who = "the token" if method == "token" else f"the {method} login"
        # A shorter text is no secret, and would be found inside of words.
        self._secrets = [secret for secret in credentials.secrets() if len(secret) >= _LEAST]

    def of_login(self, error: Exception) -> WindlassError:
        """Return what to raise when a login failed."""
        if isinstance(error, ConfigError):
            return ConfigError(f"{self.vault} was not asked to log in: {error}")
        method = self._credentials.auth_type
        words = self._words(error) if isinstance(error, VaultError) else ""
        if not isinstance(error, VaultError) or status_of(error) not in {400, 401, 403, 404} or "namespace" in words:
            return self.of(error, f"log in with {method}")
        remedy = _LOGIN_REMEDY[method]
        if (
            status_of(error) in {403, 404} or "missing client token" in words
        ):  # so Vault also hides that nothing is there
            remedy += ", and that the method is mounted there, else set auth_mount_point"
        where = f"auth/{self._credentials.mount}"
        return SecretsError(f"{self.vault} refused {self._who} at {where}: {words}; {remedy}")

    def of(self, error: Exception, doing: str) -> SecretsError:
        """Return what to raise when ``doing``, for example ``read `x` in mount `secret```, failed by no refusal."""
        if isinstance(error, VaultError):
            return SecretsError(f"{self.vault} did not {doing}: {self._reason(error)}")
        if isinstance(error, requests.exceptions.SSLError):
            return SecretsError(
                f"{self.vault} cannot be trusted: its certificate is not signed by a known authority, or is for "
                "another host; give the authority's certificate as ca_cert"
            )
        if isinstance(error, requests.Timeout):
            return SecretsError(self.too_late(f"to {doing}"))
        if isinstance(error, requests.ConnectionError):
            why = (
                "the connection was refused or its name is not known" if was_refused(error) else "the connection broke"
            )
            return SecretsError(
                f"{self.vault} cannot be reached to {doing}: {why}; check the address, and that it runs"
            )
        return SecretsError(f"{self.vault} cannot be asked to {doing}: {type(error).__name__}; check the address")

    def without_token(self) -> SecretsError:
        """Return what to raise when a login was answered, but not with a token."""
        return SecretsError(
            f"{self.vault} gave no token for {self._who}: it wants a second factor, which nobody can give here, or it "
            "is no Vault; use another method, or check the address"
        )

    def no_secret(self, doing: str) -> SecretsError:
        """Return what to raise when an answer is none of Vault's."""
        return SecretsError(
            f"{self.vault} did not {doing}: what it answered holds no secret; check the address, and that a KV engine "
            "is mounted there"
        )

    def too_late(self, doing: str) -> str:
        """Return the sentence for an answer that did not come in time."""
        return f"{self.vault} did not answer in time {doing}; check that it is well, and the network to it"

    def denied(self, doing: str, api_path: str, capability: str, *, token_is_good: bool) -> SecretsError:
        """Return what to raise after a 403 that no other token could avoid."""
        if token_is_good:
            return SecretsError(
                f"{self.vault} does not let {self._who} {doing}: permission denied; give it a policy with "
                f'path "{api_path}" {{ capabilities = ["{capability}"] }}'
            )
        token = self._who if self._who == "the token" else f"the token of {self._who}"
        remedy = _LOGIN_REMEDY[self._credentials.auth_type]
        return SecretsError(f"{self.vault} refuses {token} to {doing}: {_NO_GOOD}; {remedy}")

    def _reason(self, error: VaultError) -> str:
        words, status = self._words(error), status_of(error)
        if "sealed" in words:
            return f"it is sealed ({status}); unseal it"
        if "no active" in words or status in {472, 473}:
            return f"no active node answers ({status}: {words}); wait for the election of a leader, or ask that one"
        if status == 429:
            return f"it has too many requests (429: {words}); raise its rate limit, or ask less often"
        if status is not None and status >= 500:
            return f"it failed ({status}: {words}); look at its log"
        if "namespace not found" in words:
            return "there is no such namespace; check namespace"
        return f"it answered {status}: {words}"

    def _words(self, error: VaultError) -> str:
        """Vault's errors on one line."""
        errors = error.errors if isinstance(error.errors, list) else []
        text = " ".join(" ".join(str(entry).split()) for entry in errors) or str(error.args[0] or "no reason given")
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text
