"""Secrets backends: connections, variables and configuration in Secrets Manager or in the Parameter Store.

They run in the secrets helper, with an identity of their own: of ``secrets.backend_kwargs``, or what boto finds on the
machine. A name that is not there is a miss, and the next place is asked; a refusal, an entry marked for deletion and a
store that cannot be reached end the lookup.
"""

# ruff: noqa: ANN401 - boto3 is untyped
from __future__ import annotations

import json
import re
from threading import Lock
from typing import Any, ClassVar

from windlass.backends import Connection, SecretsBackend
from windlass.errors import ConfigError
from windlass_aws.failures import AwsError, explained
from windlass_aws.settings import AwsSettings

#: Seconds; the helper fails a question after 10, and an answer that says why is better.
_LIMITS = {"connect_timeout": 3, "read_timeout": 4, "retries": {"total_max_attempts": 2, "mode": "standard"}}
_IDENTITY = "the identity of the secrets backend"
#: Names under which the fields of a connection may stand in a JSON secret, besides their own.
_FIELD_WORDS: dict[str, tuple[str, ...]] = {
    "login": ("login", "user", "username", "user_name"),
    "password": ("password", "pass", "key"),
    "host": ("host", "remote_host", "server"),
    "port": ("port",),
    "schema": ("schema", "database", "dbname"),
    "conn_type": ("conn_type", "connection_type", "engine"),
    "extra": ("extra",),
}


class _AwsSecretsBackend(SecretsBackend):
    """What both have in common: prefixes, patterns, and a client of their own."""

    service: ClassVar[str] = ""
    #: What a name in the store looks like. Under another name nothing can be there, and asking would be refused.
    names: ClassVar[re.Pattern[str]]

    def __init__(
        self,
        *,
        connections_prefix: str | None,
        connections_lookup_pattern: str | None,
        variables_prefix: str | None,
        variables_lookup_pattern: str | None,
        config_prefix: str | None,
        config_lookup_pattern: str | None,
        sep: str,
        client: dict[str, Any],
    ) -> None:
        self._prefixes = {"connection": connections_prefix, "variable": variables_prefix, "config": config_prefix}
        self._patterns = {
            kind: _pattern(kind, pattern)
            for kind, pattern in (
                ("connection", connections_lookup_pattern),
                ("variable", variables_lookup_pattern),
                ("config", config_lookup_pattern),
            )
        }
        self._sep = sep
        self._settings = _client_settings(type(self).__name__, client)
        self._making = Lock()
        self._made: Any = None

    @property
    def _client(self) -> Any:
        with self._making:  # several threads ask, and boto makes clients in one only
            if self._made is None:
                self._made = self._make()
            return self._made

    def _make(self) -> Any:
        from windlass_aws.session import make_config, make_session

        said = self._settings.service(self.service)
        with explained(_IDENTITY, f"making a client of {self.service}"):
            return make_session(self._settings).client(
                self.service,
                endpoint_url=said.endpoint_url,
                verify=self._settings.verify,
                config=make_config({**_LIMITS, **said.config_kwargs}),
            )

    def _name(self, kind: str, key: str) -> str | None:
        """Return the name in the store, None where the store is not to be asked for this kind or key."""
        prefix, pattern = self._prefixes[kind], self._patterns[kind]
        if prefix is None or (pattern is not None and pattern.match(key) is None):
            return None
        name = f"{prefix}{self._sep}{key}" if prefix else key
        return name if self.names.fullmatch(name) else None

    def _find(self, kind: str, key: str) -> str | None:
        raise NotImplementedError

    def get_variable(self, key: str) -> str | None:
        """Return the text of a variable, None if there is no such entry."""
        return self._find("variable", key)

    def get_config(self, key: str) -> str | None:
        """Return what a ``…_SECRET`` setting refers to, None if there is no such entry."""
        return self._find("config", key)

    def get_conn_value(self, conn_id: str) -> str | None:
        """Return a connection as a URI or as JSON, None if there is no such entry."""
        return self._find("connection", conn_id)


