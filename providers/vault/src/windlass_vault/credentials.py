"""How somebody logs in to Vault: the method, what it needs, and the request that it makes.

What can be checked without a network is checked at once, so that a mistake in the configuration is told by its name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from windlass.errors import ConfigError

if TYPE_CHECKING:
    import hvac

DEFAULT_KUBERNETES_JWT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"

#: Method -> what it needs, each a name or several of which one is enough.
_NEEDS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "approle": (("role_id",),),
    "jwt": (("jwt_role",), ("jwt_token", "jwt_token_path")),
    "kubernetes": (("kubernetes_role",), ("kubernetes_jwt_path",)),
    "ldap": (("username",), ("password",)),
    "token": (("token", "token_path"),),
    "userpass": (("username",), ("password",)),
}
AUTH_TYPES: Final = tuple(sorted(_NEEDS))
_SECRET: Final = ("token", "password", "secret_id", "jwt_token")


@dataclass(frozen=True, kw_only=True, repr=False)
class Credentials:
    """A method of authentication with its arguments, named as Airflow names them."""

    auth_type: str = "token"
    #: Where the method is mounted below ``auth/``; None stands for its usual place, its own name.
    auth_mount_point: str | None = None
    token: str | None = None
    token_path: str | None = None
    username: str | None = None
    password: str | None = None
    role_id: str | None = None
    secret_id: str | None = None
    kubernetes_role: str | None = None
    kubernetes_jwt_path: str | None = DEFAULT_KUBERNETES_JWT_PATH
    jwt_role: str | None = None
    jwt_token: str | None = None
    jwt_token_path: str | None = None

    def __post_init__(self) -> None:
        """Check that the method exists and has what it needs.

        :raises ConfigError: naming what is missing.
        """
        if self.auth_type not in _NEEDS:
            raise ConfigError(f"auth_type {self.auth_type!r} is not supported; choose one of {', '.join(AUTH_TYPES)}")
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"{field.name} of Vault must be a text, not {type(value).__name__}")
        for choices in _NEEDS[self.auth_type]:
            if not any(getattr(self, name) for name in choices) and not self._in_environment(choices):
                more = ", or set VAULT_TOKEN" if "token" in choices else ""
                raise ConfigError(f"auth_type {self.auth_type} of Vault needs {' or '.join(choices)}; give it{more}")

    def __repr__(self) -> str:
        return f"Credentials(auth_type={self.auth_type!r})"

    @staticmethod
    def _in_environment(choices: tuple[str, ...]) -> bool:
        return "token" in choices and bool(os.environ.get("VAULT_TOKEN"))

    @property
    def mount(self) -> str:
        """Where the method is mounted below ``auth/``."""
        return (self.auth_mount_point or self.auth_type).strip("/")

    @property
    def can_log_in_again(self) -> bool:
        """Whether a token that ended can be replaced: by every method but a given token."""
        return self.auth_type != "token"

    def secrets(self) -> list[str]:
        """Return the texts that no message may hold."""
        return [value for name in _SECRET if (value := getattr(self, name))]

    def read_token(self) -> str:
        """Return the token that was given, for ``auth_type`` token. A file is read each time: others may renew it.

        :raises ConfigError: if the file cannot be read, or this is no token.
        """
        if self.token:
            token = self.token.strip()
        elif self.token_path:
            token = _text_of(self.token_path, "token_path")
        else:
            token = os.environ.get("VAULT_TOKEN", "").strip()
        return check_header(token, "the token")

    def log_in(self, client: hvac.Client) -> Mapping[str, Any]:
        """Log in with ``client`` and return what Vault grants, empty if nothing; the client keeps its token.

        Not for ``auth_type`` token, which has nothing to log in with.

        :raises ConfigError: if a file that it needs cannot be read.
        """
        place: dict[str, Any] = {"mount_point": self.mount, "use_token": False}
        match self.auth_type:
            case "approle":
                answer = client.auth.approle.login(self.role_id, self.secret_id, **place)
            case "kubernetes":
                jwt = _text_of(self.kubernetes_jwt_path or "", "kubernetes_jwt_path")
                answer = client.auth.kubernetes.login(self.kubernetes_role, jwt, **place)
            case "jwt":
                jwt = self.jwt_token or _text_of(self.jwt_token_path or "", "jwt_token_path")
                answer = client.auth.jwt.jwt_login(self.jwt_role, jwt, use_token=False, path=self.mount)
            case "ldap":
                answer = client.auth.ldap.login(self.username, self.password, **place)
            case _:  # hvac writes this name into the URL as it is
                answer = client.auth.userpass.login(quote(self.username or "", safe=""), self.password, **place)
        return (answer.get("auth") or {}) if isinstance(answer, Mapping) else {}


def check_header(text: str, what: str) -> str:
    """Return a text that a header can hold, as it is.

    :raises ConfigError: if it cannot, not quoting it: it may be a secret.
    """
    if not (text.isascii() and text.isprintable()):
        raise ConfigError(f"{what} has a character that none can have, for example a line break; give it again")
    return text


def _text_of(path: str, argument: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or "it is no text"
        raise ConfigError(f"{argument} {path!r} of Vault cannot be read: {reason}; give the path of the file") from None
