"""The manifest of windlass-vault."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl

_FIELDS = (
    ConnectionField(name="host", label="Host", required=True, description="Of Vault; may begin with https://."),
    ConnectionField(name="port", kind="int", label="Port", description="By default the one of http or https."),
    ConnectionField(name="schema", label="Mount point", description="Of the KV engine; by default secret."),
    ConnectionField(name="login", label="Role id or user name", description="For approle, ldap and userpass."),
    ConnectionField(
        name="password",
        secret=True,
        label="Token, secret id or password",
        description="For token; approle; ldap, userpass.",
    ),
    ConnectionField(
        name="auth_type",
        label="Authentication",
        choices=("approle", "jwt", "kubernetes", "ldap", "token", "userpass"),
        default="token",
    ),
    ConnectionField(name="auth_mount_point", description="Of the method below auth/; by default its own name."),
    ConnectionField(name="mount_point", description="Of the KV engine, if not as schema."),
    ConnectionField(
        name="kv_engine_version", description="The version of the KV secrets engine.", choices=("1", "2"), default="2"
    ),
    ConnectionField(name="role_id", description="For approle, if not as login."),
    ConnectionField(name="kubernetes_role", description="For kubernetes."),
    ConnectionField(name="kubernetes_jwt_path", description="A file with the token of the service account."),
    ConnectionField(name="token_path", description="A file with the token, for token."),
    ConnectionField(name="jwt_role", description="For jwt."),
    ConnectionField(name="jwt_token", secret=True, description="The JWT itself, for jwt."),
    ConnectionField(name="jwt_token_path", description="A file with the JWT."),
    ConnectionField(name="namespace", description="Of Vault Enterprise, or OpenBao."),
    ConnectionField(name="use_tls", kind="bool", description="Whether to ask by https."),
    ConnectionField(name="verify", description="true, false, or the file of the authorities to trust."),
    ConnectionField(name="ca_cert", description="The file of the authorities to trust."),
    ConnectionField(name="timeout", kind="float", default=10.0, description="Seconds for each try of a request."),
    ConnectionField(name="client_kwargs", kind="json", description="As in Airflow: namespace, verify and timeout."),
)


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="vault",
        description="Read connections, variables and secrets from HashiCorp Vault.",
        connection_types=(
            ConnectionType(
                conn_type="vault",
                aliases=("vaults",),
                label="HashiCorp Vault",
                hook="windlass_vault.hook:VaultHook",
                fields=_FIELDS,
            ),
        ),
        hooks={"VaultHook": "windlass_vault.hook:VaultHook"},
        secrets_backends={"vault": "windlass_vault.backend:VaultBackend"},
    )
