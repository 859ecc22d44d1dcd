"""Whole days up to the upload, in this process: where each begins, and what a repeated one changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from image_training import drawing, model
from windlass_aws.hooks import S3Hook
from windlass_testing import RunDag


@pytest.fixture
def images(s3: S3Hook) -> None:
    for name, content in drawing.images(10):
        s3.load_bytes(content, f"images/{name}", "pictures")


def run(run_dag: RunDag, day: int) -> Any:  # noqa: ANN401 - the result of a run
    not_deployed: dict[str, object] = {f"deploy.{step}": None for step in ("apply", "rolled_out", "predict")}
    result = run_dag(
        "image_training", logical_date=datetime(2026, 3, day, tzinfo=UTC),
        conf={"epochs": 1, "least_accuracy": 0.0}, fakes=not_deployed,
    )  # fmt: skip
    assert result.state == "success", [(task, result.log(task)) for task in result.states]
    return result


@pytest.mark.usefixtures("images")
def test_a_day_goes_on_from_the_day_before_and_a_repeated_one_makes_the_same_model(s3: S3Hook, run_dag: RunDag) -> None:
    first = run(run_dag, 1)
    assert "beginning with random weights" in first.log("fine_tune")
    assert "{'training': 24, 'validation': 6}" in first.log("preprocess")
    second = run(run_dag, 2)
    assert "beginning with weights/2026-03-01.pt" in second.log("fine_tune")
    again = run(run_dag, 2)
    assert again.xcom("upload") == second.xcom("upload") != first.xcom("upload")
    uploaded = [str(one.xcom("upload")).removeprefix("s3://pictures/") for one in (first, second)]
    assert s3.list_keys("pictures", "models/") == uploaded
    assert s3.list_keys("pictures", "weights/") == ["weights/2026-03-01.pt", "weights/2026-03-02.pt"]


@pytest.mark.usefixtures("images")
def test_the_first_day_begins_with_what_was_put_there(s3: S3Hook, run_dag: RunDag, tmp_path: Path) -> None:
    torch.save(model.ResNet18(1000).state_dict(), tmp_path / "imagenet.pth")
    s3.load_file(tmp_path / "imagenet.pth", "weights/0-imagenet.pth", "pictures")
    assert "beginning with weights/0-imagenet.pth" in run(run_dag, 1).log("fine_tune")
