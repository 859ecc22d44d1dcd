"""What the tests share, those that need torch and those that do not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from moto.server import ThreadedMotoServer

from windlass_aws.hooks import S3Hook
from windlass_testing import SetConnection, SetVariable

EXAMPLE = Path(__file__).parent
sys.path.insert(0, str(EXAMPLE / "src"))


@pytest.fixture(scope="session")
def dag_folder() -> Path:
    return EXAMPLE / "dags"


@pytest.fixture(autouse=True)
def _variables(variable: SetVariable) -> None:
    variable("training_bucket", "pictures")
    variable("training_image", "registry.example/image-training:1")


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def s3(s3_url: str, connection: SetConnection) -> Iterator[S3Hook]:
    """A hook on an empty bucket `pictures`."""
    where = urlencode({"endpoint_url": s3_url, "region_name": "us-east-1"})
    connection("aws_default", f"aws://a-key:a-secret@/?{where}")
    hook = S3Hook()
    hook.create_bucket("pictures")
    yield hook
    hook.delete_bucket("pictures", force_delete=True)
