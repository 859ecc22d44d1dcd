"""One pod's life, in a thread of its own: scheduled, started, restarted, ended, and reported at every step."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from windlass_testing.fakes.kubernetes.mounts import ConfigMissing, Mounts, expand, relocate
from windlass_testing.fakes.kubernetes.problems import Problem, bad_request
from windlass_testing.fakes.kubernetes.processes import Log, Process, stamp
from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.store import now

if TYPE_CHECKING:
    from pathlib import Path

    from windlass_testing.fakes.kubernetes.kubelet import Kubelet

Json = dict[str, Any]

_FOREVER: Final = ["sleep", "2147483647"]


class Container:
    """The state of one container: what its status says, its process, its logs."""

    def __init__(self, spec: Json, *, is_init: bool) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.is_init = is_init
        self.state: Json = {"waiting": {"reason": "PodInitializing" if is_init else "ContainerCreating"}}
        self.last: Json = {}
        self.restarts = 0
        self.is_ready = False
        self.process: Process | None = None
        self.logs: list[Log] = []
        self.env: dict[str, str] = {}
        self.paths: dict[str, str] = {}
        self.home: Path | None = None

    @property
    def field(self) -> str:
        """How events name it."""
        return f"spec.{'initContainers' if self.is_init else 'containers'}{{{self.name}}}"

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it has not ended."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    def status(self) -> Json:
        """Return its entry among the container statuses."""
        status: Json = {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": "",
            "ready": self.is_ready,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
            "started": "running" in self.state,
        }
        if self.process is not None:
            status["containerID"] = f"process://{self.process.pid}"
        return status


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
        self.mounts = Mounts(
            kubelet.store, pod, kubelet.folder / "pods" / pod["metadata"]["uid"], kubelet.claims()
        )  # fmt: skip
        self._lock = threading.RLock()
        self._leaving = threading.Event()  # it is being deleted
        self._end = threading.Event()  # its containers are to end, for this or another reason
        self._grace = 0
        self._grace_changed = threading.Event()
        self._failure: tuple[str, str] | None = None
        self._scheduled: Json = {"type": "PodScheduled", "status": "False"}
        self._began: str | None = None

    # --- From outside ---------------------------------------------------------------------------------------------

    def stop(self, grace: int) -> None:
        """End the containers, because the pod is being deleted; called again, the shorter grace period counts."""
        with self._lock:
            self._grace = min(grace, self._grace) if self._leaving.is_set() else grace
            self._leaving.set()
            self._end.set()
            self._grace_changed.set()

    def fail(self, reason: str, message: str) -> None:
        """End the containers, because the pod has failed as a whole."""
        with self._lock:
            self._failure = self._failure or (reason, message)
            self._end.set()
            self._grace_changed.set()
        self.kubelet.event(self.pod, "Warning", reason, message, component="kubelet")

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
        with self._lock:
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
                self._report()
                self._set_deadline()
                if self._initialise():
                    self._run_main()
        finally:
            self._report()
        self._leaving.wait()
        self.kubelet.discard(self.pod)

    def _schedule(self) -> bool:
        while (why := self.kubelet.reason_to_wait(self.pod)) is not None:
            self._scheduled |= {"reason": "Unschedulable", "message": why, "lastTransitionTime": now()}
            self.kubelet.event(self.pod, "Warning", "FailedScheduling", why, component="default-scheduler")
            self._report()
            if self._end.wait(self.kubelet.backoff):
                return False
        meta = self.pod["metadata"]
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to node1"
        self.kubelet.event(self.pod, "Normal", "Scheduled", text, component="default-scheduler")
        self._scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now()}
        return not self._end.is_set()

    def _set_deadline(self) -> None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return
        text = "Pod was active on the node longer than the specified deadline"

        def watch() -> None:
            if not self._end.wait(seconds) and not self._is_over():
                self.fail("DeadlineExceeded", text)

        threading.Thread(target=watch, name="deadline", daemon=True).start()

    def _is_over(self) -> bool:
        return all(one.exit_code is not None for one in self.main)

    def _initialise(self) -> bool:
        """Run the init containers one after the other; return whether all went well."""
        return all(self._cycle(one) for one in self.init)

    def _run_main(self) -> None:
        threads = [threading.Thread(target=self._cycle, args=(one,), daemon=True) for one in self.main]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _cycle(self, one: Container) -> bool:
        """Run a container, again as the restart policy says; return whether it ended well and for good."""
        policy = self.pod["spec"]["restartPolicy"]
        while self._start(one):
            code = self._await(one)
            if self._end.is_set():
                return False
            again = code != 0 if one.is_init or policy == "OnFailure" else policy == "Always"
            if not again or policy == "Never":
                return code == 0
            self.kubelet.event(
                self.pod, "Warning", "BackOff", "Back-off restarting failed container", component="kubelet",
                field=one.field,
            )  # fmt: skip
            with self._lock:
                one.last = one.state
                one.restarts += 1
                text = f"back-off restarting failed container={one.name} pod={self.pod['metadata']['name']}"
                one.state = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
            self._report()
            if self._end.wait(self.kubelet.backoff):
                return False
        return False

    def _start(self, one: Container) -> bool:
        """Start a container; return False if the pod ended before that was possible, or it cannot be started."""
        image = one.spec["image"]
        while self.kubelet.cannot_pull(image):
            why = f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": not found'
            text = f'Failed to pull image "{image}": {why}'
            self.kubelet.event(self.pod, "Warning", "Failed", text, component="kubelet", field=one.field)
            if self._waits(one, "ErrImagePull", why):
                return False
            text = f'Back-off pulling image "{image}"'
            self.kubelet.event(self.pod, "Normal", "BackOff", text, component="kubelet", field=one.field)
            if self._waits(one, "ImagePullBackOff", text):
                return False
        while True:
            try:
                one.home, one.paths = self.mounts.prepare(one.spec)
                one.env = self.mounts.environment(one.spec, one.home, one.paths)
                break
            except ConfigMissing as error:
                self.kubelet.event(
                    self.pod, "Warning", "Failed", f"Error: {error}", component="kubelet", field=one.field
                )  # fmt: skip
                if self._waits(one, "CreateContainerConfigError", str(error)):
                    return False
        text = f'Container image "{image}" already present on machine'
        self.kubelet.event(self.pod, "Normal", "Pulled", text, component="kubelet", field=one.field)
        return self._launch(one)

    def _waits(self, one: Container, reason: str, message: str) -> bool:
        """Let a container wait; return whether the pod is to end."""
        with self._lock:
            one.state = {"waiting": {"reason": reason, "message": message}}
        self._report()
        return self._end.wait(self.kubelet.backoff)

    def _launch(self, one: Container) -> bool:
        from windlass_testing.fakes.kubernetes.kubelet import quantity

        command = [*(one.spec.get("command") or []), *(one.spec.get("args") or [])]
        command = command or self.kubelet.images.get(one.spec["image"]) or _FOREVER
        arguments = [relocate(expand(part, one.env), one.paths) for part in command]
        limit = ((one.spec.get("resources") or {}).get("limits") or {}).get("memory")
        log = Log()
        assert one.home is not None  # noqa: S101 - prepared
        memory = None if limit is None else int(quantity(limit))
        with self._lock:
            one.logs = [*one.logs[-1:], log]
        try:
            process = Process(arguments, one.env, one.home, memory, log)
        except OSError as error:
            log.end()
            what = "executable file not found in $PATH" if isinstance(error, FileNotFoundError) else error.strerror
            text = f'failed to create containerd task: exec: "{arguments[0]}": {what}: unknown'
            with self._lock:
                one.state = {"terminated": {"exitCode": 128, "reason": "StartError", "message": text,
                                            "startedAt": "1970-01-01T00:00:00Z", "finishedAt": now()}}  # fmt: skip
            self.kubelet.event(self.pod, "Warning", "Failed", f"Error: {text}", component="kubelet", field=one.field)
            self._report()
            return True
        with self._lock:
            one.process = process
            one.state = {"running": {"startedAt": stamp(process.started)[:19] + "Z"}}
            one.is_ready = not one.is_init and "readinessProbe" not in one.spec
        text = f"Started container {one.name}"
        self.kubelet.event(self.pod, "Normal", "Started", text, component="kubelet", field=one.field)
        self._report()
        if "readinessProbe" in one.spec:
            threading.Thread(target=self._probe, args=(one, process), daemon=True).start()
        return True

    def _probe(self, one: Container, process: Process) -> None:
        """Ask a container whether it is ready; only ``exec`` probes are really asked."""
        import subprocess

        probe = one.spec["readinessProbe"]
        if self._end.wait(probe.get("initialDelaySeconds", 0)):
            return
        command = [relocate(part, one.paths) for part in (probe.get("exec") or {}).get("command") or ["true"]]
        while one.process is process and "running" in one.state and not self._end.is_set():
            done = subprocess.run(command, env=one.env, cwd=one.home, capture_output=True, check=False)
            with self._lock:
                changed = one.is_ready is not (done.returncode == 0)
                one.is_ready = done.returncode == 0 and "running" in one.state
            if changed:
                self._report()
            if self._end.wait(probe.get("periodSeconds", 10) if one.is_ready else 0.05):
                return

    def _await(self, one: Container) -> int:
        """Wait for the end of a container, or end it when the pod is to end; return its exit code."""
        process = one.process
        if process is None or "terminated" in one.state:
            return one.exit_code or 0
        waiter: dict[str, int | None] = {}

        def wait() -> None:
            waiter["code"] = process.wait()
            done.set()

        done = threading.Event()
        thread = threading.Thread(target=wait, name="container-wait", daemon=True)
        thread.start()
        threading.Thread(target=self._enforce_end, args=(process, done), daemon=True).start()
        done.wait()
        code = waiter["code"] or 0
        process.log.end()
        reason = "OOMKilled" if process.was_out_of_memory else "Completed" if code == 0 else "Error"
        ended: Json = {
            "exitCode": code,
            "reason": reason,
            "startedAt": stamp(process.started)[:19] + "Z",
            "finishedAt": now(),
            "containerID": f"process://{process.pid}",
        }
        if message := self._message(one):
            ended["message"] = message
        with self._lock:
            one.state = {"terminated": ended}
            one.is_ready = False
        self._report()
        return code

    def _message(self, one: Container) -> str:
        assert one.home is not None  # noqa: S101 - it has run
        file = one.home / ".termination-log"
        return file.read_text("utf-8", "replace")[:4096] if file.exists() else ""

    def _enforce_end(self, process: Process, done: threading.Event) -> None:
        """When the pod is to end, ask the process, and after the grace period end it."""
        while not self._end.wait(0.5):
            if done.is_set():
                return
        process.terminate()
        since = time.monotonic()
        while not done.is_set():
            with self._lock:
                grace = self._grace if self._leaving.is_set() else self.pod["spec"]["terminationGracePeriodSeconds"]
                self._grace_changed.clear()
            left = since + grace - time.monotonic()
            if left <= 0:
                process.kill()
                return
            if not done.wait(min(left, 0.05)):
                continue

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
            return "Running" if failed and policy == "OnFailure" and not self._end.is_set() else (
                "Failed" if failed else "Succeeded"
            )  # fmt: skip
        if any("waiting" in one.state and not one.last for one in self.main):
            return "Pending"
        return "Running"

    def _report(self) -> None:
        """Write the status, as it is now, into the store."""
        with self.kubelet.store.changed, self._lock:
            status: Json = {"phase": self._phase(), "qosClass": "BestEffort"}
            if self._failure is not None:
                status |= {"reason": self._failure[0], "message": self._failure[1]}
            initialised = all(one.exit_code == 0 for one in self.init)
            ready = bool(self.main) and all(one.is_ready for one in self.main) and not self._end.is_set()
            done = status["phase"] == "Succeeded"
            why = {"reason": "PodCompleted"} if done else {}
            status["conditions"] = [
                {"type": "Initialized", "status": str(initialised), "lastTransitionTime": self._began or now(), **why},
                {"type": "Ready", "status": str(ready), "lastTransitionTime": now(), **why},
                {"type": "ContainersReady", "status": str(ready), "lastTransitionTime": now(), **why},
                self._scheduled,
            ]
            if self._began is not None:
                status |= {"startTime": self._began, "hostIP": "127.0.0.1", "podIP": "127.0.0.1"}
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
