"""The manifest of windlass-mysql."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl

_FIELDS = (
    ConnectionField(name="host", default="localhost", label="Host"),
    ConnectionField(name="port", kind="int", default=3306, label="Port"),
    ConnectionField(name="login", label="User"),
    ConnectionField(name="password", label="Password", secret=True),
    ConnectionField(name="schema", label="Database"),
    ConnectionField(name="charset", default="utf8mb4", description="Encoding of texts on the wire."),
    ConnectionField(name="collation", description="Order of texts in the session."),
    ConnectionField(name="unix_socket", description="Path of a socket on this machine, instead of host and port."),
    ConnectionField(name="connect_timeout", kind="int", default=10, description="Seconds until nobody answers."),
    ConnectionField(name="read_timeout", kind="int", description="Seconds to wait for data; none by default."),
    ConnectionField(name="write_timeout", kind="int", description="Seconds to wait until data is sent."),
    ConnectionField(name="init_command", description="A statement to run first."),
    ConnectionField(name="sql_mode", description="The session's mode, as ANSI."),
    ConnectionField(
        name="local_infile", kind="bool", default=False, description="Allow LOAD DATA LOCAL to read files."
    ),
    ConnectionField(name="ssl_ca", description="File with the authorities to trust; their certificate is checked."),
    ConnectionField(name="ssl_cert", description="File with the client's certificate."),
    ConnectionField(name="ssl_key", description="File with the client's key."),
    ConnectionField(name="ssl_key_password", secret=True, description="Passphrase of the client's key."),
    ConnectionField(name="ssl_verify_cert", kind="bool", description="Check the certificate; on with ssl_ca."),
    ConnectionField(name="ssl_verify_identity", kind="bool", description="Check also whose certificate it is."),
    ConnectionField(name="ssl_disabled", kind="bool", default=False, description="Never use TLS."),
    ConnectionField(
        name="cursor", default="tuple", description="How a row comes: tuple or dict.",
        choices=("tuple", "dict", "dictcursor", "sscursor", "ssdictcursor"),
    ),
)  # fmt: skip


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="mysql",
        description="Use MySQL and MariaDB from Windlass tasks.",
        connection_types=(
            ConnectionType(
                conn_type="mysql",
                aliases=("mariadb",),
                label="MySQL",
                hook="windlass_mysql.hook:MySqlHook",
                fields=_FIELDS,
            ),
        ),
        hooks={"MySqlHook": "windlass_mysql.hook:MySqlHook"},
        database_drivers={
            "mariadb": "windlass_mysql.driver:MySqlDialect",
            "mysql": "windlass_mysql.driver:MySqlDialect",
        },
    )
