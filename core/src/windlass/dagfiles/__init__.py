"""The DAG files: found in bundles, watched, parsed elsewhere, checked and stored.

:class:`DagFiles` is the room's door; its module tells how one drives it. ``bundles`` says which folders, ``listing``
and ``ignoring`` which files in them, ``watching`` with ``contents`` which of these are due, ``parser`` has them parsed,
``outcome`` with ``checks`` judges the results, and ``snapshot`` keeps the code that runs are pinned to.
"""

from __future__ import annotations

from windlass.dagfiles.bundles import LocalBundle as LocalBundle
from windlass.dagfiles.bundles import configured_bundles as configured_bundles
from windlass.dagfiles.dagfiles import DagFiles as DagFiles
