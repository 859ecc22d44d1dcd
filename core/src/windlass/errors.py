"""Every exception Windlass raises, in one tree: each class says what it means, its code and its exit code.

What ends an attempt on purpose is a :class:`TaskSignal`; everything else is somebody's mistake or the world's. The page
of errors in the reference is made from these classes.

A message names the thing, the cause and the remedy, and carries no secret. The command line prints it without a
traceback and exits with :attr:`WindlassError.exit_code`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar


class WindlassError(Exception):
    """The root of the tree; catch it to catch everything Windlass raises on purpose."""

    exit_code: ClassVar[int] = 3
    #: A stable name for scripts, printed with ``-o json``.
    code: ClassVar[str] = "internal"


class ConfigError(WindlassError):
    """A configuration value, file, or the home directory is wrong."""

    exit_code = 2
    code = "config"


class ExtraMissing(ConfigError):
    """What was asked for needs a library that is not part of the slim core; the message says how to install it."""

    code = "extra-missing"

    def __init__(self, what: str, extra: str = "server") -> None:
        super().__init__(f"{what}; install it with `pip install 'windlass[{extra}]'`")
        self.extra = extra


class UsageError(WindlassError):
    """A command or a function was called with something that cannot be."""

    exit_code = 2
    code = "usage"


class NotFound(WindlassError):
    """The thing asked for does not exist."""

    exit_code = 4
    code = "not-found"


class DagNotFound(NotFound):
    """No DAG of that id is known."""


class RunNotFound(NotFound):
    """The DAG has no run of that id."""


class TaskNotFound(NotFound):
    """The DAG has no task of that id."""


class ConnectionNotDefined(NotFound):
    """No place of the lookup chain knows the connection."""


class VariableNotDefined(NotFound):
    """No place of the lookup chain knows the variable."""


class Conflict(WindlassError):
    """Somebody else was first, or the thing exists already."""

    exit_code = 1
    code = "conflict"


class RunExists(Conflict):
    """The DAG already has a run of that id or logical date."""


class AlreadyRunning(Conflict):
    """Another process holds the lock that this one needs."""


class AuthoringError(WindlassError):
    """A DAG file describes something that cannot be."""

    exit_code = 2
    code = "authoring"


class CycleError(AuthoringError):
    """Tasks depend on each other in a circle."""


class DuplicateId(AuthoringError):
    """Two tasks or groups of one DAG have the same id."""


class ParamInvalid(AuthoringError):
    """A param's value does not fit its JSON schema."""


class SpecError(WindlassError):
    """A serialised DAG cannot be read."""

    code = "spec"


class ProtocolError(WindlassError):
    """A peer sent something that the protocol does not allow."""

    code = "protocol"


class StoreError(WindlassError):
    """The database refused or failed."""

    code = "store"


class StoreBusy(StoreError):
    """The database stayed locked for too long."""


class StoreTooOld(StoreError):
    """The schema is older or newer than this code."""

    exit_code = 2


class PluginError(WindlassError):
    """A provider is broken, incompatible or missing."""

    exit_code = 2
    code = "plugin"


class PolicyViolation(WindlassError):
    """A policy of this installation refuses a DAG, a task or a connection. Raise it in a policy hook, saying why."""

    exit_code = 2
    code = "policy"


class ContextUnavailable(WindlassError):
    """A connection, variable or task context was asked for where there is none."""

    exit_code = 2
    code = "context"


class SecretsError(WindlassError):
    """A secrets backend refused, timed out or is unreachable. The lookup stops here."""

    exit_code = 1
    code = "secrets"


class XComError(WindlassError):
    """A value cannot travel between tasks."""

    exit_code = 1
    code = "xcom"


class TaskSignal(WindlassError):
    """Raised inside a task to end its attempt in a particular way."""

    exit_code = 1
    code = "task"


class TaskSkipped(TaskSignal):
    """Raise it to end the task as ``skipped``."""


class TaskFailed(TaskSignal):
    """Raise it to fail the task at once, whatever retries remain."""


class TaskTimeout(TaskSignal):
    """The attempt ran longer than its ``execution_timeout``; retries still count."""


class TaskDeferralError(TaskSignal):
    """The wait of a deferred task ended without an event; retries count. Raised where the task would have resumed."""


class TaskDeferralTimeout(TaskDeferralError):
    """No event came within the timeout of the deferral. A sensor fails for good, another operator may retry."""


class TaskReschedule(TaskSignal):
    """End this attempt and run the task again at ``at`` (an aware datetime) without charging a try."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"run again at {at.isoformat()}")
        self.at = at


class TaskDeferred(TaskSignal):
    """Hand the wait to ``trigger`` and resume at ``method_name`` when it fires."""

    def __init__(
        self,
        *,
        trigger: object,
        method_name: str,
        kwargs: dict[str, Any] | None = None,
        timeout: timedelta | None = None,
    ) -> None:
        super().__init__(f"deferred to {type(trigger).__name__}, resumes at {method_name}")
        self.trigger = trigger
        self.method_name = method_name
        self.kwargs = kwargs or {}
        self.timeout = timeout
