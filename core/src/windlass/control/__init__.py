"""The application services: everything that a person can ask or tell Windlass, whatever face they use.

The command line and the web package are two faces of :class:`Control`. Every command takes an ``actor``, which the
audit rows name, and where repeating it would do more, an idempotency key: the same key gives the same reply and one
effect. Every query takes ``visible``, which says what the caller may see; lists are paged by opaque cursors that stay
valid while rows come and go. Results are frozen structs (``views``).

Nothing here decides: the decisions are ``planning``'s, the guarded writes the store's. Author code is never run.
"""

from __future__ import annotations

from windlass.control.alive import LockOwner as LockOwner
from windlass.control.connections import Imported as Imported
from windlass.control.control import Control as Control
from windlass.control.logs import LogChunk as LogChunk
from windlass.control.tasks import Selected as Selected
from windlass.control.views import AskPage as AskPage
from windlass.control.views import AssetDetails as AssetDetails
from windlass.control.views import AssetEventRow as AssetEventRow
from windlass.control.views import AssetRow as AssetRow
from windlass.control.views import AssetWait as AssetWait
from windlass.control.views import BackfillPlan as BackfillPlan
from windlass.control.views import BackfillRequest as BackfillRequest
from windlass.control.views import BackfillRow as BackfillRow
from windlass.control.views import Cause as Cause
from windlass.control.views import ClearedTask as ClearedTask
from windlass.control.views import ConnectionRow as ConnectionRow
from windlass.control.views import DagDetails as DagDetails
from windlass.control.views import DagRow as DagRow
from windlass.control.views import Explanation as Explanation
from windlass.control.views import FileRow as FileRow
from windlass.control.views import Graph as Graph
from windlass.control.views import GraphTask as GraphTask
from windlass.control.views import ImportErrorRow as ImportErrorRow
from windlass.control.views import NextRun as NextRun
from windlass.control.views import Page as Page
from windlass.control.views import PlannedRun as PlannedRun
from windlass.control.views import PoolRow as PoolRow
from windlass.control.views import RunRow as RunRow
from windlass.control.views import TaskRow as TaskRow
from windlass.control.views import VariableRow as VariableRow
from windlass.control.visibility import Visible as Visible
from windlass.control.visibility import everything as everything
