"""Real servers for tests, found or started: ``postgres()`` and ``mysql()``.

Each gives the URL of a database of its own, which is dropped at the end. A server is looked for in this order: the one
that ``WINDLASS_TEST_POSTGRES_URL`` or ``WINDLASS_TEST_MYSQL_URL`` names, one that listens on the usual port of this
machine and lets the test in, one that is started for the test from programs that are installed. If there is none,
:class:`ServerMissing` says what to install; the fixtures ``postgres_url`` and ``mysql_url`` then skip the test, or fail
it where ``--require-services`` is given.

``private_postgres()`` and ``private_mysql()`` always start one, for tests that stop it or need a password or TLS.
"""

from __future__ import annotations

from windlass_testing.servers.mariadb import MysqlServer as MysqlServer
from windlass_testing.servers.mariadb import mysql as mysql
from windlass_testing.servers.mariadb import mysql_address as mysql_address
from windlass_testing.servers.mariadb import private_mysql as private_mysql
from windlass_testing.servers.postgresql import PostgresServer as PostgresServer
from windlass_testing.servers.postgresql import postgres as postgres
from windlass_testing.servers.postgresql import postgres_address as postgres_address
from windlass_testing.servers.postgresql import private_postgres as private_postgres
from windlass_testing.servers.process import ServerMissing as ServerMissing
