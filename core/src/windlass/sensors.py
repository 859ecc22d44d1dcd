"""The sensors that Windlass brings, and what an author of sensors builds on."""

from __future__ import annotations

from windlass.authoring.operators.external_task import ExternalTaskSensor as ExternalTaskSensor
from windlass.authoring.operators.file_sensor import FileSensor as FileSensor
from windlass.authoring.operators.python_sensor import PythonSensor as PythonSensor
from windlass.authoring.operators.time_sensors import DateTimeSensor as DateTimeSensor
from windlass.authoring.operators.time_sensors import DateTimeSensorAsync as DateTimeSensorAsync
from windlass.authoring.operators.time_sensors import DayOfWeekSensor as DayOfWeekSensor
from windlass.authoring.operators.time_sensors import TimeDeltaSensor as TimeDeltaSensor
from windlass.authoring.operators.time_sensors import TimeDeltaSensorAsync as TimeDeltaSensorAsync
from windlass.authoring.operators.time_sensors import TimeSensor as TimeSensor
from windlass.authoring.operators.time_sensors import TimeSensorAsync as TimeSensorAsync
from windlass.authoring.sensor import BaseSensorOperator as BaseSensorOperator
from windlass.authoring.sensor import PokeReturnValue as PokeReturnValue
from windlass.authoring.weekday import WeekDay as WeekDay
