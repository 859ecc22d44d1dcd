"""One pod's life, in a thread of its own: scheduled, started, restarted, ended, and reported at every step."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from windlass_testing.fakes.kubernetes.containers import Container
from windlass_testing.fakes.kubernetes.mounts import Mounts
from windlass_testing.fakes.kubernetes.network import NODE_ADDRESS
from windlass_testing.fakes.kubernetes.problems import Problem, bad_request
from windlass_testing.fakes.kubernetes.processes import Log, Process
from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.store import now

if TYPE_CHECKING:
    from windlass_testing.fakes.kubernetes.kubelet import Kubelet

Json = dict[str, Any]


class PodRun(threading.Thread):
    """Runs a pod until it has ended and is deleted."""

    def __init__(self, kubelet: Kubelet, pod: Json) -> None:
        super().__init__(name=f"pod {pod['metadata']['name']}", daemon=True)
        self.kubelet = kubelet
        self.pod = pod
        spec = pod["spec"]
        self.init = [Container(one, is_init=True) for one in spec.get("initContainers") or []]
        self.main = [Container(one, is_init=False) for one in spec["containers"]]
        if self.init:
            for one in self.main:
                one.state = {"waiting": {"reason": "PodInitializing"}}
        self.address = kubelet.addresses.next_for(pod)
        folder = kubelet.folder / "pods" / pod["metadata"]["uid"]
        self.mounts = Mounts(kubelet.store, pod, folder, kubelet.claims(), self.address)
        self.lock = threading.RLock()
        self._leaving = threading.Event()  # it is being deleted
        self.ending = threading.Event()  # its containers are to end, for this or another reason
        self._grace = 0
        self._failure: tuple[str, str] | None = None
        self._scheduled: Json = {"type": "PodScheduled", "status": "False"}
        self._began: str | None = None

    # --- From outside ---------------------------------------------------------------------------------------------

    def stop(self, grace: int) -> None:
        """End the containers, because the pod is being deleted; called again, the shorter grace period counts."""
        with self.lock:
            self._grace = min(grace, self._grace) if self._leaving.is_set() else grace
            self._leaving.set()
            self.ending.set()

    def fail(self, reason: str, message: str) -> None:
        """End the containers, because the pod has failed as a whole."""
        with self.lock:
            self._failure = self._failure or (reason, message)
            self.ending.set()
        self.kubelet.event(self.pod, "Warning", reason, message, component="kubelet")

    def grace(self) -> float:
        """Return how many seconds the containers have to end, once they were asked to."""
        with self.lock:
            return self._grace if self._leaving.is_set() else self.pod["spec"]["terminationGracePeriodSeconds"]

    def container(self, name: str) -> Container:
        """Return a container.

        :raises Problem: 400 if the pod has none of that name.
        """
        for one in [*self.main, *self.init]:
            if one.name == name:
                return one
        raise bad_request(f"container {name} is not valid for pod {self.pod['metadata']['name']}")

    def log(self, name: str, *, previous: bool) -> Log:
        """Return the log of a container, or of its run before this one.

        :raises Problem: 400 if there is none.
        """
        one = self.container(name)
        with self.lock:
            if previous:
                if len(one.logs) < 2:
                    text = f'previous terminated container "{name}" in pod "{self.pod["metadata"]["name"]}" not found'
                    raise bad_request(text)
                return one.logs[-2]
            if not one.logs:
                reason = one.state.get("waiting", {}).get("reason", "ContainerCreating")
                waits = {
                    "ErrImagePull": "image can't be pulled",
                    "ImagePullBackOff": "trying and failing to pull image",
                }
                why = waits.get(reason, reason)
                where = f'container "{name}" in pod "{self.pod["metadata"]["name"]}" is waiting to start'
                raise bad_request(f"{where}: {why}")
            return one.logs[-1]

    def process(self, name: str) -> Process:
        """Return the running process of a container.

        :raises Problem: 500 if it does not run.
        """
        one = self.container(name)
        if one.process is None or "running" not in one.state:
            raise Problem(500, "InternalError", f'unable to upgrade connection: container not found ("{name}")')
        return one.process

    # --- The life -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live."""
        try:
            if self._schedule():
                self._began = now()
                self.report()
                self._set_deadline()
                if self._initialise():
                    self._run_main()
        finally:
            self.report()
        self._leaving.wait()
        self.kubelet.discard(self.pod)

    def _schedule(self) -> bool:
        while (why := self.kubelet.reason_to_wait(self.pod)) is not None:
            self._scheduled |= {"reason": "Unschedulable", "message": why, "lastTransitionTime": now()}
            self.kubelet.event(self.pod, "Warning", "FailedScheduling", why, component="default-scheduler")
            self.report()
            if self.ending.wait(self.kubelet.backoff):
                return False
        meta = self.pod["metadata"]
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to node1"
        self.kubelet.event(self.pod, "Normal", "Scheduled", text, component="default-scheduler")
        self._scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now()}
        return not self.ending.is_set()

    def _set_deadline(self) -> None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return
        text = "Pod was active on the node longer than the specified deadline"

        def watch() -> None:
            if not self.ending.wait(seconds) and not self._is_over():
                self.fail("DeadlineExceeded", text)

        threading.Thread(target=watch, name="deadline", daemon=True).start()

    def _is_over(self) -> bool:
        return all(one.exit_code is not None for one in self.main)

    def _initialise(self) -> bool:
        """Run the init containers one after the other; return whether all went well."""
        return all(one.cycle(self) for one in self.init)

    def _run_main(self) -> None:
        threads = [threading.Thread(target=one.cycle, args=(self,), daemon=True) for one in self.main]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # --- What it reports ------------------------------------------------------------------------------------------

    def _phase(self) -> str:
        if self._failure is not None:
            return "Failed"
        policy = self.pod["spec"]["restartPolicy"]
        if any(one.exit_code not in {None, 0} for one in self.init) and policy == "Never":
            return "Failed"
        codes = [one.exit_code for one in self.main]
        if all(code is not None for code in codes) and policy != "Always":
            failed = any(codes)
            return "Running" if failed and policy == "OnFailure" and not self.ending.is_set() else (
                "Failed" if failed else "Succeeded"
            )  # fmt: skip
        if any("waiting" in one.state and not one.last for one in self.main):
            return "Pending"
        return "Running"

    def report(self) -> None:
        """Write the status, as it is now, into the store."""
        with self.kubelet.store.changed, self.lock:
            status: Json = {"phase": self._phase(), "qosClass": "BestEffort"}
            if self._failure is not None:
                status |= {"reason": self._failure[0], "message": self._failure[1]}
            initialised = all(one.exit_code == 0 for one in self.init)
            ready = bool(self.main) and all(one.is_ready for one in self.main) and not self.ending.is_set()
            done = status["phase"] == "Succeeded"
            why = {"reason": "PodCompleted"} if done else {}
            status["conditions"] = [
                {"type": "Initialized", "status": str(initialised), "lastTransitionTime": self._began or now(), **why},
                {"type": "Ready", "status": str(ready), "lastTransitionTime": now(), **why},
                {"type": "ContainersReady", "status": str(ready), "lastTransitionTime": now(), **why},
                self._scheduled,
            ]
            if self._began is not None:
                status |= {"startTime": self._began, "hostIP": NODE_ADDRESS, "podIP": self.address}
                status["podIPs"] = [{"ip": self.address}]
                status["containerStatuses"] = [one.status() for one in self.main]
                if self.init:
                    status["initContainerStatuses"] = [one.status() for one in self.init]

            def write(copied: Json) -> None:
                copied["status"] = status
                if self._scheduled["status"] == "True":
                    copied["spec"]["nodeName"] = "node1"

            meta = self.pod["metadata"]
            current = self.kubelet.store.find(named("pods"), meta["namespace"], meta["name"])
            if current is not None and current["metadata"]["uid"] == meta["uid"]:
                self.kubelet.store.update(named("pods"), meta["namespace"], meta["name"], write)
