"""Operators that create, apply and delete objects of any kind from YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from windlass.errors import AuthoringError, TaskFailed
from windlass.operators import Context
from windlass_kubernetes.base_operator import KubernetesBaseOperator

Json = dict[str, Any]

#: Says which task instance has created an object, so that a repeated attempt knows it as its own.
CREATED_BY: Final = "windlass/created-by"


class _ResourceOperator(KubernetesBaseOperator):
    """What the operators on manifests have in common: where the manifests come from."""

    template_fields: Sequence[str] = ("yaml_conf", "yaml_conf_file", "namespace", "kubernetes_conn_id", "config_file")
    template_fields_renderers = {"yaml_conf": "yaml"}  # noqa: RUF012 - Airflow's
    ui_color = "#cfe8ff"

    def __init__(
        self,
        *,
        yaml_conf: str | Json | Sequence[Json] | None = None,
        yaml_conf_file: str | None = None,
        namespace: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Declare the task.

        Args:
            yaml_conf: the manifests: YAML with one or several documents, or plain dicts.
            yaml_conf_file: a file with them, on the machine that runs the task.
            namespace: for manifests that name none; by default the connection's.
            **kwargs: see KubernetesBaseOperator.
        """
        super().__init__(**kwargs)
        if (yaml_conf is None) == (yaml_conf_file is None):
            raise AuthoringError(f"task {self.task_id!r}: give yaml_conf or yaml_conf_file")
        self.yaml_conf = yaml_conf
        self.yaml_conf_file = yaml_conf_file
        self.namespace = namespace

    def manifests(self) -> list[Json]:
        """Return the manifests, in order; a List counts as its items.

        :raises TaskFailed: if they cannot be read; no retry can help.
        """
        import yaml

        who = f"task {self.task_id!r}"
        source: Any = self.yaml_conf
        if self.yaml_conf_file is not None:
            from pathlib import Path

            try:
                source = Path(self.yaml_conf_file).read_text("utf-8")
            except OSError as error:
                raise TaskFailed(
                    f"{who}: {self.yaml_conf_file} cannot be read: {error.strerror}; correct the path"
                ) from None
        if isinstance(source, str):
            try:
                source = list(yaml.safe_load_all(source))
            except yaml.YAMLError as error:
                raise TaskFailed(
                    f"{who}: the manifest is no YAML: {' '.join(str(error).split())}; correct it"
                ) from None
        if source is not None and not isinstance(source, (dict, list, tuple)):  # what another task has given
            raise TaskFailed(f"{who}: yaml_conf must be YAML, a dict or several, not {source!r:.80}; correct it")
        found = [source] if isinstance(source, dict) else [one for one in source or () if one is not None]
        made: list[Json] = []
        for one in found:
            if not isinstance(one, dict) or "kind" not in one:
                raise TaskFailed(f"{who}: a manifest must be an object with a kind, not {one!r}; correct it")
            made += one.get("items") or [] if one["kind"] == "List" else [one]
        if not made:
            raise TaskFailed(f"{who}: there is no manifest; give at least one")
        return made


class KubernetesCreateResourceOperator(_ResourceOperator):
    """Create the objects of one or several manifests, in order; one that exists already fails the task.

    An object that an earlier attempt of the same task instance has created counts as created.
    """

    def execute(self, context: Context) -> list[Json]:
        """Create them; return the kind, name and namespace of each."""
        from windlass_kubernetes.errors import KubernetesRefused
        from windlass_kubernetes.naming import attempt_parts, digest

        mark = digest("\0".join(attempt_parts(context["ti"])[:-1]), 16)
        made = []
        for one in self.manifests():
            meta = {**(one.get("metadata") or {})}
            meta["annotations"] = {**(meta.get("annotations") or {}), CREATED_BY: mark}
            manifest = {**one, "metadata": meta}
            try:
                obj = self.hook.create(manifest, self.namespace)
                self.log.info("created %s", _named(obj))
            except KubernetesRefused as error:
                if error.status in {400, 422}:
                    raise TaskFailed(str(error)) from None
                there = self.hook.read(manifest, self.namespace) if error.status == 409 else None
                if there is None or (there["metadata"].get("annotations") or {}).get(CREATED_BY) != mark:
                    raise
                obj = there
                self.log.info("%s was created by an earlier attempt", _named({**manifest, **there}))
            made.append(_reference(manifest, obj))
        return made


class KubernetesApplyResourceOperator(_ResourceOperator):
    """Create the objects of the manifests, or bring them into the state that they describe (server-side apply)."""

    def __init__(self, *, field_manager: str = "windlass", force: bool = True, **kwargs: Any) -> None:
        """Declare the task.

        Args:
            field_manager: who owns the fields that are applied.
            force: take fields over that others have applied; else such a conflict fails the task.
            **kwargs: the manifests, see KubernetesCreateResourceOperator.
        """
        super().__init__(**kwargs)
        self.field_manager = field_manager
        self.force = force

    def execute(self, context: Context) -> list[Json]:
        """Apply them; return the kind, name and namespace of each."""
        from windlass_kubernetes.errors import KubernetesRefused

        made = []
        for one in self.manifests():
            try:
                obj = self.hook.apply(one, self.namespace, manager=self.field_manager, force=self.force)
            except KubernetesRefused as error:
                if error.status in {400, 422}:
                    raise TaskFailed(str(error)) from None
                raise
            self.log.info("applied %s", _named(obj))
            made.append(_reference(one, obj))
        return made


class KubernetesDeleteResourceOperator(_ResourceOperator):
    """Delete the objects that the manifests name, the last first; one that is not there is a success."""

    def __init__(self, *, propagation_policy: str = "Background", wait: bool = False, **kwargs: Any) -> None:
        """Declare the task.

        Args:
            propagation_policy: what becomes of what they own: Background, Foreground or Orphan.
            wait: wait until they are gone.
            **kwargs: the manifests, see KubernetesCreateResourceOperator.
        """
        super().__init__(**kwargs)
        choices = ("Background", "Foreground", "Orphan")
        if propagation_policy not in choices:
            text = f"propagation_policy {propagation_policy!r} is not one of {', '.join(choices)}"
            raise AuthoringError(f"task {self.task_id!r}: {text}")
        self.propagation_policy = propagation_policy
        self.wait = wait

    def execute(self, context: Context) -> None:
        """Delete them."""
        found = list(reversed(self.manifests()))
        for one in found:
            was_there = self.hook.delete(one, self.namespace, propagation_policy=self.propagation_policy)
            self.log.info("%s %s", "deleted" if was_there else "there was no", _named(one))
        if self.wait:
            for one in found:
                self.hook.wait_until_gone(one, self.namespace)


def _named(obj: Json) -> str:
    meta = obj.get("metadata") or {}
    where = f" in namespace `{meta['namespace']}`" if meta.get("namespace") else ""
    return f"{str(obj.get('kind', 'object')).lower()} `{meta.get('name', '')}`{where}"


def _reference(manifest: Json, obj: Json) -> Json:
    meta = obj["metadata"]
    found = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "name": meta["name"]}
    return found | ({"namespace": meta["namespace"]} if meta.get("namespace") else {})
