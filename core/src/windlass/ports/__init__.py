"""What the engine is injected with: the seams between decisions and effects.

``scheduler`` decides over a :class:`StorePort`, an :class:`ExecutorPort`, a :class:`Doorbell` and a :class:`Clock`;
``supervisor`` runs attempts over a :class:`Gateway`. ``app`` joins them to the real database and processes, the
simulation to a virtual clock and seeded faults, ``dag.test()`` to memory. Only data crosses: frozen structs, never a
database row and never a callable.
"""

from __future__ import annotations

from windlass.ports.backfill import MOST_INTERVALS as MOST_INTERVALS
from windlass.ports.backfill import UNCOUNTED as UNCOUNTED
from windlass.ports.backfill import BackfillFacts as BackfillFacts
from windlass.ports.backfill import BackfillState as BackfillState
from windlass.ports.backfill import NewBackfill as NewBackfill
from windlass.ports.backfill import Reprocess as Reprocess
from windlass.ports.backfill import Reuse as Reuse
from windlass.ports.backfill import Treatment as Treatment
from windlass.ports.clock import Clock as Clock
from windlass.ports.clock import Doorbell as Doorbell
from windlass.ports.clock import Rng as Rng
from windlass.ports.current import KnowsHooks as KnowsHooks
from windlass.ports.current import TaskSession as TaskSession
from windlass.ports.current import all_rows as all_rows
from windlass.ports.current import clock_scope as clock_scope
from windlass.ports.current import current_session as current_session
from windlass.ports.current import enter_session as enter_session
from windlass.ports.current import instant_now as instant_now
from windlass.ports.current import leave_session as leave_session
from windlass.ports.current import session_scope as session_scope
from windlass.ports.executor import ExecutorPort as ExecutorPort
from windlass.ports.executor import Workload as Workload
from windlass.ports.gateway import Claim as Claim
from windlass.ports.gateway import Claimed as Claimed
from windlass.ports.gateway import Fired as Fired
from windlass.ports.gateway import Gateway as Gateway
from windlass.ports.gateway import Report as Report
from windlass.ports.gateway import StopKind as StopKind
from windlass.ports.gateway import StopRequest as StopRequest
from windlass.ports.gateway import Wait as Wait
from windlass.ports.gateway import WaitChanges as WaitChanges
from windlass.ports.gateway import WaitKey as WaitKey
from windlass.ports.gateway import WorkloadKind as WorkloadKind
from windlass.ports.sharing import DagLeases as DagLeases
from windlass.ports.store import Admission as Admission
from windlass.ports.store import AssetName as AssetName
from windlass.ports.store import BackfillStep as BackfillStep
from windlass.ports.store import Changes as Changes
from windlass.ports.store import Committed as Committed
from windlass.ports.store import DagFacts as DagFacts
from windlass.ports.store import DeadlineMiss as DeadlineMiss
from windlass.ports.store import Expansion as Expansion
from windlass.ports.store import NewRun as NewRun
from windlass.ports.store import Occupied as Occupied
from windlass.ports.store import PoolFacts as PoolFacts
from windlass.ports.store import PreviousFacts as PreviousFacts
from windlass.ports.store import RunFacts as RunFacts
from windlass.ports.store import RunMove as RunMove
from windlass.ports.store import Signal as Signal
from windlass.ports.store import SignalKind as SignalKind
from windlass.ports.store import StorePort as StorePort
from windlass.ports.store import TaskFacts as TaskFacts
from windlass.ports.store import TaskMove as TaskMove
from windlass.ports.store import WaitingEvent as WaitingEvent
from windlass.ports.timetables import Asked as Asked
