"""VaultHook: secrets of HashiCorp Vault in a task. The SDK is imported when a hook first asks something."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from windlass.errors import ConfigError, WindlassError
from windlass.hooks import BaseHook, Connection, mask_secret
from windlass_vault.credentials import DEFAULT_KUBERNETES_JWT_PATH, Credentials

if TYPE_CHECKING:
    import hvac

    from windlass_vault.client import VaultClient

#: Seconds that the test of a connection may take; less than what its process has.
_TEST_PATIENCE: Final = 15.0
#: What Airflow calls `client_kwargs`: the arguments of hvac that are taken from there.
_CLIENT_ARGUMENTS: Final = ("namespace", "verify", "timeout")


class VaultHook(BaseHook):
    """Reads and writes secrets of a KV engine of Vault.

    The connection's host and port are Vault's, its schema is the mount point of the engine, and login and password are
    what the method of authentication takes: the role id and the secret id of ``approle``, the name and the password of
    ``userpass`` and ``ldap``; the password is the token of ``token``. Every other argument may be given here, or stand
    in the extra under its own name; what is given here wins.

    The client stays logged in: its token is renewed before it ends, and replaced when it cannot be.
    """

    conn_name_attr = "vault_conn_id"
    default_conn_name = "vault_default"
    conn_type = "vault"
    hook_name = "HashiCorp Vault"

    def __init__(
        self,
        vault_conn_id: str = default_conn_name,
        *,
        auth_type: str | None = None,
        auth_mount_point: str | None = None,
        mount_point: str | None = None,
        kv_engine_version: int | None = None,
        role_id: str | None = None,
        kubernetes_role: str | None = None,
        kubernetes_jwt_path: str | None = None,
        token_path: str | None = None,
        jwt_role: str | None = None,
        jwt_token: str | None = None,
        jwt_token_path: str | None = None,
        namespace: str | None = None,
        verify: bool | str | None = None,
        ca_cert: str | None = None,
        timeout: float | None = None,
        conn_id: str | None = None,
        **kwargs: object,
    ) -> None:
        """Keep the arguments; the connection is asked for when it is needed.

        Args:
            vault_conn_id: the connection.
            auth_type: ``approle``, ``jwt``, ``kubernetes``, ``ldap``, ``token`` (the default) or ``userpass``.
            auth_mount_point: where that method is mounted below ``auth/``; by default its own name.
            mount_point: where the KV engine is mounted; by default the connection's schema, else ``secret``.
            kv_engine_version: 1 or 2 (the default).
            role_id: of ``approle``; by default the connection's login.
            kubernetes_role: of ``kubernetes``.
            kubernetes_jwt_path: the file with the token of the service account, for ``kubernetes``.
            token_path: a file with the token, for ``token``.
            jwt_role: of ``jwt``.
            jwt_token: the JWT itself, for ``jwt``.
            jwt_token_path: a file with the JWT.
            namespace: of Vault Enterprise, or OpenBao.
            verify: whether to check Vault's certificate, or the file of the authorities to trust.
            ca_cert: the file of the authorities to trust.
            timeout: seconds for each try of a request, by default 10; with all its tries it has three times that.
            conn_id: the connection, as every hook takes it too.
            **kwargs: there are no others.

        :raises TypeError: for any other argument.
        """
        super().__init__(conn_id or vault_conn_id, **kwargs)
        self._given: dict[str, Any] = {
            "auth_type": auth_type,
            "auth_mount_point": auth_mount_point,
            "mount_point": mount_point,
            "kv_engine_version": kv_engine_version,
            "role_id": role_id,
            "kubernetes_role": kubernetes_role,
            "kubernetes_jwt_path": kubernetes_jwt_path,
            "token_path": token_path,
            "jwt_role": jwt_role,
            "jwt_token": jwt_token,
            "jwt_token_path": jwt_token_path,
            "namespace": namespace,
            "verify": verify,
            "ca_cert": ca_cert,
            "timeout": timeout,
        }

    @cached_property
    def vault_client(self) -> VaultClient:
        """The client of this connection; it logs in when it is first used.

        :raises ConfigError: if the connection lacks something, or holds something that cannot be.
        """
        return self._client()

    def get_conn(self) -> hvac.Client:
        """Return hvac's client, which is logged in and stays so.

        :raises SecretsError: if Vault refuses the login, or cannot be reached.
        """
        return self.vault_client.raw()

    def get_secret(self, secret_path: str, secret_version: int | None = None) -> dict[str, Any] | None:
        """Return the keys and values of a secret, None if it does not exist or is deleted.

        ``secret_version`` is one of KV version 2; by default the newest. The values are hidden in the task's log.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        """
        found = self.vault_client.read_values(secret_path, secret_version)
        mask_secret(found)
        return found

    def get_secret_metadata(self, secret_path: str) -> dict[str, Any] | None:
        """Return Vault's answer about a secret's versions, in ``["data"]["versions"]``; None if it does not exist.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        :raises UsageError: if the engine is of KV version 1.
        """
        return self.vault_client.read_metadata(secret_path)

    def get_secret_including_metadata(
        self, secret_path: str, secret_version: int | None = None
    ) -> dict[str, Any] | None:
        """Return Vault's answer about a secret, with ``data`` and ``metadata`` in its ``data``; None if there is none.

        The values are hidden in the task's log.

        :raises SecretsError: if Vault refuses it, or cannot be reached.
        :raises UsageError: if the engine is of KV version 1.
        """
        self.vault_client.check_versioned("the metadata of a secret")
        found = self.vault_client.read_secret(secret_path, secret_version)
        mask_secret(None if found is None else found["data"]["data"])
        return found

    def create_or_update_secret(
        self, secret_path: str, secret: Mapping[str, Any], method: str | None = None, cas: int | None = None
    ) -> Any:  # noqa: ANN401 - hvac's answer
        """Write all keys and values of a secret, and return Vault's answer. The values are hidden in the task's log.

        Args:
            secret_path: below the mount.
            secret: keys and values, for JSON. The ones before are replaced, not merged.
            method: ``POST`` or ``PUT``, for KV version 1, where they are the same.
            cas: for KV version 2: write only if this is the newest version; 0: only if there is none.

        :raises SecretsError: if Vault refuses it (the versions do not match, say), or cannot be reached.
        :raises UsageError: if an argument is for the other version of the engine.
        """
        mask_secret(secret)
        return self.vault_client.write_secret(secret_path, secret, method, cas)

    def test_connection(self) -> tuple[bool, str]:
        """Log in, and look whether the engine is of the version that the connection says."""
        client = self._client(most=_TEST_PATIENCE)
        try:
            client.check()
        except WindlassError as error:
            return False, str(error)
        finally:
            client.close()
        return True, f"Vault at {client.url} lets it log in with {self._setting('auth_type') or 'token'}"

    # --- From the connection -------------------------------------------------------------------------------------

    def _client(self, most: float | None = None) -> VaultClient:
        """Make a client, with a patience of at most so many seconds."""
        from windlass_vault.client import VaultClient

        connection = self.connection
        login, password = connection.login, connection.password
        auth_type = self._setting("auth_type") or "token"
        try:
            timeout = _number("timeout", self._setting("timeout"), 10.0)
            credentials = Credentials(
                auth_type=auth_type,
                auth_mount_point=self._setting("auth_mount_point"),
                token=password if auth_type == "token" else None,
                token_path=self._setting("token_path"),
                username=login,
                password=password,
                role_id=self._given["role_id"] or login or self._setting("role_id"),
                secret_id=password,
                kubernetes_role=self._setting("kubernetes_role"),
                kubernetes_jwt_path=self._setting("kubernetes_jwt_path") or DEFAULT_KUBERNETES_JWT_PATH,
                jwt_role=self._setting("jwt_role"),
                jwt_token=self._setting("jwt_token"),
                jwt_token_path=self._setting("jwt_token_path"),
            )
            return VaultClient(
                credentials,
                url=_url_of(connection, self._setting("use_tls")),
                mount_point=self._setting("mount_point") or connection.schema or "secret",
                kv_engine_version=int(_number("kv_engine_version", self._setting("kv_engine_version"), 2)),
                namespace=self._setting("namespace"),
                verify=_truth_or_path(self._setting("verify")),
                ca_cert=self._setting("ca_cert"),
                timeout=timeout,
                patience=min(3 * timeout, most or 3 * timeout),
                conn_id=connection.conn_id,
            )
        except ConfigError as error:
            raise ConfigError(f"connection `{connection.conn_id}`: {error}") from None

    def _setting(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return an argument: as given, else of the extra, else of its ``client_kwargs``."""
        if name in self._given and self._given[name] is not None:
            return self._given[name]
        extra = self.connection.extra_dejson
        nested = extra.get("client_kwargs")
        if name in _CLIENT_ARGUMENTS and name not in extra and isinstance(nested, Mapping):
            return nested.get(name)
        return extra.get(name)


def _url_of(connection: Connection, use_tls: object) -> str:
    host = connection.host
    if not host:
        raise ConfigError("it has no host, where Vault is; give it one")
    port = f":{connection.port}" if connection.port else ""
    if "://" in host:
        return f"{host.rstrip('/')}{port}"
    if ":" in host:  # an IPv6 address
        host = f"[{host.strip('[]')}]"
    secure = connection.conn_type == "vaults" if use_tls is None or use_tls == "" else _truth_or_path(use_tls) is True
    return f"{'https' if secure else 'http'}://{host}{port}"


def _truth_or_path(value: object) -> bool | str | None:
    """Read what a URI can only say as a text."""
    if value is None or isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return words.get(str(value).lower(), str(value)) if str(value) else None


def _number(name: str, value: object, otherwise: float) -> float:
    if value is None or value == "":
        return otherwise
    try:
        found = float(str(value))
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise ConfigError(f"{name} must be a number above 0, and {value!r} is none")
    return found
