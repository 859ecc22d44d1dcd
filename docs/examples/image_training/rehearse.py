"""Run the pipeline on two days, on this machine: S3 is a fake, and a fake cluster runs its pods as processes.

``nox -s example`` of Windlass's repository calls it; the README says what it needs. The fakes are told to nobody: the
DAG and the server find them where they would find AWS and a cluster, in the environment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import boto3

from image_training import drawing
from windlass_testing.fakes.kubernetes import FakeKubernetes
from windlass_testing.fakes.s3 import FakeS3
from windlass_testing.live import LiveInstallation

EXAMPLE = Path(__file__).parent
BUCKET, DAG, REGION = "pictures", "image_training", "us-east-1"
KEY, SECRET = "an-access-key", "a-secret-key"
#: Seconds for one run. A task that fails would be tried again after an hour, which nobody waits for.
PATIENCE = 900.0

Json = dict[str, Any]


def identity(s3_url: str) -> dict[str, str]:
    """Return the environment in which boto3 finds the store."""
    return {
        "AWS_ENDPOINT_URL": s3_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


def settings(s3_url: str, kubeconfig: Path) -> dict[str, str]:
    """Return what the installation finds in its environment: as on a real machine, only the addresses differ."""
    s3 = urlencode({"endpoint_url": s3_url, "region_name": REGION})
    cluster = urlencode({"kube_config_path": kubeconfig, "namespace": "default"})
    return {
        "WINDLASS_CONN_AWS_DEFAULT": f"aws://{KEY}:{SECRET}@/?{s3}",
        "WINDLASS_CONN_KUBERNETES_DEFAULT": f"kubernetes://?{cluster}",
        "WINDLASS_VAR_TRAINING_BUCKET": BUCKET,
        "WINDLASS_VAR_TRAINING_IMAGE": "registry.example/image-training:1",
        "WINDLASS__ARTIFACTS__STORE": "s3",
        "WINDLASS__ARTIFACTS__PATH": f"s3://{BUCKET}/windlass",
        "WINDLASS__ARTIFACTS__CONN_ID": "aws_default",
        "WINDLASS__CORE__DAGS_FOLDER": str(EXAMPLE / "dags"),
        "WINDLASS__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
    }


def finished(live: LiveInstallation, run_id: str) -> None:
    """Wait until a run has succeeded; end with the log of the first task that has not."""
    deadline = time.monotonic() + PATIENCE
    while (run := live.run(DAG, run_id))["state"] != "success":
        bad = [one for one in run["tasks"] if one["state"] in {"failed", "up_for_retry"}]
        if bad:
            log = live.windlass("tasks", "logs", DAG, bad[0]["task_id"], run_id)
            sys.exit(f"{bad[0]['task_id']} of {run_id} failed:\n{log}")
        if time.monotonic() > deadline:
            sys.exit(f"{run_id} has not ended after {PATIENCE:.0f} s: {run}\n{live.logs()}")
        time.sleep(2)


def ask(cluster: FakeKubernetes, path: str, body: bytes | None = None) -> Json:
    """Ask the deployed process over HTTP, from outside, as ``kubectl get --raw`` does."""
    service = f"{cluster.url}/api/v1/namespaces/default/services/{DAG.replace('_', '-')}:http/proxy"
    with urlopen(Request(service + path, body, {"Content-Type": "image/png"}), timeout=60) as response:  # noqa: S310
        found: Json = json.load(response)
    return found


def deployed(cluster: FakeKubernetes) -> list[Json]:
    """Return the pods that are not being deleted."""
    with urlopen(f"{cluster.url}/api/v1/namespaces/default/pods", timeout=60) as response:  # noqa: S310
        pods: list[Json] = json.load(response)["items"]
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def look(cluster: FakeKubernetes, run: Json, seconds: float) -> Json:
    """Ask about images that the model has never seen, and return a row of the table."""
    about = ask(cluster, "/healthz")
    unseen = list(drawing.images(10, seed=1))
    right = 0
    for name, content in unseen:
        answer = ask(cluster, "/predict", content)
        right += name.startswith(answer["class"] + "/")
        if answer["model"] != about["model"] or abs(sum(answer["probabilities"].values()) - 1) > 1e-3:
            sys.exit(f"this is no prediction of {about['model']}: {answer}")
    [pod] = deployed(cluster)
    return {
        "day": about["day"],
        "began with": about["began"],
        "accuracy": f"{about['accuracy']:.1%}",
        "unseen, over HTTP": f"{right} of {len(unseen)}",
        "model": about["model"].rpartition("/")[2],
        "pod": pod["metadata"]["name"],
        "run": run["run_type"],
        "seconds": f"{seconds:.0f}",
    }


def rehearse(folder: Path, count: int) -> list[Json]:
    """Run the pipeline by its schedule, and by hand for the next day; return a row for each."""
    with FakeS3() as store, FakeKubernetes() as cluster:
        s3 = boto3.client(
            "s3", endpoint_url=store.url, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET
        )
        s3.create_bucket(Bucket=BUCKET)
        drawn = [sys.executable, str(EXAMPLE / "make_images.py"), f"s3://{BUCKET}/images", "--count", str(count)]
        subprocess.run(drawn, env={"PATH": "", **identity(store.url)}, check=True)
        secret = {"metadata": {"name": "image-training-s3"}, "stringData": identity(store.url)}
        body = json.dumps(secret).encode()
        urlopen(Request(f"{cluster.url}/api/v1/namespaces/default/secrets", body), timeout=60).close()  # noqa: S310
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(cluster.kubeconfig()))
        live = LiveInstallation(folder)
        live.environ |= settings(store.url, kubeconfig)
        with contextlib.closing(live):
            live.start()
            live.wait_for_dag(DAG)
            live.wait(lambda: live.json("runs", "list", DAG), "the run of the last whole day")
            rows = []
            for day in ("yesterday", "today"):
                began = time.monotonic()
                if day == "today":
                    today = datetime.now(UTC).date().isoformat()
                    live.windlass("dags", "trigger", DAG, "--logical-date", today)
                run = live.json("runs", "list", DAG)[0]
                finished(live, run["run_id"])
                rows.append(look(cluster, run, time.monotonic() - began))
        first, second = rows
        checks = {
            "the first day must begin with random weights": first["began with"] == "random weights",
            "the second day must go on from the first": second["began with"] == f"weights/{first['day']}.pt",
            "the new model must replace the old one": first["model"] != second["model"],
            "a new pod must replace the old one": first["pod"] != second["pod"],
            "most answers must be right": all(int(row["unseen, over HTTP"].split()[0]) >= 20 for row in rows),
        }
        for what, holds in checks.items():
            if not holds:
                sys.exit(f"{what}: {json.dumps(rows, indent=2)}")
        return rows


def main() -> None:
    """Rehearse and print a table."""
    parser = argparse.ArgumentParser(description="Run the example on two days, against fakes.")
    parser.add_argument("--count", type=int, default=100, help="images of each shape (default: %(default)s)")
    chosen = parser.parse_args()
    # The `python` of the pods' image is this one: it has the library.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    # Not below a long path: the sockets of a home have short names.
    with tempfile.TemporaryDirectory(prefix="windlass-example-") as folder:
        rows = rehearse(Path(folder), chosen.count)
    for name in rows[0]:
        print(f"{name:>18}  " + "  ".join(f"{row[name]:<36}" for row in rows).rstrip())


if __name__ == "__main__":
    main()
