"""How an attempt ended: the words for it, and the report that is written."""

from __future__ import annotations

import os
import signal

import msgspec

from windlass.ports import Report
from windlass.protocol import Defer, Finish, Outcome, Rendered, Reschedule, XComSet
from windlass.secrets.masking import redact
from windlass.supervisor.attempt import Attempt

#: Characters of a rendered field and of a map index label that are kept.
_FIELD = 4096
_LABEL = 250


def is_success(attempt: Attempt) -> bool:
    """Whether user code ended well, so that nothing more needs to be waited for."""
    return isinstance(attempt.ending, Finish) and attempt.ending.outcome is Outcome.SUCCESS and not attempt.stopping


def loss(attempt: Attempt, *, out_of_memory: bool) -> str:
    """Return why a child that never said how it ended is gone."""
    if attempt.halted is not None:
        return attempt.halted
    if attempt.status is None or (attempt.zygote.gone and not attempt.zygote.single and os.WIFSIGNALED(attempt.status)):
        return "the process that had forked the task was killed, and the task with it"
    code = os.waitstatus_to_exitcode(attempt.status)
    if code == -signal.SIGKILL and out_of_memory:
        return "the task's process was killed by the kernel: out of memory"
    if code < 0:
        return f"the task's process was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"the task's process exited with status {code} without saying how the task ended"


def report_of(attempt: Attempt, op_id: str, lost: str | None, *, early: bool = False) -> Report:
    """Return the report of a claimed attempt: stopped, timed out, ended by itself, or ``lost``, in this order.

    ``early`` says that its process may still be there.
    """
    workload = attempt.workload
    if workload is None:
        msg = f"attempt {attempt.token} has no workload to report"
        raise ValueError(msg)
    report = Report(
        task=workload.id,
        lease_id=attempt.lease,
        epoch=workload.epoch,
        op_id=op_id,
        log_size=attempt.log.size if attempt.log is not None else 0,
        started_at=attempt.started_at,
        early=early,
        kind=workload.kind,
    )
    rendered = _shown(attempt)
    if attempt.stopped is not None:
        return msgspec.structs.replace(report, stopped=attempt.stopped)
    if attempt.timed_out is not None:
        return msgspec.structs.replace(report, timed_out=attempt.timed_out, rendered=rendered)
    if attempt.ending is not None and attempt.halted is None:
        return msgspec.structs.replace(
            report,
            ending=_masked(attempt, attempt.ending),
            xcoms=tuple(masked_xcom(attempt, xcom) for xcom in attempt.xcoms),
            rendered=rendered,
        )
    return msgspec.structs.replace(report, lost=lost, rendered=rendered)


def _shown(attempt: Attempt) -> Rendered | None:
    """Return the rendered fields as people may see them: masked, then truncated."""
    if attempt.rendered is None or attempt.masker is None:
        return attempt.rendered
    fields = attempt.masker.mask_data(redact(attempt.rendered.fields))
    label = attempt.rendered.map_index_label
    return Rendered(
        fields={name: _short(value) for name, value in fields.items()},
        map_index_label=None if label is None else attempt.masker.mask(label)[:_LABEL],
    )


def _short(value: object) -> object:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return value if len(text) <= _FIELD else f"{text[:_FIELD]}… ({len(text)} characters)"


def masked_xcom(attempt: Attempt, xcom: XComSet) -> XComSet:
    """Return ``xcom`` with its preview, which people see, masked."""
    if not attempt.masker:
        return xcom
    replace = msgspec.structs.replace
    return replace(xcom, value=replace(xcom.value, preview=attempt.masker.mask(xcom.value.preview)))


def _masked(attempt: Attempt, ending: Finish | Defer | Reschedule) -> Finish | Defer | Reschedule:
    if attempt.masker and isinstance(ending, Finish) and ending.reason:
        return msgspec.structs.replace(ending, reason=attempt.masker.mask(ending.reason))
    return ending
