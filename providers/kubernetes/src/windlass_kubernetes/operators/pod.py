"""KubernetesPodOperator: a task that is a pod."""

# ruff: noqa: ANN401 - specifications are plain data or the client library's models
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from windlass.errors import AuthoringError, TaskDeferralTimeout, TaskFailed, TaskSkipped, XComError
from windlass.operators import Context
from windlass_kubernetes.base_operator import KubernetesBaseOperator

if TYPE_CHECKING:
    from windlass_kubernetes.pod_manager import PodManager

Json = dict[str, Any]

ON_FINISH_ACTIONS = ("delete_pod", "delete_succeeded_pod", "keep_pod")


class KubernetesPodOperator(KubernetesBaseOperator):
    """Run a container in a pod of its own, and follow it to its end.

    A pod belongs to its task instance by its labels. An attempt that finds one which an earlier attempt has left
    running, because its worker died, goes on watching that one (``reattach_on_restart``). With ``deferrable`` a trigger
    waits for the pod and the task holds no process meanwhile.
    """

    template_fields: Sequence[str] = (
        "image", "cmds", "arguments", "annotations", "labels", "env_vars", "env_from", "configmaps", "config_file",
        "pod_template_file", "pod_template_dict", "namespace", "name", "container_resources", "volumes",
        "volume_mounts", "cluster_context", "node_selector", "kubernetes_conn_id", "base_container_name",
    )  # fmt: skip
    template_fields_renderers = {"env_vars": "py"}  # noqa: RUF012 - Airflow's
    ui_color = "#b3d9ff"

    def __init__(
        self,
        *,
        kubernetes_conn_id: str | None = "kubernetes_default",
        namespace: str | None = None,
        image: str | None = None,
        name: str | None = None,
        random_name_suffix: bool = True,
        cmds: Sequence[str] | str | None = None,
        arguments: Sequence[str] | str | None = None,
        ports: Any = None,
        volume_mounts: Any = None,
        volumes: Any = None,
        env_vars: Any = None,
        env_from: Any = None,
        secrets: Sequence[Any] | None = None,
        configmaps: Sequence[str] | None = None,
        in_cluster: bool | None = None,
        cluster_context: str | None = None,
        config_file: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        reattach_on_restart: bool = True,
        startup_timeout_seconds: float = 120,
        schedule_timeout_seconds: float | None = None,
        get_logs: bool = True,
        container_logs: Collection[str] = (),
        init_container_logs: bool | Collection[str] = False,
        base_container_name: str = "base",
        image_pull_policy: str | None = None,
        image_pull_secrets: Any = None,
        container_resources: Any = None,
        affinity: Any = None,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Any = None,
        service_account_name: str | None = None,
        automount_service_account_token: bool | None = None,
        hostnetwork: bool = False,
        host_aliases: Any = None,
        hostname: str | None = None,
        subdomain: str | None = None,
        dnspolicy: str | None = None,
        dns_config: Any = None,
        schedulername: str | None = None,
        priority_class_name: str | None = None,
        security_context: Any = None,
        container_security_context: Any = None,
        full_pod_spec: Any = None,
        pod_template_file: str | None = None,
        pod_template_dict: Json | None = None,
        init_containers: Any = None,
        log_events_on_failure: bool = True,
        do_xcom_push: bool = False,
        termination_grace_period: int | None = None,
        termination_message_policy: str | None = None,
        active_deadline_seconds: int | None = None,
        skip_on_exit_code: int | Collection[int] | None = None,
        on_finish_action: str = "delete_pod",
        deferrable: bool = False,
        poll_interval: float = 2.0,
        logging_interval: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Declare the task; the docs of the provider explain each argument, which are Airflow's."""
        super().__init__(
            kubernetes_conn_id=kubernetes_conn_id, in_cluster=in_cluster, cluster_context=cluster_context,
            config_file=config_file, do_xcom_push=do_xcom_push, **kwargs,
        )  # fmt: skip
        if on_finish_action not in ON_FINISH_ACTIONS:
            choices = ", ".join(ON_FINISH_ACTIONS)
            raise AuthoringError(
                f"task {self.task_id!r}: on_finish_action {on_finish_action!r} is not one of {choices}"
            )
        self.namespace = namespace
        self.image = image
        self.name = name
        self.random_name_suffix = random_name_suffix
        self.cmds = cmds
        self.arguments = arguments
        self.ports, self.volume_mounts, self.volumes = ports, volume_mounts, volumes
        self.env_vars, self.env_from = env_vars, env_from
        self.secrets, self.configmaps = secrets, configmaps
        self.labels, self.annotations = labels, annotations
        self.reattach_on_restart = reattach_on_restart
        self.startup_timeout_seconds = startup_timeout_seconds
        self.schedule_timeout_seconds = (
            startup_timeout_seconds if schedule_timeout_seconds is None else schedule_timeout_seconds
        )
        self.get_logs = get_logs
        self.container_logs = [container_logs] if isinstance(container_logs, str) else list(container_logs)
        self.init_container_logs = init_container_logs
        self.base_container_name = base_container_name
        self.image_pull_policy, self.image_pull_secrets = image_pull_policy, image_pull_secrets
        self.container_resources = container_resources
        self.affinity, self.node_selector, self.tolerations = affinity, node_selector, tolerations
        self.service_account_name = service_account_name
        self.automount_service_account_token = automount_service_account_token
        self.hostnetwork, self.host_aliases, self.hostname, self.subdomain = (
            hostnetwork,
            host_aliases,
            hostname,
            subdomain,
        )
        self.dnspolicy, self.dns_config = dnspolicy, dns_config
        self.schedulername, self.priority_class_name = schedulername, priority_class_name
        self.security_context, self.container_security_context = security_context, container_security_context
        self.full_pod_spec = full_pod_spec
        self.pod_template_file, self.pod_template_dict = pod_template_file, pod_template_dict
        self.init_containers = init_containers
        self.log_events_on_failure = log_events_on_failure
        self.termination_grace_period = termination_grace_period
        self.termination_message_policy = termination_message_policy
        self.active_deadline_seconds = active_deadline_seconds
        codes = [] if skip_on_exit_code is None else skip_on_exit_code
        self.skip_on_exit_code = frozenset([codes] if isinstance(codes, int) else codes)
        self.on_finish_action = str(getattr(on_finish_action, "value", on_finish_action))
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.logging_interval = logging_interval
        #: (name, namespace) of the pod while this attempt answers for it.
        self._answers_for: tuple[str, str] | None = None

    # --- What it is made of ---------------------------------------------------------------------------------------

    def build_pod_request_obj(self, context: Context) -> Json:
        """Return the manifest of the pod as it is sent: what the arguments say, with name, namespace and labels."""
        from windlass_kubernetes.manifests import add_sidecar, build_pod
        from windlass_kubernetes.naming import attempt_parts, identity, object_name

        pod, ti = build_pod(self), context["ti"]
        meta = pod["metadata"]
        name = str(self.name or meta.get("name") or self.task_id)
        meta["name"] = object_name(name, *(attempt_parts(ti) if self.random_name_suffix else ()))
        meta["namespace"] = str(self.namespace or meta.get("namespace") or self.hook.get_namespace())
        meta["labels"] = {**(meta.get("labels") or {}), **identity(ti), "try_number": str(ti.try_number)}
        if self.do_xcom_push:
            add_sidecar(pod, self.base_container_name, self.hook.sidecar_image, self.hook.sidecar_resources)
        return pod

    def _manager(self, namespace: str) -> PodManager:
        from windlass_kubernetes.pod_manager import PodManager

        return PodManager(self.hook, self.log, namespace, self.base_container_name)

    # --- Its life -------------------------------------------------------------------------------------------------

    def execute(self, context: Context) -> Any:
        """Make the pod, or find it again, and follow it to its end; return its result."""
        pod, manager = self._launched(context)
        if self.deferrable:
            self._defer(pod, cursor=None)
        return self._see_through(pod, manager, None, is_over=False)

    def _launched(self, context: Context) -> tuple[Json, PodManager]:
        from windlass_kubernetes.naming import identity

        manifest = self.build_pod_request_obj(context)
        meta = manifest["metadata"]
        manager = self._manager(meta["namespace"])
        self._answers_for = (meta["name"], meta["namespace"])
        pod = manager.create_or_attach(manifest, identity(context["ti"]), reattach=self.reattach_on_restart)
        self._answers_for = (pod["metadata"]["name"], meta["namespace"])
        return pod, manager

    def _see_through(self, pod: Json, manager: PodManager, cursor: Json | None, *, is_over: bool) -> Any:
        from windlass_kubernetes.errors import PodFailed, PodLaunchFailed, PodNotFound

        is_success = False
        judged = True
        try:
            if not is_over:
                pod = self._started(pod, manager)
            self._write_logs(pod, manager, cursor, follow=not is_over)
            pod = manager.await_end(pod)
            self._write_other_logs(pod, manager)
            result = self._judged(pod, manager)
            is_success = True
            return result
        except (PodFailed, PodLaunchFailed, PodNotFound, TaskSkipped, TaskFailed, XComError):
            raise
        except BaseException:
            # Contact was lost, or the attempt is being killed: the pod goes on, for a retry to find or on_kill to end.
            judged = False
            raise
        finally:
            if judged:
                self._answers_for = None
                manager.clear_away(
                    pod, action=self.on_finish_action, is_success=is_success, has_sidecar=self.do_xcom_push
                )  # fmt: skip

    def _started(self, pod: Json, manager: PodManager) -> Json:
        from windlass_kubernetes.errors import PodLaunchFailed

        try:
            return manager.await_start(
                pod,
                startup_timeout=self.startup_timeout_seconds,
                schedule_timeout=self.schedule_timeout_seconds,
            )
        except PodLaunchFailed:
            manager.explain(pod, with_log=False, with_events=self.log_events_on_failure)
            raise

    def _write_logs(self, pod: Json, manager: PodManager, state: Json | None, *, follow: bool) -> Json:
        """Write the log from where ``state`` says, from the init containers on if it is None; return where it ended."""
        from windlass_kubernetes.logs import Cursor

        if state is None:
            for name in self._init_names(pod):
                manager.write_log(pod, name, Cursor(), follow=False)
        cursor = Cursor(state)
        if self.get_logs:
            manager.write_log(pod, self.base_container_name, cursor, follow=follow)
        return cursor.state()

    def _write_other_logs(self, pod: Json, manager: PodManager) -> None:
        from windlass_kubernetes.logs import Cursor

        for name in self.container_logs:
            if name != self.base_container_name:
                manager.write_log(pod, name, Cursor(), follow=False)

    def _init_names(self, pod: Json) -> list[str]:
        names = [one["name"] for one in pod["spec"].get("initContainers") or []]
        wanted = self.init_container_logs
        if isinstance(wanted, bool):
            return names if wanted else []
        return [name for name in names if name in wanted]

    def _judged(self, pod: Json, manager: PodManager) -> Any:
        """Return the result of a pod that has ended well.

        :raises TaskSkipped: if its exit code means that.
        :raises PodFailed: if it ended badly.
        """
        verdict = manager.judge(pod)
        if verdict.exit_code in self.skip_on_exit_code:
            raise TaskSkipped(f"{verdict.text}, which skips the task")
        if not verdict.is_success:
            raise manager.fail(pod, verdict, with_log=not self.get_logs, with_events=self.log_events_on_failure)
        return manager.result(pod) if self.do_xcom_push else None

    def on_kill(self) -> None:
        """Delete the pod of an attempt that is being killed."""
        if self._answers_for is not None:
            name, namespace = self._answers_for
            self.hook.client.patience = 3.0
            self.log.info("deleting pod `%s` in namespace `%s`, because the task was stopped", name, namespace)
            self.hook.delete_pod(name, namespace, grace_period_seconds=self.termination_grace_period)

    # --- Deferred -------------------------------------------------------------------------------------------------

    def _defer(self, pod: Json, cursor: Json | None, began: float | None = None) -> None:
        import time

        from windlass_kubernetes.triggers import KubernetesPodTrigger

        began = time.time() if began is None else began
        meta = pod["metadata"]
        trigger = KubernetesPodTrigger(
            pod_name=meta["name"],
            pod_namespace=meta["namespace"],
            pod_uid=meta["uid"],
            base_container_name=self.base_container_name,
            began=began,
            startup_timeout=self.startup_timeout_seconds,
            schedule_timeout=self.schedule_timeout_seconds,
            poll_interval=self.poll_interval,
            logging_interval=self.logging_interval if self.get_logs else None,
            **self.cluster_arguments,
        )
        kwargs = {"pod_name": meta["name"], "namespace": meta["namespace"], "cursor": cursor, "began": began}
        limit = self.execution_timeout
        if limit is not None:
            limit = max(limit - timedelta(seconds=time.time() - began), timedelta(seconds=1))
        self.defer(trigger=trigger, method_name="trigger_reentry", kwargs=kwargs, timeout=limit)

    def trigger_reentry(
        self, context: Context, *, event: Json, pod_name: str, namespace: str, cursor: Json | None, began: float
    ) -> Any:
        """Go on after the trigger has seen the pod end, fail to start, or run for another ``logging_interval``."""
        from windlass_kubernetes.errors import PodLaunchFailed, PodNotFound

        manager = self._manager(namespace)
        self._answers_for = (pod_name, namespace)
        pod = self.hook.get_pod(pod_name, namespace)
        if pod is None or event["status"] == "gone":
            raise PodNotFound(event.get("message") or f"pod `{pod_name}` in namespace `{namespace}` is gone")
        if event["status"] == "running":
            self._defer(pod, cursor=self._write_logs(pod, manager, cursor, follow=False), began=began)
        if event["status"] == "failed":
            manager.explain(pod, with_log=False, with_events=self.log_events_on_failure)
            self._answers_for = None
            manager.clear_away(pod, action=self.on_finish_action, is_success=False, has_sidecar=False)
            raise PodLaunchFailed(event["message"])
        return self._see_through(pod, manager, cursor, is_over=True)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; where the time for it is over, the pod is deleted."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            from windlass_kubernetes.naming import identity

            namespace = str(self.namespace or self.build_pod_request_obj(context)["metadata"]["namespace"])
            pod = self._manager(namespace).find(identity(context["ti"]))
            if pod is not None:
                self.hook.delete_pod(pod["metadata"]["name"], namespace)
            raise
