"""Every day: read images, preprocess them, fine-tune a ResNet, upload the model, and serve it on Kubernetes.

Files go from task to task as artifacts, so each task may run on another machine. Libraries are imported where they are
used: the file parses in milliseconds, without torch.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from windlass import Artifact, Artifacts, Param, dag, task, task_group
from windlass.errors import TaskFailed
from windlass_kubernetes.operators import KubernetesApplyResourceOperator
from windlass_kubernetes.sensors import KubernetesDeploymentRolloutSensor

BUCKET = "{{ var.value.training_bucket }}"
#: Where trainings begin: each day's model, by its day, and what sorts before them, such as `0-imagenet.pth`.
WEIGHTS = "weights/"
SERVICE = "image-training"
SERVING = Path(__file__).with_name("serving.yaml").read_text("utf-8")


@task
def read_images(bucket: str, artifacts: Artifacts) -> Artifact:
    """Fetch every image, in a folder by its class, and hand them over as one archive."""
    from image_training import images
    from windlass_aws.hooks import S3Hook

    with TemporaryDirectory() as folder:
        S3Hook().sync_to_local_dir(bucket, f"{folder}/images", s3_prefix="images/")
        archive = Path(folder, "images.zip")
        count = images.pack(Path(folder, "images"), archive)
        if not count:
            raise TaskFailed(f"there are no images below s3://{bucket}/images/: upload some, as <class>/<name>.png")
        print(f"{count} images")
        return artifacts.put(archive)


@task
def preprocess(archive: Artifact, artifacts: Artifacts) -> Artifact:
    """Turn the images into tensors, and keep some back to judge by."""
    import torch

    from image_training import images

    with TemporaryDirectory() as folder:
        data = images.dataset(dict(images.unpack(artifacts.get(archive, folder))))
        file = Path(folder, "dataset.pt")
        torch.save(data, file)
        sizes = {part: len(data[part]["labels"]) for part in ("training", "validation")}
        print(f"{', '.join(data['classes'])}: {sizes}")
        return artifacts.put(file)


@task(multiple_outputs=True)
def fine_tune(
    dataset: Artifact, bucket: str, params: dict[str, Any], ds: str, artifacts: Artifacts
) -> dict[str, Artifact | float]:
    """Go on from the last weights before this day, or from random ones, and judge what comes of it."""
    import torch

    from image_training import model, training
    from windlass_aws.hooks import S3Hook

    with TemporaryDirectory() as folder:
        s3, weights, began = S3Hook(), None, "random weights"
        if earlier := [key for key in s3.list_keys(bucket, WEIGHTS) if key < f"{WEIGHTS}{ds}"]:
            began = max(earlier)
            weights, _ = model.load(s3.download_file(began, bucket, folder))
        print(f"beginning with {began}")
        data = torch.load(artifacts.get(dataset, folder), weights_only=True)
        trained, accuracy = training.fine_tune(data, weights, epochs=params["epochs"])
        file = Path(folder, "model.pt")
        model.save(trained, str(file), classes=data["classes"], accuracy=accuracy, began=began, day=ds)
        return {"model": artifacts.put(file), "accuracy": accuracy}


@task
def upload(
    trained: Artifact, accuracy: float, bucket: str, params: dict[str, Any], ds: str, artifacts: Artifacts
) -> str:
    """Put a model that is good enough into the bucket, for serving and for the next day, and return its address."""
    from windlass_aws.hooks import S3Hook

    if accuracy < params["least_accuracy"]:
        raise TaskFailed(
            f"the model is right about {accuracy:.1%} of the images kept back, and {params['least_accuracy']:.1%} are "
            "wanted: it is not uploaded; look at the images, or raise the param epochs"
        )
    s3, key = S3Hook(), f"models/{ds}/{trained.digest[:12]}.pt"
    with TemporaryDirectory() as folder:
        s3.load_file(artifacts.get(trained, folder), key, bucket, replace=True)
    s3.copy_object(key, f"{WEIGHTS}{ds}.pt", bucket, bucket)
    return f"s3://{bucket}/{key}"


@task
def predict(model: str, bucket: str) -> dict[str, str]:
    """Ask the deployed process what is on the first image of each class."""
    from windlass_aws.hooks import S3Hook
    from windlass_kubernetes.hook import KubernetesHook

    s3, cluster, found = S3Hook(), KubernetesHook(), {}
    for prefix in s3.list_prefixes(bucket, "images/", "/"):
        [key] = s3.list_keys(bucket, prefix, max_items=1)
        image = b"".join(s3.iter_bytes(key, bucket))
        said = cluster.ask_service(
            SERVICE, "/predict", port="http", body=image, content_type="image/png", is_repeatable=True
        )
        answer = json.loads(said)
        if answer["model"] != model:
            raise RuntimeError(f"{SERVICE} answers for {answer['model']}, not for {model}: look at its pods")
        found[key] = answer["class"]
        print(f"{key}: {answer['class']} ({answer['probabilities'][answer['class']]:.1%})")
    return found


@task_group
def deploy(model: str) -> None:
    """Let the cluster serve the model, wait until it does, and see that it answers."""
    apply = KubernetesApplyResourceOperator(task_id="apply", yaml_conf=SERVING)
    rolled_out = KubernetesDeploymentRolloutSensor(
        task_id="rolled_out", name=SERVICE, deferrable=True, poke_interval=5, timeout=600
    )
    apply >> rolled_out >> predict(model, BUCKET)


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(hours=1)},
    params={
        "epochs": Param(8, type="integer", minimum=1),
        "least_accuracy": Param(0.8, type="number", minimum=0, maximum=1),
    },
    tags=["example"],
)
def image_training() -> None:
    dataset = preprocess(read_images(BUCKET))
    trained = fine_tune(dataset, BUCKET)
    model = upload(trained["model"], trained["accuracy"], BUCKET)
    model >> deploy(model)


image_training()
