"""The engine under a seeded storm: one thread, one seed, one run that can be repeated to the last statement.

``simulate(seed)`` puts the real scheduler, planning and store (SQL on SQLite in memory) into a world of virtual time,
lets a random subset of faults loose on it, checks what holds after every commit, calms down, and sees whether
everything ends. Read on in ``run`` (how a run is put together), ``world`` (time and actors), ``interference`` (where
the database lets others in), ``faults``, ``supervisor`` and ``processes`` (what stands for the real ones), ``observer``
and ``liveness`` (what is checked), ``evaluator`` (the trigger rules once more, naively) and ``bugs`` (what must be
noticed).

Its neighbour :mod:`windlass_testing.simulate` is another thing: the command that looks ahead at people's own DAGs.
"""

from __future__ import annotations

from windlass_testing.simulation.run import Result as Result
from windlass_testing.simulation.run import simulate as simulate
