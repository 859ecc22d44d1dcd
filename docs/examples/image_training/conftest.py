"""What the tests share, those that need torch and those that do not."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from windlass_aws.hooks import S3Hook
from windlass_testing import SetConnection, SetVariable
from windlass_testing.fakes.s3 import FakeS3

EXAMPLE = Path(__file__).parent
sys.path.insert(0, str(EXAMPLE / "src"))


@pytest.fixture(scope="session")
def dag_folder() -> Path:
    return EXAMPLE / "dags"


@pytest.fixture(autouse=True)
def _variables(variable: SetVariable) -> None:
    variable("training_bucket", "pictures")
    variable("training_image", "registry.example/image-training:1")


@pytest.fixture
def s3(fake_s3: FakeS3, connection: SetConnection) -> S3Hook:
    """A hook on an empty bucket `pictures`."""
    where = urlencode({"endpoint_url": fake_s3.url, "region_name": "us-east-1"})
    connection("aws_default", f"aws://a-key:a-secret@/?{where}")
    hook = S3Hook()
    hook.create_bucket("pictures")
    return hook
