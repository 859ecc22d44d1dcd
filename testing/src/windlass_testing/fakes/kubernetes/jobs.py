"""The controller of jobs."""

from __future__ import annotations

import copy
from typing import Any

from windlass_testing.fakes.kubernetes.controller import Controller, age, condition, is_leaving, restarts
from windlass_testing.fakes.kubernetes.resources import named
from windlass_testing.fakes.kubernetes.store import now

Json = dict[str, Any]


class JobController(Controller):
    """Runs as many pods as a job wants, until enough have succeeded or too many have failed."""

    def reconcile(self, job: Json) -> None:
        """Start pods, count them, and say when the job is done."""
        spec, status = job["spec"], copy.deepcopy(job["status"])
        if any(one["type"] in {"Complete", "Failed"} for one in status.get("conditions") or []):
            self._expire(job)
            return
        pods = self._owned(job, "pods")
        active = [pod for pod in pods if pod["status"]["phase"] in {"Pending", "Running"} and not is_leaving(pod)]
        succeeded = sum(pod["status"]["phase"] == "Succeeded" for pod in pods)
        failed = sum(pod["status"]["phase"] == "Failed" for pod in pods)
        failed += (
            sum(restarts(pod) for pod in active) if spec["template"]["spec"]["restartPolicy"] == "OnFailure" else 0
        )
        if not spec.get("suspend"):
            status.setdefault("startTime", now())
        status |= {"active": len(active), "succeeded": succeeded, "failed": failed}
        verdict = self._job_verdict(spec, status, active)
        if verdict is not None:
            kind, reason, message = verdict
            if kind == "Failed":
                for pod in active:
                    self._delete(pod)
                self.note(job, reason, message)
            else:
                status["completionTime"] = now()
            status["active"] = 0
            status["conditions"] = [condition(kind, "True", reason, message)]
        elif spec.get("suspend"):
            for pod in active:
                self._delete(pod)
            status["active"] = 0
        else:
            wanted = spec["parallelism"]
            if spec.get("completions") is not None:
                wanted = min(wanted, spec["completions"] - succeeded)
            elif succeeded:
                wanted = 0
            for _ in range(wanted - len(active)):
                self._job_pod(job)
                status["active"] += 1
        self._status(job, "jobs", {key: value for key, value in status.items() if value not in (0, None)})

    def _job_verdict(self, spec: Json, status: Json, active: list[Json]) -> tuple[str, str, str] | None:
        if status["failed"] > spec["backoffLimit"]:
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        deadline = spec.get("activeDeadlineSeconds")
        if deadline is not None and "startTime" in status and age(status["startTime"]) >= deadline:
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        if spec.get("completions") is not None:
            return ("Complete", "", "") if status["succeeded"] >= spec["completions"] else None
        return ("Complete", "", "") if status["succeeded"] and not active else None

    def _job_pod(self, job: Json) -> None:
        meta, template = job["metadata"], copy.deepcopy(job["spec"]["template"])
        labels = {"job-name": meta["name"], "controller-uid": meta["uid"]}
        annotations = {}
        if job["spec"].get("completionMode") == "Indexed":
            taken = {
                (pod["metadata"].get("annotations") or {}).get("batch.kubernetes.io/job-completion-index")
                for pod in self._owned(job, "pods")
                if pod["status"]["phase"] != "Failed"
            }
            index = next(str(n) for n in range(job["spec"]["completions"]) if str(n) not in taken)
            annotations["batch.kubernetes.io/job-completion-index"] = index
            for container in template["spec"]["containers"]:
                container["env"] = [*(container.get("env") or []), {"name": "JOB_COMPLETION_INDEX", "value": index}]
        self._pod(job, template, labels, annotations)

    def _expire(self, job: Json) -> None:
        seconds, meta = job["spec"].get("ttlSecondsAfterFinished"), job["metadata"]
        if seconds is None:
            return
        ended = job["status"]["conditions"][0]["lastTransitionTime"]
        if age(ended) >= seconds:
            self.store.delete(named("jobs"), meta["namespace"], meta["name"], propagation="Background", grace=0)
