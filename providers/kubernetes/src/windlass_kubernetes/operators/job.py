"""KubernetesJobOperator: a task that is a job; and operators that delete and change jobs."""

# ruff: noqa: ANN401 - specifications are plain data or the client library's models
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from windlass.errors import AuthoringError, TaskFailed
from windlass.operators import BaseOperator, Context
from windlass_kubernetes.base_operator import KubernetesBaseOperator
from windlass_kubernetes.operators.pod import KubernetesPodOperator

Json = dict[str, Any]


class KubernetesJobOperator(KubernetesPodOperator):
    """Run a Kubernetes job, whose pods are described as for KubernetesPodOperator.

    The job's name is made from the task instance, so an attempt that finds the job of one that died goes on waiting for
    that. The job stays when it is done, until its ``ttl_seconds_after_finished``. A result can come from one pod only:
    for ``do_xcom_push`` use KubernetesPodOperator.
    """

    template_fields: Sequence[str] = ("job_template_file", *KubernetesPodOperator.template_fields)

    def __init__(
        self,
        *,
        job_template_file: str | None = None,
        full_job_spec: Any = None,
        backoff_limit: int | None = None,
        completion_mode: str | None = None,
        completions: int | None = None,
        parallelism: int | None = None,
        suspend: bool | None = None,
        ttl_seconds_after_finished: int | None = None,
        wait_until_job_complete: bool = False,
        job_poll_interval: float = 10.0,
        **kwargs: Any,
    ) -> None:
        """Declare the task; the other arguments are those of KubernetesPodOperator and describe the pods.

        Args:
            job_template_file: a file with a job to begin with.
            full_job_spec: a whole job, laid over the template.
            backoff_limit: how many of its pods may fail; the cluster's default is 6.
            completion_mode: NonIndexed or Indexed.
            completions: how many pods must succeed.
            parallelism: how many may run at once.
            suspend: create it without running it.
            ttl_seconds_after_finished: when the cluster deletes it.
            wait_until_job_complete: wait for its end, and fail if it fails.
            job_poll_interval: seconds between two looks of the trigger, when ``deferrable``.
            **kwargs: see KubernetesPodOperator.
        """
        super().__init__(**kwargs)
        if self.do_xcom_push:
            raise AuthoringError(
                f"task {self.task_id!r}: a job has no result; use KubernetesPodOperator for do_xcom_push"
            )
        self.job_template_file = job_template_file
        self.full_job_spec = full_job_spec
        self.backoff_limit = backoff_limit
        self.completion_mode = completion_mode
        self.completions = completions
        self.parallelism = parallelism
        self.suspend = suspend
        self.ttl_seconds_after_finished = ttl_seconds_after_finished
        self.wait_until_job_complete = wait_until_job_complete
        self.job_poll_interval = job_poll_interval

    def build_job_request_obj(self, context: Context) -> Json:
        """Return the manifest of the job as it is sent."""
        from windlass_kubernetes.manifests import overlay, read_yaml
        from windlass_kubernetes.plain import plain

        job: Json = {}
        if self.job_template_file is not None:
            job = read_yaml(str(self.job_template_file), f"task {self.task_id!r}")
        if self.full_job_spec is not None:
            job = overlay(job, plain(self.full_job_spec))
        pod = self.build_pod_request_obj(context)
        meta = pod.pop("metadata")
        template = {
            "metadata": {key: meta[key] for key in ("labels", "annotations") if key in meta},
            "spec": pod["spec"],
        }
        wanted = {
            "backoffLimit": self.backoff_limit,
            "completionMode": self.completion_mode,
            "completions": self.completions,
            "parallelism": self.parallelism,
            "suspend": self.suspend,
            "ttlSecondsAfterFinished": self.ttl_seconds_after_finished,
        }
        spec = {name: value for name, value in wanted.items() if value is not None} | {"template": template}
        given = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}
        return overlay(job, given)

    def execute(self, context: Context) -> Any:
        """Create the job, and wait for its end if that is wanted."""
        job = self._created(context)
        meta = job["metadata"]
        context["ti"].xcom_push("job_name", meta["name"])
        context["ti"].xcom_push("job_namespace", meta["namespace"])
        if not self.wait_until_job_complete:
            self._answers_for = None
            return
        if self.deferrable:
            self._defer_job(meta["name"], meta["namespace"])
        self._conclude(self._outcome(job), meta["name"], meta["namespace"])

    def _created(self, context: Context) -> Json:
        from windlass_kubernetes.errors import KubernetesError, KubernetesRefused
        from windlass_kubernetes.naming import identity

        manifest = self.build_job_request_obj(context)
        meta = manifest["metadata"]
        self._answers_for = (meta["name"], meta["namespace"])
        if self.reattach_on_restart and (left := self._left_behind(meta["namespace"], identity(context["ti"]))):
            self.log.info("waiting for job `%s`, which an earlier attempt began", left["metadata"]["name"])
            self._answers_for = (left["metadata"]["name"], meta["namespace"])
            return left
        try:
            made = self.hook.create(manifest, meta["namespace"])
        except KubernetesRefused as error:
            if error.status in {400, 422}:
                raise TaskFailed(str(error)) from None
            if error.status != 409:
                raise
            self._answers_for = None
            text = f"job `{meta['name']}` exists already in namespace `{meta['namespace']}` and is not of this task"
            raise KubernetesError(f"{text}; choose another name, or delete it") from None
        self.log.info("created job `%s` in namespace `%s`", made["metadata"]["name"], meta["namespace"])
        return made

    def _left_behind(self, namespace: str, identity: Mapping[str, str]) -> Json | None:
        """Return a job of this task instance that an attempt which died has left, and that has not failed."""
        from windlass_kubernetes.naming import selector
        from windlass_kubernetes.object_state import outcome

        kind = {"apiVersion": "batch/v1", "kind": "Job"}
        for job in self.hook.list_objects(kind, namespace, label_selector=selector(identity)):
            found = outcome("Job", job["metadata"]["name"], namespace, job)
            if "deletionTimestamp" not in job["metadata"] and (found is None or found.is_success):
                return job
        return None

    def _outcome(self, job: Json) -> Json:
        from windlass_kubernetes.object_state import outcome

        meta = job["metadata"]
        for state in self.hook.follow(_job(meta["name"]), meta["namespace"]):
            found = outcome("Job", meta["name"], meta["namespace"], state)
            if found is not None:
                return {"status": "success" if found.is_success else "failed", "message": found.text}
        raise AssertionError("a job is followed until it is done")

    def _defer_job(self, name: str, namespace: str) -> None:
        from windlass_kubernetes.triggers import KubernetesObjectTrigger

        trigger = KubernetesObjectTrigger(
            api_version="batch/v1", kind="Job", name=name, namespace=namespace, poll_interval=self.job_poll_interval,
            **self.cluster_arguments,
        )  # fmt: skip
        kwargs = {"job_name": name, "namespace": namespace}
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs, timeout=self.execution_timeout)

    def execute_complete(self, context: Context, *, event: Json, job_name: str, namespace: str) -> None:
        """Go on after the trigger has seen the job end."""
        self._conclude(event, job_name, namespace)

    def _conclude(self, event: Json, name: str, namespace: str) -> None:
        """Write what the job's pods have written into the log, and judge the job.

        :raises ResourceFailed: if it failed.
        """
        from windlass_kubernetes.errors import ResourceFailed
        from windlass_kubernetes.logs import Cursor
        from windlass_kubernetes.pod_state import phase, who

        manager = self._manager(namespace)
        pods = self.hook.find_pods(namespace, f"job-name={name}")
        for pod in pods:
            if self.get_logs and phase(pod) in {"Succeeded", "Failed"}:
                self.log.info("the log of %s", who(pod))
                manager.write_log(pod, self.base_container_name, Cursor(), follow=False)
        self._answers_for = None
        if event["status"] == "success":
            self.log.info("%s", event["message"])
            return
        reasons = [manager.judge(pod).text for pod in pods if phase(pod) == "Failed"]
        for pod in pods:
            if phase(pod) != "Succeeded":
                manager.explain(pod, with_log=not self.get_logs, with_events=self.log_events_on_failure)
        raise ResourceFailed("; ".join([event["message"], *reasons[-1:]]))

    def on_kill(self) -> None:
        """Delete the job, and its pods, of an attempt that is being killed."""
        if self._answers_for is not None:
            name, namespace = self._answers_for
            self.hook.client.patience = 3.0
            self.log.info("deleting job `%s` in namespace `%s`, because the task was stopped", name, namespace)
            self.hook.delete(_job(name), namespace)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; where the time for it is over, the job is deleted."""
        from windlass.errors import TaskDeferralTimeout

        try:
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            meta = self.build_job_request_obj(context)["metadata"]
            self.hook.delete(_job(meta["name"]), meta["namespace"])
            raise


class _OneJobOperator(KubernetesBaseOperator):
    """What the operators on a job by its name have in common."""

    template_fields: Sequence[str] = ("name", "namespace", "kubernetes_conn_id", "cluster_context", "config_file")

    def __init__(
        self,
        *,
        name: str,
        namespace: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.namespace = namespace


class KubernetesDeleteJobOperator(_OneJobOperator):
    """Delete a job and its pods; one that is not there is a success.

    ``wait_for_completion`` waits for its end before. ``delete_on_status`` deletes it only if it is ``Complete`` or
    ``Failed``, as it says.
    """

    def __init__(
        self, *, delete_on_status: str | None = None, wait_for_completion: bool = False, **kwargs: Any
    ) -> None:
        """Declare the task; ``name`` and ``namespace`` say which job."""
        super().__init__(**kwargs)
        if delete_on_status not in {None, "Complete", "Failed"}:
            raise AuthoringError(
                f"task {self.task_id!r}: delete_on_status {delete_on_status!r} is not one of Complete, Failed"
            )
        self.delete_on_status = delete_on_status
        self.wait_for_completion = wait_for_completion

    def execute(self, context: Context) -> bool:
        """Delete it; return whether it was deleted."""
        from windlass_kubernetes.object_state import outcome

        namespace = self.namespace or self.hook.get_namespace()
        found = None
        for job in self.hook.follow(_job(self.name), namespace):
            if job is None:
                return False
            found = outcome("Job", self.name, namespace, job)
            if found is not None or not self.wait_for_completion:
                break
        state = None if found is None else "Complete" if found.is_success else "Failed"
        if self.delete_on_status not in {None, state}:
            self.log.info("job `%s` is left as it is: it is not %s", self.name, self.delete_on_status)
            return False
        return self.hook.delete(_job(self.name), namespace)


class KubernetesPatchJobOperator(_OneJobOperator):
    """Change a job: ``body`` is a part of its manifest, for example ``{"spec": {"suspend": False}}``."""

    template_fields: Sequence[str] = ("body", *_OneJobOperator.template_fields)

    def __init__(self, *, body: Json, **kwargs: Any) -> None:
        """Declare the task; ``name`` and ``namespace`` say which job."""
        super().__init__(**kwargs)
        self.body = body

    def execute(self, context: Context) -> Json:
        """Change it, and return it as it is then."""
        return self.hook.patch(_job(self.name), self.body, self.namespace)


def _job(name: str) -> Json:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
