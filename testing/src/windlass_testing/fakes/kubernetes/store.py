"""The objects, their versions, and what changed: what etcd and the generic registry are to a real API server.

One counter gives every write its ``resourceVersion``. Every write is kept as a :class:`Change`, so that a watch can
begin at an earlier version, until :meth:`Store.compact` or the limit of the history forgets it: then the version is too
old (410). Objects that are stored are never changed in place: what is handed out is shared, and a write replaces it.
"""

from __future__ import annotations

import copy
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from windlass_testing.fakes.kubernetes import problems
from windlass_testing.fakes.kubernetes.resources import Resource

Json = dict[str, Any]
Key = tuple[str, str, str, str]

_HISTORY: Final = 20_000
FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"


def now() -> str:
    """Return this second, as metadata has it."""
    return datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Change:
    """One write: the object after it (before it, for a deletion) and before it."""

    version: int
    type: str
    resource: Resource
    obj: Json
    before: Json | None


class Store:
    """All objects of the cluster. Its methods may be called from any thread."""

    def __init__(self) -> None:
        #: Notified at every write. Holding it, several calls see one state.
        self.changed = threading.Condition(threading.RLock())
        self.version = 1
        #: The oldest version that a watch may begin at.
        self.oldest = 1
        self._objects: dict[Key, Json] = {}
        self._history: deque[Change] = deque()

    # --- Reading --------------------------------------------------------------------------------------------------

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Return an object, None if there is none."""
        with self.changed:
            return self._objects.get(_key(resource, namespace, name))

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Return an object.

        :raises Problem: 404.
        """
        found = self.find(resource, namespace, name)
        if found is None:
            raise problems.not_found(resource.plural, resource.group, name)
        return found

    def all(self, resource: Resource, namespace: str = "") -> list[Json]:
        """Return the objects of a kind, by namespace and name; of every namespace without one."""
        with self.changed:
            found = [
                (key, obj)
                for key, obj in self._objects.items()
                if key[:2] == (resource.group, resource.plural) and namespace in {"", key[2]}
            ]
        return [obj for _, obj in sorted(found, key=lambda pair: pair[0])]

    def changes(self, after: int) -> Iterator[Change]:
        """Return the writes later than version ``after``; call it while holding :attr:`changed`."""
        found = []
        for change in reversed(self._history):
            if change.version <= after:
                break
            found.append(change)
        return reversed(found)

    def compact(self) -> None:
        """Forget the history: a watch can no longer begin at a version before now."""
        with self.changed:
            self._history.clear()
            self.version += 1
            self.oldest = self.version
            self.changed.notify_all()

    # --- Writing --------------------------------------------------------------------------------------------------

    def create(self, resource: Resource, namespace: str, obj: Json) -> Json:
        """Store a new object, with the metadata that the server gives.

        :raises Problem: 409 if there is one of that name.
        """
        made = copy.deepcopy(obj)
        meta = made.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        made["apiVersion"], made["kind"] = resource.api_version, resource.kind
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            meta.pop(name, None)
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if resource.namespaced:
            meta["namespace"] = namespace
        if "spec" in made and resource.plural != "pods":
            meta["generation"] = 1
        with self.changed:
            key = _key(resource, namespace, meta["name"])
            if key in self._objects:
                raise problems.exists(resource.plural, resource.group, meta["name"])
            self._write("ADDED", resource, key, made, None)
        return made

    def update(self, resource: Resource, namespace: str, name: str, change: Callable[[Json], Json | None]) -> Json:
        """Store what ``change`` makes of a copy of the object (it may change the copy and return None).

        An update that changes nothing is not a write. The last finalizer taken off a deleted object removes it.

        :raises Problem: 404 if there is none; 409 if ``resourceVersion`` came back as another one.
        """
        with self.changed:
            before = self.get(resource, namespace, name)
            after = copy.deepcopy(before)
            after = change(after) or after
            old, meta = before["metadata"], after.setdefault("metadata", {})
            if meta.get("resourceVersion") not in {None, "", old["resourceVersion"]}:
                raise problems.stale(resource.plural, resource.group, name)
            if meta.get("uid") not in {None, "", old["uid"]}:
                why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {old['uid']}"
                raise problems.conflict(resource.plural, resource.group, name, why)
            for kept in ("name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation",
                         "deletionTimestamp", "deletionGracePeriodSeconds"):  # fmt: skip
                if kept in old and kept not in {"deletionTimestamp", "deletionGracePeriodSeconds"}:
                    meta[kept] = old[kept]
                elif kept in old:
                    meta.setdefault(kept, old[kept])
            after["apiVersion"], after["kind"] = resource.api_version, resource.kind
            if after == before:
                return before
            if "generation" in old and after.get("spec") != before.get("spec"):
                meta["generation"] = old["generation"] + 1
            key = _key(resource, namespace, name)
            self._write("MODIFIED", resource, key, after, before)
            if meta.get("deletionTimestamp") and not meta.get("finalizers") and resource.plural != "pods":
                self.remove(resource, namespace, name)
            return after

    def delete(self, resource: Resource, namespace: str, name: str, *, propagation: str, grace: int | None) -> Json:
        """Delete an object, or mark it as being deleted while its finalizers or its grace period last.

        A pod with a grace period stays until the kubelet calls :meth:`remove`.

        :raises Problem: 404 if there is none.
        """
        with self.changed:
            obj = self.get(resource, namespace, name)
            finalizers = list(obj["metadata"].get("finalizers") or [])
            if propagation == "Orphan":
                self._orphan(obj)
            elif propagation == "Foreground" and self._dependents(obj):
                finalizers.append(FOREGROUND)
            if finalizers or (resource.plural == "pods" and grace != 0):

                def mark(copied: Json) -> None:
                    meta = copied["metadata"]
                    meta.setdefault("deletionTimestamp", now())
                    meta["deletionGracePeriodSeconds"] = grace or 0
                    if finalizers:
                        meta["finalizers"] = list(dict.fromkeys(finalizers))

                marked = self.update(resource, namespace, name, mark)
                if FOREGROUND in finalizers:
                    self._collect(obj)
                return marked
            return self.remove(resource, namespace, name)

    def remove(self, resource: Resource, namespace: str, name: str) -> Json:
        """Take an object away, and what it owns."""
        with self.changed:
            key = _key(resource, namespace, name)
            obj = self._objects.get(key)
            if obj is None:
                raise problems.not_found(resource.plural, resource.group, name)
            del self._objects[key]
            self._write("DELETED", resource, key, copy.deepcopy(obj), obj)
            self._collect(obj)
            self._release_owners(obj)
            return obj

    def _write(self, kind: str, resource: Resource, key: Key, obj: Json, before: Json | None) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        if kind != "DELETED":
            self._objects[key] = obj
        self._history.append(Change(self.version, kind, resource, obj, before))
        while len(self._history) > _HISTORY:
            self.oldest = self._history.popleft().version
        self.changed.notify_all()

    # --- Owners and what they own -----------------------------------------------------------------------------------

    def _dependents(self, owner: Json) -> list[tuple[Key, Json]]:
        uid = owner["metadata"]["uid"]
        return [
            (key, obj)
            for key, obj in self._objects.items()
            if any(reference["uid"] == uid for reference in obj["metadata"].get("ownerReferences") or [])
        ]

    def _collect(self, owner: Json) -> None:
        """Delete what ``owner`` owned, in the background: pods get their grace period."""
        from windlass_testing.fakes.kubernetes.resources import of_kind

        for key, obj in self._dependents(owner):
            resource = of_kind(obj["kind"])
            if resource is not None and key in self._objects and "deletionTimestamp" not in obj["metadata"]:
                grace = obj.get("spec", {}).get("terminationGracePeriodSeconds", 30)
                self.delete(resource, key[2], key[3], propagation="Background", grace=grace)

    def _orphan(self, owner: Json) -> None:
        from windlass_testing.fakes.kubernetes.resources import of_kind

        uid = owner["metadata"]["uid"]

        def release(copied: Json) -> None:
            kept = [one for one in copied["metadata"]["ownerReferences"] if one["uid"] != uid]
            copied["metadata"]["ownerReferences"] = kept

        for key, obj in self._dependents(owner):
            resource = of_kind(obj["kind"])
            if resource is not None:
                self.update(resource, key[2], key[3], release)

    def _release_owners(self, gone: Json) -> None:
        """Let an owner go that is deleted in the foreground, once nothing of it is left."""
        from windlass_testing.fakes.kubernetes.resources import of_kind

        def release(copied: Json) -> None:
            meta = copied["metadata"]
            meta["finalizers"] = [one for one in meta.get("finalizers") or [] if one != FOREGROUND]

        for reference in gone["metadata"].get("ownerReferences") or []:
            resource = of_kind(reference["kind"])
            namespace = gone["metadata"].get("namespace", "")
            owner = self.find(resource, namespace, reference["name"]) if resource else None
            if resource is None or owner is None or FOREGROUND not in (owner["metadata"].get("finalizers") or []):
                continue
            if not self._dependents(owner):
                self.update(resource, namespace, reference["name"], release)


def _key(resource: Resource, namespace: str, name: str) -> Key:
    return resource.group, resource.plural, namespace if resource.namespaced else "", name
