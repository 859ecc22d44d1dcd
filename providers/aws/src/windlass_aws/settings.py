"""What a connection of type ``aws`` says, checked and typed; no SDK is needed to read it.

Only declared fields are read, and of the arguments that are handed on to botocore and STS only those named here: a
connection can set a time limit, but can never, say, make the client call something else.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from windlass.errors import ConfigError
from windlass.hooks import Connection

#: Arguments of ``botocore.config.Config`` that ``config_kwargs`` may hold.
CONFIG_ARGUMENTS: Final = frozenset(
    {
        "account_id_endpoint_mode", "auth_scheme_preference", "client_context_params", "connect_timeout",
        "defaults_mode", "disable_request_compression", "endpoint_discovery_enabled",
        "ignore_configured_endpoint_urls", "inject_host_prefix", "max_pool_connections", "parameter_validation",
        "proxies", "proxies_config", "read_timeout", "request_checksum_calculation",
        "request_min_compression_size_bytes", "response_checksum_validation", "retries", "s3",
        "s3_disable_express_session_auth", "sigv4a_signing_region_set", "signature_version", "tcp_keepalive",
        "use_dualstack_endpoint", "use_fips_endpoint", "user_agent_appid", "user_agent_extra",
    }
)  # fmt: skip
#: Arguments of STS's AssumeRole and AssumeRoleWithWebIdentity that ``assume_role_kwargs`` may hold.
ROLE_ARGUMENTS: Final = frozenset(
    {
        "DurationSeconds", "ExternalId", "Policy", "PolicyArns", "ProviderId", "RoleSessionName", "SourceIdentity",
        "Tags", "TransitiveTagKeys",
    }
)  # fmt: skip
#: What ``service_config`` may say of one service.
SERVICE_KEYS: Final = frozenset({"bucket_name", "config_kwargs", "endpoint_url", "region_name"})
RETRY_MODES: Final = ("legacy", "standard", "adaptive")
ASSUME_METHODS: Final = ("assume_role", "assume_role_with_web_identity")

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Service:
    """What a connection says of one service, such as ``s3``."""

    endpoint_url: str | None = None
    region_name: str | None = None
    #: The bucket that is meant where none is named; only S3 has one.
    bucket_name: str | None = None
    config_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AwsSettings:
    """Everything that makes a client; what is None is left to boto's own chain. The ``repr`` holds no secret."""

    conn_id: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile_name: str | None = None
    region_name: str | None = None
    endpoint_url: str | None = None
    #: Whether certificates are checked, or the path of a bundle of authorities; None = boto's default, which checks.
    verify: bool | str | None = None
    role_arn: str | None = None
    assume_role_method: str = "assume_role"
    assume_role_kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    web_identity_token_file: str | None = None
    config_kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    services: Mapping[str, Service] = field(default_factory=dict, repr=False)

    def service(self, name: str) -> Service:
        """Return what is said of a service; an endpoint of its own wins over the general one."""
        own = self.services.get(name, Service())
        return Service(
            endpoint_url=own.endpoint_url or self.endpoint_url,
            region_name=own.region_name or self.region_name,
            bucket_name=own.bucket_name,
            config_kwargs={**self.config_kwargs, **own.config_kwargs},
        )

    @classmethod
    def from_connection(cls, connection: Connection) -> Self:
        """Return what a connection says.

        :raises ConfigError: if a field cannot be what it is; no value is quoted that may be a secret.
        """
        return cls(**_Reader(connection).fields())


