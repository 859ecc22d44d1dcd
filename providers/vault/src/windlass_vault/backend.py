"""VaultBackend: connections, variables and configuration from the secrets of a KV engine.

A connection is a secret below ``connections_path`` with the key ``conn_uri``, or with a key for each field; a variable
or a setting is one with the key ``value``. The core keeps the answers of backends for a while, so this keeps none.
"""

from __future__ import annotations

import difflib
import inspect
import json
from typing import Any, Final

from windlass.backends import SecretsBackend
from windlass.errors import ConfigError
from windlass_vault.client import VaultClient
from windlass_vault.credentials import DEFAULT_KUBERNETES_JWT_PATH, Credentials

#: Seconds for one question with all its requests: the helper gives 10, with its own start, and kills what takes longer.
PATIENCE: Final = 7.0
_FIELDS: Final = frozenset({"conn_type", "host", "login", "password", "schema", "port", "extra"})


class VaultBackend(SecretsBackend):
    """Looks up connections, variables and configuration in Vault. For several threads."""

    def __init__(
        self,
        connections_path: str | None = "connections",
        variables_path: str | None = "variables",
        config_path: str | None = "config",
        url: str | None = None,
        auth_type: str = "token",
        auth_mount_point: str | None = None,
        mount_point: str | None = "secret",
        kv_engine_version: int = 2,
        token: str | None = None,
        token_path: str | None = None,
        username: str | None = None,
        password: str | None = None,
        secret_id: str | None = None,
        role_id: str | None = None,
        kubernetes_role: str | None = None,
        kubernetes_jwt_path: str = DEFAULT_KUBERNETES_JWT_PATH,
        jwt_role: str | None = None,
        jwt_token: str | None = None,
        jwt_token_path: str | None = None,
        namespace: str | None = None,
        verify: bool | str | None = None,  # noqa: FBT001 - by name, from the configuration
        ca_cert: str | None = None,
        timeout: float = 4.0,
        **unknown: object,
    ) -> None:
        """Check the arguments; Vault is first asked when somebody looks something up.

        Args:
            connections_path: where connections are; None asks Vault for none.
            variables_path: where variables are; None asks Vault for none.
            config_path: where settings are; None asks Vault for none.
            url: where Vault is; by default ``VAULT_ADDR``, else this machine.
            auth_type: ``approle``, ``jwt``, ``kubernetes``, ``ldap``, ``token`` or ``userpass``.
            auth_mount_point: where that method is mounted below ``auth/``; by default its own name.
            mount_point: where the KV engine is mounted; None takes the first part of each id for it.
            kv_engine_version: 1 or 2.
            token: for ``token``.
            token_path: a file with the token, for ``token``.
            username: for ``ldap`` and ``userpass``.
            password: for ``ldap`` and ``userpass``.
            secret_id: for ``approle``.
            role_id: for ``approle``.
            kubernetes_role: for ``kubernetes``.
            kubernetes_jwt_path: the file with the token of the service account, for ``kubernetes``.
            jwt_role: for ``jwt``.
            jwt_token: the JWT itself, for ``jwt``.
            jwt_token_path: a file with the JWT.
            namespace: of Vault Enterprise, or OpenBao.
            verify: whether to check Vault's certificate, or the file of the authorities to trust.
            ca_cert: the file of the authorities to trust.
            timeout: seconds for each try of a request; a question with all its requests has 7.
            **unknown: refused by name.

        :raises ConfigError: if an argument cannot be, or is missing.
        """
        if unknown:
            raise _unknown(next(iter(unknown)))
        self._paths = {"connection": connections_path, "variable": variables_path, "config": config_path}
        self._mount_point = mount_point
        self._client = VaultClient(
            Credentials(
                auth_type=auth_type,
                auth_mount_point=auth_mount_point,
                token=token,
                token_path=token_path,
                username=username,
                password=password,
                role_id=role_id,
                secret_id=secret_id,
                kubernetes_role=kubernetes_role,
                kubernetes_jwt_path=kubernetes_jwt_path,
                jwt_role=jwt_role,
                jwt_token=jwt_token,
                jwt_token_path=jwt_token_path,
            ),
            url=url,
            mount_point=mount_point or "",
            kv_engine_version=kv_engine_version,
            namespace=namespace,
            verify=verify,
            ca_cert=ca_cert,
            timeout=timeout,
            patience=PATIENCE,
        )

    def get_conn_value(self, conn_id: str) -> str | None:
        """Return the connection as a URI or as JSON, None if there is no such secret.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        :raises ConfigError: if the secret is no connection.
        """
        secret = self._secret("connection", conn_id)
        if secret is None:
            return None
        uri = secret.get("conn_uri")
        if uri is None:
            return json.dumps(secret)
        if doubled := sorted(secret.keys() & _FIELDS):
            raise ConfigError(
                f"the secret of connection `{conn_id}` in Vault has conn_uri and {', '.join(doubled)}; keep one or the "
                "other"
            )
        return str(uri)

    def get_variable(self, key: str) -> str | None:
        """Return the text of the variable, None if there is no such secret. What is no text is returned as JSON.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        :raises ConfigError: if the secret has no key ``value``.
        """
        return self._value("variable", key)

    def get_config(self, key: str) -> str | None:
        """Return what a ``…_SECRET`` setting refers to, None if there is no such secret.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        :raises ConfigError: if the secret has no key ``value``.
        """
        return self._value("config", key)

    def close(self) -> None:
        """Close the connections to Vault."""
        self._client.close()

    def _value(self, kind: str, key: str) -> str | None:
        secret = self._secret(kind, key)
        if secret is None:
            return None
        if "value" not in secret:
            raise ConfigError(
                f"the secret of {kind} `{key}` in Vault has no key `value`, where its text belongs; write it there"
            )
        value = secret["value"]
        return value if isinstance(value, str) else json.dumps(value)

    def _secret(self, kind: str, key: str) -> dict[str, Any] | None:
        base = self._paths[kind]
        if base is None:
            return None
        mount, name = self._mount_point, key
        if not mount:
            mount, slash, name = key.partition("/")
            if not slash:
                return None  # it names no mount, so no secret either
        if any(part in {"", ".", ".."} for part in name.split("/")):
            return None  # Vault has no such paths, and as a URL they would lead to secrets of another kind
        return self._client.read_values("/".join(filter(None, (base.strip("/"), name))), mount=mount)


def _unknown(name: str) -> ConfigError:
    known = [argument for argument in inspect.signature(VaultBackend).parameters if argument != "unknown"]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(known)}"
    return ConfigError(f"the Vault backend takes no argument {name!r} in secrets.backend_kwargs; {hint}")
