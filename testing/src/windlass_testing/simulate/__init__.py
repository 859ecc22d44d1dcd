"""``windlass simulate``, what would happen to people's DAGs: the real scheduler on a virtual clock, over memory.

Nothing is executed and no database is written; the ``executor`` only lets time pass. ``command`` parses and prints.
``sources`` brings the DAGs (``reading`` those of a folder), ``assumptions`` says how long their tasks take and how they
end (``branches`` what a branch skips), ``world`` lets them run, ``waits`` watches who waits for what, ``outcome`` is
what came of it, and ``difference`` compares two of those.

Its neighbour :mod:`windlass_testing.simulation` is another thing: it looks for bugs of the engine, by seeded faults.
"""

from __future__ import annotations
