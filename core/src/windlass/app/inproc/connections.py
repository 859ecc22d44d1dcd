"""``windlass connections test``: the connection is looked up here, and tried in a child that gets nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec

from windlass.app.services import StoredSecrets, open_services
from windlass.config import Settings
from windlass.control.visibility import did_you_mean
from windlass.errors import ConnectionNotDefined
from windlass.secrets.masking import Masker, secrets_of_fields
from windlass.secrets.resolver import open_resolver, resolve_settings

_PATIENCE = 30.0


def test_connection(settings: Settings, conn_id: str) -> tuple[bool, str]:
    """Return whether the connection works, and a sentence that says so or why not, without a secret.

    :raises ConnectionNotDefined: if no place of the lookup chain knows it.
    """
    settings = resolve_settings(settings)
    store = open_services(settings)
    resolver = open_resolver(settings, StoredSecrets(store))
    try:
        fields = resolver.get_connection(conn_id).to_fields()
    except ConnectionNotDefined as error:
        hint = did_you_mean(conn_id, (row.conn_id for row in store.credentials.connections()))
        raise ConnectionNotDefined(f"{error}.{hint}" if hint else str(error)) from None
    finally:
        resolver.close()
        store.close()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("WINDLASS_")}
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "windlass.runtime", "test-connection", conn_id],
            input=msgspec.json.encode(fields),
            capture_output=True,
            timeout=_PATIENCE,
            env=environ,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {_PATIENCE:g} s; is the host right, and does it let this machine in?"
    try:
        works, message, secrets = msgspec.json.decode(child.stdout, type=tuple[bool, str, list[str]])
    except msgspec.MsgspecError:
        works, message, secrets = False, f"the test process ended with code {child.returncode} and no answer", []
    masker = Masker([*secrets_of_fields(fields), *secrets])
    return works, masker.mask(message)
