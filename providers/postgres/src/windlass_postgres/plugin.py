"""The manifest of windlass-postgres."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_FIELDS = (
    ConnectionField(name="host", label="Host", description="A name, an address, or the folder of a socket."),
    ConnectionField(name="port", kind="int", default=5432, label="Port"),
    ConnectionField(name="login", label="User"),
    ConnectionField(name="password", label="Password", secret=True),
    ConnectionField(name="schema", label="Database"),
    ConnectionField(
        name="sslmode", choices=_SSL_MODES, default="prefer",
        description="Whether to use TLS; verify-full also checks whose certificate the server has.",
    ),
    ConnectionField(name="sslrootcert", description="File with the authorities to trust; system for the system's."),
    ConnectionField(name="sslcert", description="File with the client's certificate."),
    ConnectionField(name="sslkey", description="File with the client's key."),
    ConnectionField(name="sslpassword", secret=True, description="Passphrase of the client's key."),
    ConnectionField(name="sslcrl", description="File with revoked certificates."),
    ConnectionField(name="sslnegotiation", choices=("postgres", "direct"), description="direct begins with TLS."),
    ConnectionField(name="channel_binding", choices=("disable", "prefer", "require"), description="Of the login."),
    ConnectionField(name="gssencmode", choices=("disable", "prefer", "require"), description="Encrypt by Kerberos."),
    ConnectionField(name="krbsrvname", description="Kerberos name of the service."),
    ConnectionField(name="require_auth", description="Ways to log in that are accepted, as scram-sha-256."),
    ConnectionField(name="passfile", description="File with passwords, where none is given."),
    ConnectionField(name="application_name", default="windlass", description="What the server's views show."),
    ConnectionField(name="connect_timeout", kind="int", default=10, description="Seconds; 0 waits for ever."),
    ConnectionField(name="keepalives", kind="int", default=1, description="1 to probe an idle connection, 0 not to."),
    ConnectionField(name="keepalives_idle", kind="int", description="Seconds until the first probe."),
    ConnectionField(name="keepalives_interval", kind="int", description="Seconds between probes."),
    ConnectionField(name="keepalives_count", kind="int", description="Probes until the connection is given up."),
    ConnectionField(name="tcp_user_timeout", kind="int", description="Milliseconds that sent data may be unanswered."),
    ConnectionField(name="options", description="Of the session, as -c statement_timeout=10min."),
    ConnectionField(name="client_encoding", default="UTF8", description="Encoding of texts on the wire."),
    ConnectionField(name="target_session_attrs", description="Of several hosts, one that is read-write, say."),
    ConnectionField(name="load_balance_hosts", choices=("disable", "random"), description="Try hosts at random."),
    ConnectionField(
        name="cursor", default="tuple", description="How a row comes: tuple, dict or namedtuple.",
        choices=("tuple", "dict", "namedtuple", "dictcursor", "realdictcursor", "namedtuplecursor"),
    ),
)  # fmt: skip


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="postgres",
        description="Use PostgreSQL from Windlass tasks.",
        connection_types=(
            ConnectionType(
                conn_type="postgres",
                aliases=("postgresql",),
                label="PostgreSQL",
                hook="windlass_postgres.hook:PostgresHook",
                fields=_FIELDS,
            ),
        ),
        hooks={"PostgresHook": "windlass_postgres.hook:PostgresHook"},
        database_drivers={
            "postgres": "windlass_postgres.driver:PostgresDialect",
            "postgresql": "windlass_postgres.driver:PostgresDialect",
        },
        doorbells={
            "postgres": "windlass_postgres.doorbell:PostgresListener",
            "postgresql": "windlass_postgres.doorbell:PostgresListener",
        },
    )
