"""The controllers of jobs and deployments: one loop that looks at everything again whenever something has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from windlass_testing.fakes.kubernetes.controller import Controller
from windlass_testing.fakes.kubernetes.deployments import DeploymentController
from windlass_testing.fakes.kubernetes.jobs import JobController
from windlass_testing.fakes.kubernetes.problems import Problem
from windlass_testing.fakes.kubernetes.resources import RESOURCES, named
from windlass_testing.fakes.kubernetes.store import Store

Json = dict[str, Any]

#: How long the loop sleeps at most: deadlines come without a change.
_TICK: Final = 0.2


class Controllers:
    """Reconciles jobs and deployments until it is closed."""

    def __init__(self, store: Store, create: Callable[[str, str, Json], Json]) -> None:
        self.store = store
        self._controllers = {"jobs": JobController(store, create), "deployments": DeploymentController(store, create)}
        self._closing = False
        self._thread = threading.Thread(target=self._loop, name="controllers", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the loop."""
        with self.store.changed:
            self._closing = True
            self.store.changed.notify_all()
        self._thread.join()

    def _loop(self) -> None:
        seen = 0
        while True:
            with self.store.changed:
                if self.store.version == seen:
                    self.store.changed.wait(_TICK)
                if self._closing:
                    return
                seen = self.store.version
            for namespace in self.store.all(named("namespaces")):
                if "deletionTimestamp" in namespace["metadata"]:
                    self._empty(namespace["metadata"]["name"])
            for plural, controller in self._controllers.items():
                for obj in self.store.all(named(plural)):
                    if "deletionTimestamp" not in obj["metadata"]:
                        with self.store.changed:
                            self._reconcile(plural, obj, controller)

    def _reconcile(self, plural: str, obj: Json, controller: Controller) -> None:
        meta = obj["metadata"]
        current = self.store.find(named(plural), meta["namespace"], meta["name"])
        if current is None or current["metadata"]["uid"] != meta["uid"]:
            return
        try:
            controller.reconcile(current)
        except (
            Problem
        ) as problem:  # such as a template that no longer is admitted: a controller says so and tries again
            controller.note(current, "FailedCreate", f"Error creating: {problem.message}")

    def _empty(self, namespace: str) -> None:
        """Delete what is in a namespace, and at last the namespace."""
        with self.store.changed:
            for resource in RESOURCES:
                for obj in self.store.all(resource, namespace) if resource.namespaced else []:
                    meta = obj["metadata"]
                    if "deletionTimestamp" not in meta and self.store.find(resource, namespace, meta["name"]):
                        grace = obj.get("spec", {}).get("terminationGracePeriodSeconds", 30)
                        self.store.delete(resource, namespace, meta["name"], propagation="Background", grace=grace)
            if not any(self.store.all(resource, namespace) for resource in RESOURCES if resource.namespaced):
                self.store.update(named("namespaces"), "", namespace, _without_finalizers)


def _without_finalizers(namespace: Json) -> None:
    namespace["metadata"]["finalizers"] = []
