"""What a user writes: DAGs, tasks, groups, mapping. It emits :mod:`windlass.spec` and nothing else leaves the room.

The objects here live while a DAG file is parsed (to be turned into a spec) and inside task processes (to be run).
Server processes never import them. Importing this package loads next to nothing, so that a DAG file pays only for what
it uses: ``windlass`` re-exports the names lazily, ``windlass.operators`` and ``windlass.sensors`` eagerly.

::

    scope       the open DAGs, groups and setup blocks, and the DAGs that registered themselves
    edges       >> and <<, chain, Label             operator     BaseOperator
    task_group  TaskGroup, @task_group              dag          DAG, @dag
    xcom_arg    references to results               mapped       partial, expand
    taskflow    @task and its family                setup        setups, teardowns
    emit        DAG -> DagSpec                      operators/   the built-in operators and sensors
"""

from __future__ import annotations

from windlass.authoring.edges import explain as explain
from windlass.authoring.scope import collect as collect
