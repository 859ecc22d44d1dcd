"""The operators that Windlass brings, and what an author of operators builds on."""

from __future__ import annotations

from windlass.authoring.crossing import check_source as check_source
from windlass.authoring.crossing import crossing_call as crossing_call
from windlass.authoring.crossing import source_of as source_of
from windlass.authoring.operator import BaseOperator as BaseOperator
from windlass.authoring.operator import Context as Context
from windlass.authoring.operators.branch_time import BranchDateTimeOperator as BranchDateTimeOperator
from windlass.authoring.operators.branch_time import BranchDayOfWeekOperator as BranchDayOfWeekOperator
from windlass.authoring.operators.empty import EmptyOperator as EmptyOperator
from windlass.authoring.operators.external_task import ExternalTaskMarker as ExternalTaskMarker
from windlass.authoring.operators.latest_only import LatestOnlyOperator as LatestOnlyOperator
from windlass.authoring.operators.python import BaseBranchOperator as BaseBranchOperator
from windlass.authoring.operators.python import BranchPythonOperator as BranchPythonOperator
from windlass.authoring.operators.python import CallableOperator as CallableOperator
from windlass.authoring.operators.python import PythonOperator as PythonOperator
from windlass.authoring.operators.python import ShortCircuitOperator as ShortCircuitOperator
from windlass.authoring.operators.trigger_run import TriggerDagRunOperator as TriggerDagRunOperator
from windlass.authoring.operators.virtualenv import ExternalPythonOperator as ExternalPythonOperator
from windlass.authoring.operators.virtualenv import PythonVirtualenvOperator as PythonVirtualenvOperator
from windlass.authoring.taskflow import DecoratedOperator as DecoratedOperator
from windlass.authoring.taskflow import TaskDecorator as TaskDecorator
from windlass.authoring.taskflow import task_decorator_factory as task_decorator_factory
from windlass.authoring.weekday import WeekDay as WeekDay
