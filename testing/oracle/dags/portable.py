"""What the DAG files beside this one import: Windlass if it is there, else Airflow, under one set of names.

A DAG file that is moved from Airflow to Windlass changes just these imports. ``SkipTask`` and ``FailTask`` stand for
the two exceptions that the engines call differently.
"""

from __future__ import annotations

try:
    import windlass  # noqa: F401 - asked for, not used
except ImportError:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.datetime import BranchDateTimeOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.latest_only import LatestOnlyOperator
    from airflow.providers.standard.operators.python import (
        BranchPythonOperator,
        PythonOperator,
        ShortCircuitOperator,
    )
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
    from airflow.providers.standard.operators.weekday import BranchDayOfWeekOperator
    from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
    from airflow.providers.standard.sensors.python import PythonSensor
    from airflow.sdk import (
        DAG,
        BaseBranchOperator,
        BaseOperator,
        BaseSensorOperator,
        CronDataIntervalTimetable,
        CronTriggerTimetable,
        DeltaDataIntervalTimetable,
        DeltaTriggerTimetable,
        Label,
        MultipleCronTriggerTimetable,
        Param,
        PokeReturnValue,
        TaskGroup,
        TriggerRule,
        Variable,
        XComArg,
        chain,
        chain_linear,
        cross_downstream,
        dag,
        get_current_context,
        setup,
        task,
        task_group,
        teardown,
    )
    from airflow.sdk.exceptions import AirflowFailException as FailTask
    from airflow.sdk.exceptions import AirflowSkipException as SkipTask

    # Airflow 3.3.2 cannot read back the one of `airflow.sdk`.
    from airflow.timetables.events import EventsTimetable

    def judge(made):
        """Refuse a DAG as reading its file would."""
        from airflow.serialization.serialized_objects import DagSerialization

        made.validate()
        made.check_cycle()
        DagSerialization.serialize_dag(made)
else:
    from windlass import (
        DAG,
        BaseOperator,
        Label,
        Param,
        TaskGroup,
        TriggerRule,
        Variable,
        XComArg,
        chain,
        chain_linear,
        cross_downstream,
        dag,
        get_current_context,
        setup,
        task,
        task_group,
        teardown,
    )
    from windlass.errors import TaskFailed as FailTask
    from windlass.errors import TaskSkipped as SkipTask
    from windlass.operators import (
        BaseBranchOperator,
        BranchDateTimeOperator,
        BranchDayOfWeekOperator,
        BranchPythonOperator,
        EmptyOperator,
        LatestOnlyOperator,
        PythonOperator,
        ShortCircuitOperator,
        TriggerDagRunOperator,
    )
    from windlass.sensors import BaseSensorOperator, ExternalTaskSensor, PokeReturnValue, PythonSensor
    from windlass.timetables import (
        CronDataIntervalTimetable,
        CronTriggerTimetable,
        DeltaDataIntervalTimetable,
        DeltaTriggerTimetable,
        EventsTimetable,
        MultipleCronTriggerTimetable,
    )
    from windlass_bash.operators import BashOperator

    def judge(made):
        """Refuse a DAG as reading its file would."""
        made.to_spec()


__all__ = [
    "DAG",
    "BaseBranchOperator",
    "BaseOperator",
    "BaseSensorOperator",
    "BashOperator",
    "BranchDateTimeOperator",
    "BranchDayOfWeekOperator",
    "BranchPythonOperator",
    "CronDataIntervalTimetable",
    "CronTriggerTimetable",
    "DeltaDataIntervalTimetable",
    "DeltaTriggerTimetable",
    "EmptyOperator",
    "EventsTimetable",
    "ExternalTaskSensor",
    "FailTask",
    "Label",
    "LatestOnlyOperator",
    "MultipleCronTriggerTimetable",
    "Param",
    "PokeReturnValue",
    "PythonOperator",
    "PythonSensor",
    "ShortCircuitOperator",
    "SkipTask",
    "TaskGroup",
    "TriggerDagRunOperator",
    "TriggerRule",
    "Variable",
    "XComArg",
    "chain",
    "chain_linear",
    "cross_downstream",
    "dag",
    "get_current_context",
    "judge",
    "setup",
    "task",
    "task_group",
    "teardown",
]
