"""The serialised DAG: what the engine knows of a DAG file without running any of it.

``authoring`` emits a :class:`DagSpec`, ``store`` keeps it under its ``spec_version`` (:func:`spec_version`, the hash
of the canonical bytes), ``planning`` and ``scheduler`` decide from it. It holds data only: no code, no class to import.
"""

from __future__ import annotations

from windlass.spec.canonical import decode_spec as decode_spec
from windlass.spec.canonical import encode_spec as encode_spec
from windlass.spec.canonical import spec_version as spec_version
from windlass.spec.deadline import DeadlineSpec as DeadlineSpec
from windlass.spec.deadline import Reference as Reference
from windlass.spec.mapping import ConcatLength as ConcatLength
from windlass.spec.mapping import LengthSpec as LengthSpec
from windlass.spec.mapping import LiteralLength as LiteralLength
from windlass.spec.mapping import MapSpec as MapSpec
from windlass.spec.mapping import XComLength as XComLength
from windlass.spec.mapping import ZipLength as ZipLength
from windlass.spec.model import AssetSpec as AssetSpec
from windlass.spec.model import DagSpec as DagSpec
from windlass.spec.model import GroupSpec as GroupSpec
from windlass.spec.model import MarkSpec as MarkSpec
from windlass.spec.model import ParamSpec as ParamSpec
from windlass.spec.model import TaskSpec as TaskSpec
from windlass.spec.model import TriggerRule as TriggerRule
from windlass.spec.model import WeightRule as WeightRule
from windlass.spec.timetable import AssetCondition as AssetCondition
from windlass.spec.timetable import AssetOrTimeSpec as AssetOrTimeSpec
from windlass.spec.timetable import AssetScheduleSpec as AssetScheduleSpec
from windlass.spec.timetable import ContinuousSpec as ContinuousSpec
from windlass.spec.timetable import CronIntervalSpec as CronIntervalSpec
from windlass.spec.timetable import CronTriggerSpec as CronTriggerSpec
from windlass.spec.timetable import CustomTimetableSpec as CustomTimetableSpec
from windlass.spec.timetable import DeltaIntervalSpec as DeltaIntervalSpec
from windlass.spec.timetable import DeltaTriggerSpec as DeltaTriggerSpec
from windlass.spec.timetable import EventsSpec as EventsSpec
from windlass.spec.timetable import NullSpec as NullSpec
from windlass.spec.timetable import OnceSpec as OnceSpec
from windlass.spec.timetable import RelativeDelta as RelativeDelta
from windlass.spec.timetable import TimetableSpec as TimetableSpec