class _Reader:
    """Reads one connection, and names it in errors."""

    def __init__(self, connection: Connection) -> None:
        self._who = f"connection `{connection.conn_id}`"
        self._connection = connection
        self._extra = connection.extra_dejson

    def fields(self) -> dict[str, Any]:
        role = self._role()
        if bool(self._connection.login) != bool(self._connection.password):
            raise ConfigError(
                f"{self._who} has only one half of an access key; give the id as login and the secret as password, "
                "or neither, to use the credentials of the machine"
            )
        return {
            "conn_id": self._connection.conn_id,
            "access_key": self._connection.login or None,
            "secret_key": self._connection.password or None,
            "session_token": self._text("aws_session_token"),
            "profile_name": self._text("profile_name"),
            "region_name": self._text("region_name"),
            "endpoint_url": self._text("endpoint_url"),
            "verify": self._verify(),
            "config_kwargs": self._config(),
            "services": self._services(),
            **role,
        }

    def _role(self) -> dict[str, Any]:
        method = self._text("assume_role_method") or "assume_role"
        if method not in ASSUME_METHODS:
            raise ConfigError(f"{self._who}: assume_role_method is none of {', '.join(ASSUME_METHODS)}")
        arn = self._text("role_arn")
        token_file = self._text("web_identity_token_file")
        arguments = self._object("assume_role_kwargs", ROLE_ARGUMENTS)
        external = self._text("external_id")
        if external is not None:
            arguments["ExternalId"] = external
        if arn is None and (arguments or "assume_role_method" in self._extra):
            raise ConfigError(f"{self._who} says how to assume a role but not which; give its ARN as role_arn")
        if method == "assume_role_with_web_identity" and token_file is None:
            raise ConfigError(f"{self._who} assumes a role by web identity; give the token's path as "
                              "web_identity_token_file")  # fmt: skip
        return {
            "role_arn": arn,
            "assume_role_method": method,
            "assume_role_kwargs": arguments,
            "web_identity_token_file": token_file,
        }

    def _config(self) -> dict[str, Any]:
        """Return the arguments of botocore's configuration; those of its ``retries`` have fields of their own too."""
        given = self._object("config_kwargs", CONFIG_ARGUMENTS)
        attempts, mode = self._extra.get("max_attempts"), self._text("retry_mode")
        retries: dict[str, Any] = {}
        if attempts not in {None, ""}:
            text = str(attempts)
            if isinstance(attempts, bool) or not text.isdecimal() or int(text) < 1:
                raise ConfigError(f"{self._who}: max_attempts must be a whole number of at least 1")
            retries["total_max_attempts"] = int(text)
        if mode is not None:
            if mode not in RETRY_MODES:
                raise ConfigError(f"{self._who}: retry_mode is none of {', '.join(RETRY_MODES)}")
            retries["mode"] = mode
        if not retries:
            return given
        if "retries" in given:
            raise ConfigError(
                f"{self._who} says twice how a request is tried again; "
                "leave it either to max_attempts and retry_mode or to retries in config_kwargs"
            )
        return {**given, "retries": retries}

    def _services(self) -> dict[str, Service]:
        found: dict[str, Service] = {}
        for name, said in self._object("service_config", None).items():
            where = f"service_config.{name}"
            if not isinstance(said, dict):
                raise ConfigError(f"{self._who}: {where} must be a JSON object with keys such as endpoint_url")
            self._check_keys(where, said, SERVICE_KEYS)
            own = said.get("config_kwargs") or {}
            if not isinstance(own, dict):
                raise ConfigError(f"{self._who}: {where}.config_kwargs must be a JSON object")
            self._check_keys(f"{where}.config_kwargs", own, CONFIG_ARGUMENTS)
            texts = {key: said.get(key) or None for key in ("endpoint_url", "region_name", "bucket_name")}
            for key, value in texts.items():
                if not isinstance(value, str | None):
                    raise ConfigError(f"{self._who}: {where}.{key} must be a text")
            found[name] = Service(config_kwargs=own, **texts)
        return found

    def _verify(self) -> bool | str | None:
        value = self._extra.get("verify")
        if isinstance(value, bool | None):
            return value
        if not isinstance(value, str):
            raise ConfigError(f"{self._who}: verify must be true, false, or the path of a file with certificates")
        word = value.strip().lower()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        return value or None

    def _text(self, name: str) -> str | None:
        value = self._extra.get(name)
        if not isinstance(value, str | None):
            raise ConfigError(f"{self._who}: {name} must be a text")
        return value or None

    def _object(self, name: str, allowed: Collection[str] | None) -> dict[str, Any]:
        """Return a JSON object, which a URI can hold only as text."""
        value = self._extra.get(name)
        if isinstance(value, str) and value.strip():
            import json

            try:
                value = json.loads(value)
            except ValueError:
                value = value.strip()
        if not value:
            return {}
        if not isinstance(value, dict):
            raise ConfigError(f"{self._who}: {name} must be a JSON object")
        if allowed is not None:
            self._check_keys(name, value, allowed)
        return dict(value)

    def _check_keys(self, where: str, given: Mapping[str, Any], allowed: Collection[str]) -> None:
        for key in given:
            if key not in allowed:
                close = difflib.get_close_matches(key, allowed, n=1)
                hint = f"did you mean {close[0]}?" if close else f"it may hold {', '.join(sorted(allowed))}"
                raise ConfigError(f"{self._who}: {where} may not hold {key!r}; {hint}")
