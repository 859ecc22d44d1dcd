"""The supervisor's process: the supervisor over the store's gateway and the secrets chain."""

from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress

from windlass.app.artifacts import store_of
from windlass.app.clocks import SystemClock, SystemRng
from windlass.app.logs import log_store_of, notes_of
from windlass.app.server_log import configure
from windlass.app.services import StoredSecrets, open_services, prepare_home
from windlass.config import Settings
from windlass.control.configuration import load_settings
from windlass.errors import WindlassError
from windlass.registry import PluginModules, registry
from windlass.secrets.policies import ConnectionPolicies
from windlass.secrets.resolver import open_resolver, resolve_settings
from windlass.supervisor.loop import Supervisor
from windlass.supervisor.settings import SupervisorSettings
from windlass.version import __version__

log = logging.getLogger(__name__)

#: Seconds without a renewed lease after which a supervisor kills its tasks: well before another host may start them.
_FENCE_AFTER = 45.0


def run(settings: Settings) -> int:
    """Serve until drained or shut down; return 0."""
    settings = resolve_settings(settings)
    configure(settings)
    prepare_home(settings)
    store = open_services(settings)
    resolver = open_resolver(settings, StoredSecrets(store))
    job = store.jobs.start("supervisor", socket.gethostname(), os.getpid())
    gc.freeze()  # what was imported stays; a look for garbage in the midst of a turn need not pass over it
    try:
        Supervisor(
            supervisor_settings(settings, shared=store.db.dialect.shared),
            supervisor=f"{socket.gethostname()}:{settings.home}",
            gateway=store.gateway,
            lookups=resolver,
            clock=SystemClock(),
            rng=SystemRng(),
            policy=ConnectionPolicies(PluginModules(registry(), "policies")).check,
        ).run()
    finally:
        with suppress(WindlassError):  # a full disk: the lock, not this record, says who lives
            store.jobs.end(job)
        resolver.close()
        store.close()
    return 0


def supervisor_settings(settings: Settings, *, shared: bool) -> SupervisorSettings:
    """Return what the supervisor needs of the configuration; ``shared``: other hosts use the same database.

    :raises ConfigError, PluginError: if the configured artifact or log store cannot be used.
    """
    artifact_store, artifact_arguments = store_of(settings)
    remote_logs = log_store_of(settings)
    return SupervisorSettings(
        fence_after=_FENCE_AFTER if shared else None,
        run=settings.home / "run",
        logs=settings.logging.base_log_folder,
        code=settings.home / "code",
        version=__version__,
        max_zygotes=settings.supervisor.max_zygotes,
        zygote_idle=settings.supervisor.zygote_idle_timeout,
        zygote_forks=settings.supervisor.zygote_max_forks,
        zygote_memory=settings.supervisor.zygote_memory_mb << 20,
        import_timeout=settings.core.dagbag_import_timeout,
        secrets_ttl=settings.secrets.cache_ttl_seconds,
        grace=settings.core.killed_task_cleanup_time,
        trigger_block_limit=settings.supervisor.trigger_block_limit,
        artifact_store=artifact_store,
        artifact_arguments=artifact_arguments,
        log_notes=None if remote_logs is None else notes_of(settings),
        moment_factory=registry().first("moment_factories"),
        log_level=settings.logging.logging_level,
    )


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a supervisor for this home in a session of its own, where no Ctrl-C meant for its starter reaches it.

    It writes its own log to ``run/supervisor.log``.
    """
    log_file = settings.home / "run" / "supervisor.log"
    with log_file.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **settings.flag_environ()},
        )


if __name__ == "__main__":
    sys.exit(run(load_settings()))
