"""Why something has not run: the causal tree, with the cheapest action that would unblock it.

The answer comes from the same pure decisions that the scheduler makes (``planning``), asked on a snapshot of the
store: trigger rules, the past, pools and limits, runs that wait for others. It never guesses from age.

``query`` is the door, and explains a DAG; ``starts`` says why a run has not started, ``instances`` why a task of one
has not run, ``occupants`` who holds the slots it waits for, all on a ``snapshot`` of the run.
"""

from __future__ import annotations

from windlass.control.explain.query import Explain as Explain
