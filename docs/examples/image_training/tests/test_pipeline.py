"""The DAG without torch: its graph and settings, the gate, what is deployed, and the parsing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_training import drawing
from windlass_aws.hooks import S3Hook
from windlass_kubernetes.hook import KubernetesHook
from windlass_testing import DagBag, RunDag, RunTask
from windlass_testing.fakes.kubernetes import FakeKubernetes

EXAMPLE = Path(__file__).parents[1]
MODEL = "s3://pictures/models/2026-03-01/0123456789ab.pt"


def test_it_is_a_daily_dag_that_forgives_once_after_an_hour(dag_bag: DagBag) -> None:
    dag = dag_bag["image_training"]
    assert (dag.schedule, dag.catchup, dag.max_active_runs) == ("@daily", False, 1)
    for task in dag.tasks:
        assert (task.retries, task.retry_delay) == (1, timedelta(hours=1)), task.task_id


def test_five_steps_follow_one_another(dag_bag: DagBag) -> None:
    tasks = dag_bag["image_training"].task_dict
    path = ["read_images", "preprocess", "fine_tune", "upload", "deploy.apply", "deploy.rolled_out", "deploy.predict"]
    assert sorted(tasks) == sorted(path)
    for before, after in pairwise(path):
        assert after in tasks[before].downstream_task_ids


def test_it_parses_without_torch(tmp_path: Path) -> None:
    code = "import sys, pipeline; print(sorted({'torch', 'PIL', 'boto3', 'kubernetes'} & set(sys.modules)))"
    paths = os.pathsep.join([str(EXAMPLE / "dags"), str(EXAMPLE / "src")])
    environ = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_images_are_handed_over_in_one_archive(s3: S3Hook, run_task: RunTask, dag_bag: DagBag) -> None:
    for name, content in drawing.images(2):
        s3.load_bytes(content, f"images/{name}", "pictures")
    task = dag_bag["image_training"].get_task("read_images")
    first, second = run_task(task), run_task(task)
    assert first.state == "success", first.log
    assert "6 images" in first.log
    assert first.result == second.result, "the same images are the same archive"
    assert first.result.name == "images.zip"


def test_an_empty_bucket_is_nothing_to_learn_from(s3: S3Hook, run_task: RunTask, dag_bag: DagBag) -> None:
    result = run_task(dag_bag["image_training"].get_task("read_images"))
    assert result.state == "failed"
    assert result.reason == (
        "TaskFailed: there are no images below s3://pictures/images/: upload some, as <class>/<name>.png"
    )


def test_a_model_that_is_not_good_enough_is_not_uploaded_and_not_tried_again(s3: S3Hook, run_dag: RunDag) -> None:
    bad = {"model": None, "accuracy": 0.4}
    result = run_dag("image_training", fakes={"read_images": None, "preprocess": None, "fine_tune": bad})
    refused = result.task("upload")
    assert refused.try_number == 1
    assert "the model is right about 40.0% of the images kept back, and 80.0% are wanted" in refused.reason
    assert result.states["deploy.apply"] == "upstream_failed"
    assert s3.list_keys("pictures") == []


def test_the_gate_is_a_param(s3: S3Hook, run_dag: RunDag) -> None:
    result = run_dag(
        "image_training", conf={"least_accuracy": 0.99},
        fakes={"read_images": None, "preprocess": None, "fine_tune": {"model": None, "accuracy": 0.98}},
    )  # fmt: skip
    assert "and 99.0% are wanted" in result.task("upload").reason


def test_the_cluster_is_told_which_image_and_which_model(
    fake_kubernetes: FakeKubernetes, run_task: RunTask, dag_bag: DagBag
) -> None:
    task = dag_bag["image_training"].get_task("deploy.apply")
    cluster = {"conn_type": "kubernetes", "host": fake_kubernetes.url}
    result = run_task(task, xcoms={"upload": MODEL}, connections={"kubernetes_default": cluster})
    deployment, service = yaml.safe_load_all(result.rendered["yaml_conf"])
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/image-training:1"
    assert container["args"][:2] == ["--model", MODEL]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]


def test_a_service_that_still_has_the_old_model_fails_the_last_step(
    s3: S3Hook, run_task: RunTask, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in drawing.images(2):
        s3.load_bytes(content, f"images/{name}", "pictures")
    asked: list[tuple[Any, ...]] = []

    def answer(self: KubernetesHook, *args: Any, body: bytes, **more: Any) -> bytes:
        asked.append((*args, body))
        return json.dumps({"model": MODEL, "class": "circle", "probabilities": {"circle": 0.9}}).encode()

    monkeypatch.setattr(KubernetesHook, "ask_service", answer)
    task = dag_bag["image_training"].get_task("deploy.predict")
    result = run_task(task, xcoms={"upload": MODEL})
    assert result.result == {f"images/{shape}/0000.png": "circle" for shape in drawing.SHAPES}
    assert asked == [("image-training", "/predict", content) for _, content in list(drawing.images(2))[::2]]
    old = run_task(task, xcoms={"upload": "s3://pictures/models/new.pt"})
    assert old.reason is not None
    assert f"image-training answers for {MODEL}, not for s3://pictures/models/new.pt" in old.reason
