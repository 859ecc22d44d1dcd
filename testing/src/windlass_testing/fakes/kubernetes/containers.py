"""One container of a pod: started, probed, awaited, started again, and what its status says meanwhile."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from windlass_testing.fakes.kubernetes.mounts import ConfigMissing, expand, relocate
from windlass_testing.fakes.kubernetes.network import answers
from windlass_testing.fakes.kubernetes.processes import Log, Process, stamp
from windlass_testing.fakes.kubernetes.store import now

if TYPE_CHECKING:
    from pathlib import Path

    from windlass_testing.fakes.kubernetes.pods import PodRun

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

    # --- Its life: `host` is the pod that it belongs to

    def cycle(self, host: PodRun) -> bool:
        """Run it, again as the restart policy says; return whether it ended well and for good."""
        policy = host.pod["spec"]["restartPolicy"]
        while self._start(host):
            code = self._await(host)
            if host.ending.is_set():
                return False
            again = code != 0 if self.is_init or policy == "OnFailure" else policy == "Always"
            if not again or policy == "Never":
                return code == 0
            host.kubelet.event(
                host.pod, "Warning", "BackOff", "Back-off restarting failed container", component="kubelet",
                field=self.field,
            )  # fmt: skip
            with host.lock:
                self.last = self.state
                self.restarts += 1
                text = f"back-off restarting failed container={self.name} pod={host.pod['metadata']['name']}"
                self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
            host.report()
            if host.ending.wait(host.kubelet.backoff):
                return False
        return False

    def _start(self, host: PodRun) -> bool:
        """Start a container; return False if the pod ended before that was possible, or it cannot be started."""
        image = self.spec["image"]
        while host.kubelet.cannot_pull(image):
            why = f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": not found'
            text = f'Failed to pull image "{image}": {why}'
            host.kubelet.event(host.pod, "Warning", "Failed", text, component="kubelet", field=self.field)
            if self._waits(host, "ErrImagePull", why):
                return False
            text = f'Back-off pulling image "{image}"'
            host.kubelet.event(host.pod, "Normal", "BackOff", text, component="kubelet", field=self.field)
            if self._waits(host, "ImagePullBackOff", text):
                return False
        while True:
            try:
                self.home, self.paths = host.mounts.prepare(self.spec)
                self.env = host.mounts.environment(self.spec, self.home, self.paths)
                break
            except ConfigMissing as error:
                host.kubelet.event(
                    host.pod, "Warning", "Failed", f"Error: {error}", component="kubelet", field=self.field
                )  # fmt: skip
                if self._waits(host, "CreateContainerConfigError", str(error)):
                    return False
        text = f'Container image "{image}" already present on machine'
        host.kubelet.event(host.pod, "Normal", "Pulled", text, component="kubelet", field=self.field)
        return self._launch(host)

    def _waits(self, host: PodRun, reason: str, message: str) -> bool:
        """Let a container wait; return whether the pod is to end."""
        with host.lock:
            self.state = {"waiting": {"reason": reason, "message": message}}
        host.report()
        return host.ending.wait(host.kubelet.backoff)

    def _launch(self, host: PodRun) -> bool:
        from windlass_testing.fakes.kubernetes.kubelet import quantity

        command = [*(self.spec.get("command") or []), *(self.spec.get("args") or [])]
        command = command or host.kubelet.images.get(self.spec["image"]) or _FOREVER
        arguments = [relocate(expand(part, self.env), self.paths) for part in command]
        limit = ((self.spec.get("resources") or {}).get("limits") or {}).get("memory")
        log = Log()
        assert self.home is not None  # noqa: S101 - prepared
        memory = None if limit is None else int(quantity(limit))
        with host.lock:
            self.logs = [*self.logs[-1:], log]
        try:
            process = Process(arguments, self.env, self.home, memory, log)
        except OSError as error:
            log.end()
            what = "executable file not found in $PATH" if isinstance(error, FileNotFoundError) else error.strerror
            text = f'failed to create containerd task: exec: "{arguments[0]}": {what}: unknown'
            with host.lock:
                self.state = {"terminated": {"exitCode": 128, "reason": "StartError", "message": text,
                                            "startedAt": "1970-01-01T00:00:00Z", "finishedAt": now()}}  # fmt: skip
            host.kubelet.event(host.pod, "Warning", "Failed", f"Error: {text}", component="kubelet", field=self.field)
            host.report()
            return True
        with host.lock:
            self.process = process
            self.state = {"running": {"startedAt": stamp(process.started)[:19] + "Z"}}
            self.is_ready = not self.is_init and "readinessProbe" not in self.spec
        text = f"Started container {self.name}"
        host.kubelet.event(host.pod, "Normal", "Started", text, component="kubelet", field=self.field)
        host.report()
        if "readinessProbe" in self.spec:
            threading.Thread(target=self._probe, args=(host, process), daemon=True).start()
        return True

    def _probe(self, host: PodRun, process: Process) -> None:
        """Ask a container whether it is ready, again and again; a ``grpc`` probe counts as answered."""
        probe = self.spec["readinessProbe"]
        if host.ending.wait(probe.get("initialDelaySeconds", 0)):
            return
        while self.process is process and "running" in self.state and not host.ending.is_set():
            is_ready = self._answers(probe, host.address)
            with host.lock:
                changed = self.is_ready is not is_ready
                self.is_ready = is_ready and "running" in self.state
            if changed:
                host.report()
            if host.ending.wait(probe.get("periodSeconds", 10) if self.is_ready else 0.05):
                return

    def _answers(self, probe: Json, address: str) -> bool:
        if "httpGet" in probe or "tcpSocket" in probe:
            return answers(probe, self.spec, address)
        command = [relocate(part, self.paths) for part in (probe.get("exec") or {}).get("command") or ["true"]]
        done = subprocess.run(command, env=self.env, cwd=self.home, capture_output=True, check=False)
        return done.returncode == 0

    def _await(self, host: PodRun) -> int:
        """Wait for the end of a container, or end it when the pod is to end; return its exit code."""
        process = self.process
        if process is None or "terminated" in self.state:
            return self.exit_code or 0
        done = threading.Event()
        threading.Thread(target=self._enforce_end, args=(host, process, done), daemon=True).start()
        code = process.wait() or 0
        done.set()
        process.log.end()
        reason = "OOMKilled" if process.was_out_of_memory else "Completed" if code == 0 else "Error"
        ended: Json = {
            "exitCode": code,
            "reason": reason,
            "startedAt": stamp(process.started)[:19] + "Z",
            "finishedAt": now(),
            "containerID": f"process://{process.pid}",
        }
        if message := self._message():
            ended["message"] = message
        with host.lock:
            self.state = {"terminated": ended}
            self.is_ready = False
        host.report()
        return code

    def _message(self) -> str:
        assert self.home is not None  # noqa: S101 - it has run
        file = self.home / ".termination-log"
        return file.read_text("utf-8", "replace")[:4096] if file.exists() else ""

    def _enforce_end(self, host: PodRun, process: Process, done: threading.Event) -> None:
        """When the pod is to end, ask the process, and after the grace period end it."""
        while not host.ending.wait(0.5):
            if done.is_set():
                return
        process.terminate()
        since = time.monotonic()
        while not done.is_set():
            left = since + host.grace() - time.monotonic()
            if left <= 0:
                process.kill()
                return
            done.wait(min(left, 0.05))
