"""What goes wrong with Kubernetes, each as one sentence: the thing, the cause, the remedy.

::

    KubernetesError                    catch it to catch everything of this provider
    ├── KubernetesUnreachable          the API server did not answer, for as long as one was patient
    ├── KubernetesRefused              it answered with an error: ``status`` and ``reason`` say which
    ├── PodLaunchFailed                a pod did not start
    ├── PodFailed                      a pod ended badly: ``exit_code`` and ``reason`` say how
    ├── PodNotFound                    a pod is gone
    └── ResourceFailed                 a job, deployment or another object came to a bad end
"""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

#: What helps, by HTTP status.
_REMEDIES: Final = {
    400: "correct the specification",
    401: "check the token or the certificate of the connection",
    403: "give its account a role that allows this",
    409: "choose another name, or delete what is there",
    422: "correct the specification",
}


class KubernetesError(Exception):
    """Something went wrong with Kubernetes."""


class KubernetesUnreachable(KubernetesError):
    """The API server cannot be reached, or did not answer for too long."""


class KubernetesRefused(KubernetesError):
    """The API server answered with an error; ``status`` is the HTTP status, ``reason`` Kubernetes' word for it."""

    def __init__(self, doing: str, status: int, reason: str, message: str, *, conn_id: str | None = None) -> None:
        remedy = _REMEDIES.get(status)
        message = message.strip().partition("\n")[0]  # what may follow are pages of differences
        where = f" (connection `{conn_id}`)" if conn_id else ""
        text = f"Kubernetes refused to {doing}{where}: {status} {reason}: {message.rstrip('.')}"
        super().__init__(f"{text}; {remedy}" if remedy else text)
        self.status = status
        self.reason = reason
        self.message = message


class PodLaunchFailed(KubernetesError):
    """A pod did not start: no node takes it, its image cannot be pulled, or it took too long."""


class PodFailed(KubernetesError):
    """A pod ended badly."""

    def __init__(self, text: str, *, exit_code: int | None = None, reason: str = "") -> None:
        super().__init__(text)
        #: The exit code of the container, None if none of its own ended it.
        self.exit_code = exit_code
        #: Kubernetes' word for it: Error, OOMKilled, Evicted, DeadlineExceeded …
        self.reason = reason


class PodNotFound(KubernetesError):
    """A pod is gone: somebody deleted it, or its node was lost."""


class ResourceFailed(KubernetesError):
    """An object came to a bad end: a job failed, a rollout is stuck."""
