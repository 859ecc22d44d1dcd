"""For authors of what stands behind the engine: executors, secrets, stores, codecs, bundles, notifiers, weights."""

from __future__ import annotations

from windlass.interfaces.bundle import Bundle as Bundle
from windlass.interfaces.connection import Connection as Connection
from windlass.interfaces.database import Dialect as Dialect
from windlass.interfaces.database import Listener as Listener
from windlass.interfaces.database import Shell as Shell
from windlass.interfaces.database import Statement as Statement
from windlass.interfaces.database import Trouble as Trouble
from windlass.interfaces.executor import Executor as Executor
from windlass.interfaces.notifier import Notifier as Notifier
from windlass.interfaces.priority import PriorityWeightStrategy as PriorityWeightStrategy
from windlass.interfaces.secrets_backend import SecretsBackend as SecretsBackend
from windlass.interfaces.stores import ArtifactStore as ArtifactStore
from windlass.interfaces.stores import LogStore as LogStore
from windlass.interfaces.stores import Stored as Stored
from windlass.interfaces.xcom_codec import XComCodec as XComCodec
