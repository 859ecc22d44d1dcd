"""What would happen: the real scheduler on a virtual clock, over memory, with an executor that only lets time pass.

Nothing is executed and no database is written. ``sources`` brings the DAGs, ``assumptions`` says how long their tasks
take and how they end, ``world`` lets them run, ``waits`` watches who waits for what, ``outcome`` is what came of it,
and ``difference`` compares two of those.
"""

from __future__ import annotations
