"""The core's own parts, listed as any provider lists its own. Nothing here is imported until it is used."""

from __future__ import annotations

from typing import Final

from windlass.interfaces.provider import ConnectionField, ConnectionType, Provider

_OPERATORS = (
    "BaseOperator", "BranchDateTimeOperator", "BranchDayOfWeekOperator", "BranchPythonOperator", "EmptyOperator",
    "ExternalPythonOperator", "ExternalTaskMarker", "LatestOnlyOperator", "PythonOperator", "PythonVirtualenvOperator",
    "ShortCircuitOperator", "TriggerDagRunOperator",
)  # fmt: skip
_SENSORS = (
    "BaseSensorOperator", "DateTimeSensor", "DateTimeSensorAsync", "DayOfWeekSensor", "ExternalTaskSensor",
    "FileSensor", "PythonSensor", "TimeDeltaSensor", "TimeDeltaSensorAsync", "TimeSensor", "TimeSensorAsync",
)  # fmt: skip
_TIMETABLES = (
    "interval.CronIntervalTimetable", "interval.DeltaIntervalTimetable", "simple.ContinuousTimetable",
    "simple.NullTimetable", "simple.OnceTimetable", "trigger.CronTriggerTimetable", "trigger.DeltaTriggerTimetable",
    "trigger.EventsTimetable",
)  # fmt: skip
_TRIGGERS = ("DagStateTrigger", "DateTimeTrigger", "FileTrigger", "TimeDeltaTrigger", "WorkflowTrigger")

CORE: Final = Provider(
    name="core",
    description="What Windlass brings itself.",
    connection_types=(
        ConnectionType(
            conn_type="generic",
            label="Generic",
            description="Any system: host, login and password, and an extra that is handed on as it is.",
            fields=(ConnectionField(name="password", secret=True, label="Password"),),
            open_extra=True,
        ),
    ),
    hooks={"BaseHook": "windlass.hooks:BaseHook"},
    operators={name: f"windlass.operators:{name}" for name in _OPERATORS},
    sensors={name: f"windlass.sensors:{name}" for name in _SENSORS},
    triggers={f"windlass.triggers.{name}": f"windlass.triggers:{name}" for name in _TRIGGERS},
    task_decorators={
        "python": "windlass.authoring.taskflow:PythonDecoratedOperator",
        "branch": "windlass.authoring.operators.decorated:BranchDecoratedOperator",
        "short_circuit": "windlass.authoring.operators.decorated:ShortCircuitDecoratedOperator",
        "sensor": "windlass.authoring.operators.decorated:SensorDecoratedOperator",
        "virtualenv": "windlass.authoring.operators.decorated:VirtualenvDecoratedOperator",
        "external_python": "windlass.authoring.operators.decorated:ExternalPythonDecoratedOperator",
    },
    executors={
        "LocalExecutor": "windlass.executors.local:LocalExecutor",
        "SequentialExecutor": "windlass.executors.sequential:SequentialExecutor",
    },
    # Asked where secrets.backends_order puts them, in the process that looks up.
    secrets_backends={
        "environment_variable": "windlass.secrets.env:EnvironmentSource",
        "files": "windlass.secrets.files:FileSource",
    },
    timetables={
        f"windlass.planning.timetables.{name}": f"windlass.planning.timetables.{name.replace('.', ':')}"
        for name in _TIMETABLES
    },
    runners={"inproc": "windlass.app.inproc.testing:test_dag"},
)

#: The manifests that need no discovery, asked before any other.
DEFAULT_PLUGINS: Final = (CORE,)
