"""The words a task's process and its supervisor exchange, and how they are framed on the pipe.

The child asks, the supervisor answers; nothing else passes between them. ``messages`` holds the 16 verbs and their
replies, ``framing`` the bytes. The golden schema test pins both; :data:`PROTOCOL_VERSION` rises with any change that
an older peer could not read.
"""

from __future__ import annotations

from windlass.protocol.framing import MAX_FRAME as MAX_FRAME
from windlass.protocol.framing import FrameReader as FrameReader
from windlass.protocol.framing import frame as frame
from windlass.protocol.framing import recv_frame as recv_frame
from windlass.protocol.messages import PROTOCOL_VERSION as PROTOCOL_VERSION
from windlass.protocol.messages import ArtifactCommit as ArtifactCommit
from windlass.protocol.messages import ArtifactOpen as ArtifactOpen
from windlass.protocol.messages import AssetEvent as AssetEvent
from windlass.protocol.messages import AttemptContext as AttemptContext
from windlass.protocol.messages import Defer as Defer
from windlass.protocol.messages import Finish as Finish
from windlass.protocol.messages import GetConnection as GetConnection
from windlass.protocol.messages import Hello as Hello
from windlass.protocol.messages import Mask as Mask
from windlass.protocol.messages import Outcome as Outcome
from windlass.protocol.messages import Progress as Progress
from windlass.protocol.messages import Query as Query
from windlass.protocol.messages import Rendered as Rendered
from windlass.protocol.messages import Reply as Reply
from windlass.protocol.messages import Request as Request
from windlass.protocol.messages import Reschedule as Reschedule
from windlass.protocol.messages import TriggerRun as TriggerRun
from windlass.protocol.messages import Variable as Variable
from windlass.protocol.messages import Verb as Verb
from windlass.protocol.messages import XComGet as XComGet
from windlass.protocol.messages import XComInfo as XComInfo
from windlass.protocol.messages import XComSet as XComSet
from windlass.protocol.messages import XComValue as XComValue
from windlass.protocol.messages import decode_reply as decode_reply
from windlass.protocol.messages import decode_request as decode_request
from windlass.protocol.messages import encode as encode
from windlass.protocol.timetables import TimetableAnswer as TimetableAnswer
from windlass.protocol.timetables import TimetablePage as TimetablePage
from windlass.protocol.timetables import TimetableQuestion as TimetableQuestion
