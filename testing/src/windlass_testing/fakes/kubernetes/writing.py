"""Creating, replacing, patching and deleting objects, and their status and scale."""

from __future__ import annotations

import copy
import threading
from typing import Any, Final

from windlass_testing.fakes.kubernetes import problems
from windlass_testing.fakes.kubernetes.admission import admit, check_update, default
from windlass_testing.fakes.kubernetes.applying import Ownership
from windlass_testing.fakes.kubernetes.patches import json_patch, merge_patch, strategic_merge_patch
from windlass_testing.fakes.kubernetes.reading import selection
from windlass_testing.fakes.kubernetes.requests import Answer, Request, Target
from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.store import Store, now

Json = dict[str, Any]

_APPLY: Final = "application/apply-patch+yaml"


class Writer:
    """Every write of a client."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ownership = Ownership()
        self._next_address = 0
        self._lock = threading.Lock()

    def create(self, request: Request, to: Target) -> Answer:
        """Create an object."""
        obj = request.object()
        if to.subresource == "eviction":
            pod = self.store.get(to.resource, to.namespace, to.name)
            self._delete_one(
                to, pod, {"gracePeriodSeconds": (obj.get("deleteOptions") or {}).get("gracePeriodSeconds")}
            )
            return Answer(problems.success({"name": to.name, "kind": "pods"}), 201)
        if to.name or to.subresource:
            raise problems.Problem(405, "MethodNotAllowed", "the server does not allow this method on the resource")
        return Answer(self.make(to, obj, is_dry=_is_dry(request)), 201)

    def make(self, to: Target, obj: Json, *, is_dry: bool = False) -> Json:
        """Admit and store a new object."""
        with self.store.changed:
            admit(self.store, to.resource, to.namespace, obj)
            plural = to.resource.plural
            if plural == "services" and obj["spec"].get("type") != "ExternalName":
                obj["spec"].setdefault("clusterIP", self._address())
            if is_dry:
                if self.store.find(to.resource, to.namespace, obj["metadata"].get("name", "")):
                    raise problems.exists(plural, to.resource.group, obj["metadata"]["name"])
                return {**obj, "apiVersion": to.resource.api_version, "kind": to.resource.kind}
            if plural == "namespaces":
                obj["status"] = {"phase": "Active"}
            made = self.store.create(to.resource, to.namespace, obj)
            if plural == "namespaces":
                self.store.create(named("serviceaccounts"), made["metadata"]["name"], {"metadata": {"name": "default"}})
            if plural == "jobs" and not made["spec"].get("manualSelector"):
                return self._select_own_pods(to, made)
            return made

    def _select_own_pods(self, to: Target, job: Json) -> Json:
        """Give a job the selector and the labels by which it knows its pods."""
        labels = {"controller-uid": job["metadata"]["uid"], "job-name": job["metadata"]["name"]}

        def change(copied: Json) -> None:
            copied["spec"]["selector"] = {"matchLabels": {"controller-uid": labels["controller-uid"]}}
            meta = copied["spec"]["template"].setdefault("metadata", {})
            meta["labels"] = {**(meta.get("labels") or {}), **labels}

        return self.store.update(to.resource, to.namespace, job["metadata"]["name"], change)

    def _address(self) -> str:
        with self._lock:
            self._next_address += 1
            return f"10.96.{self._next_address // 250}.{self._next_address % 250 + 1}"

    def update(self, request: Request, to: Target) -> Answer:
        """Replace an object, its status or its scale."""
        given = request.object()
        if to.subresource == "scale":
            return self._scale(to, given)
        if given.get("metadata", {}).get("name", to.name) != to.name:
            raise problems.bad_request(
                f"the name of the object ({given['metadata']['name']}) does not match the name on the URL ({to.name})"
            )
        return Answer(self._replace(to, lambda _: given, is_dry=_is_dry(request)))

    def patch(self, request: Request, to: Target) -> Answer:
        """Patch an object, its status or its scale."""
        kind = request.headers.get("Content-Type", "").partition(";")[0]
        content = request.content()
        if kind == _APPLY:
            return self._apply(request, to, content)
        patches = {
            "application/merge-patch+json": merge_patch,
            "application/strategic-merge-patch+json": strategic_merge_patch,
            "application/json-patch+json": json_patch,
        }
        if kind not in patches:
            raise problems.Problem(415, "UnsupportedMediaType", "415: Unsupported Media Type")
        if to.subresource == "scale":
            return self._scale(to, patches[kind](self.scale_of(to), content))
        return Answer(self._replace(to, lambda obj: patches[kind](obj, content), is_dry=_is_dry(request)))

    def _replace(self, to: Target, made: Any, *, is_dry: bool = False) -> Json:  # noqa: ANN401 - a function of objects
        def change(copied: Json) -> Json:
            before = copy.deepcopy(copied)
            after: Json = made(copied)
            after.setdefault("metadata", {})
            if to.subresource == "status":
                meta = {**before["metadata"], "resourceVersion": after["metadata"].get("resourceVersion")}
                return {**before, "metadata": meta, "status": after.get("status", {})}
            if to.resource.has_status:
                after["status"] = before.get("status", {})
            for name in ("uid", "creationTimestamp", "namespace", "name"):
                after["metadata"].setdefault(name, before["metadata"].get(name))
            default_again(to, after)
            check_update(to.resource, before, after)
            return after

        if is_dry:
            with self.store.changed:
                return change(copy.deepcopy(self.store.get(to.resource, to.namespace, to.name)))
        return self.store.update(to.resource, to.namespace, to.name, change)

    def _apply(self, request: Request, to: Target, applied: Any) -> Answer:  # noqa: ANN401 - what a client sent
        manager = request.text("fieldManager")
        if not manager:
            text = "Required value: is required for apply patch"
            raise problems.invalid("PatchOptions", "meta.k8s.io", "", [("fieldManager", "FieldValueRequired", text)])
        if not isinstance(applied, dict):
            raise problems.bad_request("error decoding YAML: an object is required")
        if (version := applied.get("apiVersion", "")) != to.resource.api_version:
            text = f"Specified patch version: {version}, expected: {to.resource.api_version}"
            raise problems.bad_request(f"Incorrect version specified in apply patch. {text}")
        if not (applied.get("metadata") or {}).get("name"):
            text = f"the name of the object ({to.name} based on URL) was undeterminable: name must be provided"
            raise problems.bad_request(text)
        with self.store.changed:
            current = self.store.find(to.resource, to.namespace, to.name)
            if current is None:
                body = copy.deepcopy(applied)
                made, code = self.make(to, body, is_dry=_is_dry(request)), 201
            else:
                merged = self._ownership.merge(current, applied, manager, force=request.flag("force"))
                made, code = self._replace(to, lambda _: merged, is_dry=_is_dry(request)), 200
            if not _is_dry(request):
                self._ownership.claim(made["metadata"]["uid"], applied, manager)
        return Answer(made, code)

    # --- Scale ----------------------------------------------------------------------------------------------------

    def scale_of(self, to: Target) -> Json:
        """Return the scale of a deployment."""
        obj = self.store.get(to.resource, to.namespace, to.name)
        meta = {
            key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        }
        labels = (obj["spec"].get("selector") or {}).get("matchLabels") or {}
        status = {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
        }
        spec = {"replicas": obj["spec"].get("replicas", 1)}
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}

    def _scale(self, to: Target, scale: Json) -> Answer:
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        version = scale.get("metadata", {}).get("resourceVersion")
        if not isinstance(replicas, int) or replicas < 0:
            text = f"Invalid value: {replicas!r}: must be greater than or equal to 0"
            raise problems.invalid("Scale", "autoscaling", to.name, [("spec.replicas", "FieldValueInvalid", text)])

        def change(copied: Json) -> None:
            copied["spec"]["replicas"] = replicas
            if version:
                copied["metadata"]["resourceVersion"] = version

        self.store.update(to.resource, to.namespace, to.name, change)
        return Answer(self.scale_of(to))

    # --- Deleting -------------------------------------------------------------------------------------------------

    def delete(self, request: Request, to: Target) -> Answer:
        """Delete an object."""
        with self.store.changed:
            obj = self.store.get(to.resource, to.namespace, to.name)
            left = self._delete_one(to, obj, _options(request))
        if left is not None:
            return Answer(left)
        details = {"name": to.name, "kind": to.resource.plural, "uid": obj["metadata"]["uid"]}
        return Answer(problems.success(details | ({"group": to.resource.group} if to.resource.group else {})))

    def delete_all(self, request: Request, to: Target) -> Answer:
        """Delete every object that matches."""
        matches = selection(request, to)
        options = _options(request)
        with self.store.changed:
            found = [obj for obj in self.store.all(to.resource, to.namespace) if matches(obj)]
            for obj in found:
                self._delete_one(to, obj, options)
        kind = f"{to.resource.kind}List"
        meta = {"resourceVersion": str(self.store.version)}
        return Answer({"kind": kind, "apiVersion": to.resource.api_version, "metadata": meta, "items": found})

    def _delete_one(self, to: Target, obj: Json, options: Json) -> Json | None:
        """Delete an object; return it if it stays for a while."""
        meta, resource = obj["metadata"], to.resource
        for key, what, perhaps in (
            ("uid", "UID", "deleted and then recreated"),
            ("resourceVersion", "ResourceVersion", "modified"),
        ):
            wanted = (options.get("preconditions") or {}).get(key)
            if wanted not in {None, meta[key]}:
                why = f"the {what} in the precondition ({wanted}) does not match the {what} in record ({meta[key]})"
                why = f"{why}. The object might have been {perhaps}"
                raise problems.conflict(resource.kind, resource.group, meta["name"], why)
        # A job of batch/v1 leaves its pods behind where nothing else is said; so the real one has it.
        usual = "Orphan" if resource.plural == "jobs" else "Background"
        if options.get("orphanDependents") is not None:
            usual = "Orphan" if options["orphanDependents"] else "Background"
        propagation = options.get("propagationPolicy") or usual
        grace = options.get("gracePeriodSeconds")
        if resource.plural == "namespaces":
            return self._terminate(meta["name"])
        if resource.plural == "pods" and grace is None:
            grace = obj["spec"].get("terminationGracePeriodSeconds", 30)
        self.store.delete(resource, meta.get("namespace", ""), meta["name"], propagation=propagation, grace=grace)
        left = self.store.find(resource, meta.get("namespace", ""), meta["name"])
        return left if left is not None or resource.plural != "pods" else obj

    def _terminate(self, namespace: str) -> Json:
        """Mark a namespace; the controllers empty it and take it away."""

        def mark(copied: Json) -> None:
            copied["metadata"].setdefault("deletionTimestamp", now())
            copied["metadata"]["finalizers"] = ["kubernetes"]
            copied["status"] = {"phase": "Terminating"}

        return self.store.update(named("namespaces"), "", namespace, mark)


def default_again(to: Target, obj: Json) -> None:
    """Fill in the defaults of an object that was replaced, but leave its status alone."""
    status = obj.get("status")
    default(to.resource, obj)
    if status is not None:
        obj["status"] = status


def _is_dry(request: Request) -> bool:
    return request.text("dryRun") == "All"


def _options(request: Request) -> Json:
    options = request.object()
    for name in ("propagationPolicy", "gracePeriodSeconds", "orphanDependents"):
        if name in request.query:
            number = name == "gracePeriodSeconds"
            flag = name == "orphanDependents"
            options[name] = request.number(name) if number else request.flag(name) if flag else request.text(name)
    return options