class SecretsManagerBackend(_AwsSecretsBackend):
    """Connections, variables and configuration in AWS Secrets Manager.

    A connection's secret is its URI, its JSON, or a JSON object of fields under the names that databases' secrets
    have, such as ``username`` and ``engine``.

    Args:
        connections_prefix: the name of a secret is this, ``sep`` and the id; empty = the id alone; None = not asked.
        connections_lookup_pattern: a regular expression that the beginning of an id must match for the store to be
            asked, which saves requests.
        variables_prefix: the same for variables.
        variables_lookup_pattern: the same for variables.
        config_prefix: the same for configuration.
        config_lookup_pattern: the same for configuration.
        sep: between prefix and id.
        extra_conn_words: further names of a field in a JSON secret, such as ``{"login": ["account"]}``.
        **client: whose identity and where: region_name, profile_name, role_arn, endpoint_url, verify,
            aws_access_key_id, aws_secret_access_key, aws_session_token, config_kwargs, and the other fields of a
            connection of type ``aws``.
    """

    service = "secretsmanager"
    names = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")

    def __init__(
        self,
        *,
        connections_prefix: str | None = "windlass/connections",
        connections_lookup_pattern: str | None = None,
        variables_prefix: str | None = "windlass/variables",
        variables_lookup_pattern: str | None = None,
        config_prefix: str | None = "windlass/config",
        config_lookup_pattern: str | None = None,
        sep: str = "/",
        extra_conn_words: dict[str, list[str]] | None = None,
        **client: Any,
    ) -> None:
        super().__init__(
            connections_prefix=connections_prefix,
            connections_lookup_pattern=connections_lookup_pattern,
            variables_prefix=variables_prefix,
            variables_lookup_pattern=variables_lookup_pattern,
            config_prefix=config_prefix,
            config_lookup_pattern=config_lookup_pattern,
            sep=sep,
            client=client,
        )
        words = extra_conn_words or {}
        if unknown := sorted(words.keys() - _FIELD_WORDS.keys()):
            raise ConfigError(f"extra_conn_words names no field {unknown[0]!r}; fields are {', '.join(_FIELD_WORDS)}")
        self._words = {field: (*own, *words.get(field, ())) for field, own in _FIELD_WORDS.items()}

    def get_conn_value(self, conn_id: str) -> str | None:
        """Return a connection as a URI or as JSON, None if there is no such secret."""
        text = self._find("connection", conn_id)
        return None if text is None else self._as_connection(conn_id, text)

    def _as_connection(self, conn_id: str, text: str) -> str:
        """Return the JSON of the connection where the fields stand under other names, else the text as it is."""
        if not text.lstrip().startswith("{"):
            return text
        try:
            said = json.loads(text)
        except ValueError:
            return text  # the lookup says what is wrong with it
        fields: dict[str, Any] = {}
        for field, names in self._words.items():
            value = next((said[name] for name in names if name in said), None)
            if value is not None:
                fields[field] = value
        unknown = said.keys() - {name for names in self._words.values() for name in names}
        if unknown and fields.get("extra") is None:
            fields["extra"] = {name: said[name] for name in sorted(unknown)}
        return Connection.from_fields(conn_id, fields).to_json()

    def _find(self, kind: str, key: str) -> str | None:
        name = self._name(kind, key)
        if name is None:
            return None
        try:
            with explained(_IDENTITY, f"reading the secret {name!r}"):
                answer = self._client.get_secret_value(SecretId=name)
        except AwsError as error:
            if error.aws_code == "ResourceNotFoundException":
                return None
            raise
        if "SecretString" in answer:
            return str(answer["SecretString"])
        return bytes(answer["SecretBinary"]).decode()


class SystemsManagerParameterStoreBackend(_AwsSecretsBackend):
    """Connections, variables and configuration in the Parameter Store of AWS Systems Manager, decrypted.

    Args:
        connections_prefix: the name of a parameter is this, ``/`` and the id; None = not asked.
        connections_lookup_pattern: a regular expression that the beginning of an id must match for the store to be
            asked.
        variables_prefix: the same for variables.
        variables_lookup_pattern: the same for variables.
        config_prefix: the same for configuration.
        config_lookup_pattern: the same for configuration.
        **client: as of :class:`SecretsManagerBackend`.
    """

    service = "ssm"
    names = re.compile(r"[A-Za-z0-9/_.-]{1,1011}")

    def __init__(
        self,
        *,
        connections_prefix: str | None = "/windlass/connections",
        connections_lookup_pattern: str | None = None,
        variables_prefix: str | None = "/windlass/variables",
        variables_lookup_pattern: str | None = None,
        config_prefix: str | None = "/windlass/config",
        config_lookup_pattern: str | None = None,
        **client: Any,
    ) -> None:
        super().__init__(
            connections_prefix=_rooted(connections_prefix),
            connections_lookup_pattern=connections_lookup_pattern,
            variables_prefix=_rooted(variables_prefix),
            variables_lookup_pattern=variables_lookup_pattern,
            config_prefix=_rooted(config_prefix),
            config_lookup_pattern=config_lookup_pattern,
            sep="/",
            client=client,
        )

    def _find(self, kind: str, key: str) -> str | None:
        name = self._name(kind, key)
        if name is None:
            return None
        try:
            with explained(_IDENTITY, f"reading the parameter {name!r}"):
                answer = self._client.get_parameter(Name=name, WithDecryption=True)
        except AwsError as error:
            if error.aws_code == "ParameterNotFound":
                return None
            raise
        return str(answer["Parameter"]["Value"])


def _rooted(prefix: str | None) -> str | None:
    """Return a prefix as the Parameter Store wants it: a path begins with a slash."""
    if not prefix:
        return prefix
    return "/" + prefix.strip("/")


def _pattern(kind: str, text: str | None) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"the lookup pattern for {kind}s is no regular expression: {error}") from None


def _client_settings(who: str, given: dict[str, Any]) -> AwsSettings:
    """Return the settings of the client, read like the fields of a connection."""
    extra = dict(given)
    login, password = extra.pop("aws_access_key_id", None), extra.pop("aws_secret_access_key", None)
    known = {
        "assume_role_kwargs", "assume_role_method", "aws_session_token", "config_kwargs", "endpoint_url", "external_id",
        "max_attempts", "profile_name", "region_name", "retry_mode", "role_arn", "service_config", "verify",
        "web_identity_token_file",
    }  # fmt: skip
    if unknown := sorted(extra.keys() - known):
        raise ConfigError(f"{who} takes no argument {unknown[0]!r}; it takes {', '.join(sorted(known))}")
    connection = Connection("secrets.backend_kwargs", "aws", login=login, password=password, extra=extra or None)
    return AwsSettings.from_connection(connection)
