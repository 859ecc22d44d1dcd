"""What every provider promises of its hooks, operators, sensors, triggers and secrets backends, here over AWS."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type; the suites declare the attributes
from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from windlass.backends import SecretsBackend
from windlass.errors import AuthoringError
from windlass_aws.artifacts import S3ArtifactStore
from windlass_aws.hooks import AwsGenericHook, S3Hook
from windlass_aws.logs import S3LogStore
from windlass_aws.operators import (
    S3CopyObjectOperator,
    S3CreateBucketOperator,
    S3CreateObjectOperator,
    S3DeleteBucketOperator,
    S3DeleteBucketTaggingOperator,
    S3DeleteObjectsOperator,
    S3GetBucketTaggingOperator,
    S3ListOperator,
    S3ListPrefixesOperator,
    S3PutBucketTaggingOperator,
)
from windlass_aws.secrets import SecretsManagerBackend, SystemsManagerParameterStoreBackend
from windlass_aws.sensors import S3KeySensor, S3KeysUnchangedSensor
from windlass_aws.transfers import LocalFilesystemToS3Operator, S3FileTransformOperator, S3ToLocalFilesystemOperator
from windlass_aws.triggers import S3KeysUnchangedTrigger, S3KeyTrigger
from windlass_testing import RunTask
from windlass_testing.conformance import (
    ArtifactStoreSuite,
    HookSuite,
    LogStoreSuite,
    OperatorSuite,
    SecretsBackendSuite,
    SensorSuite,
    TriggerSuite,
    deviation,
)
from windlass_testing.conformance.corpus import TEXTS

#: A port at which nobody listens, asked once.
DOWN: dict[str, Any] = {
    "conn_type": "aws",
    "login": "ada",
    "password": "x",
    "extra": {
        "endpoint_url": "http://127.0.0.1:1",
        "region_name": "us-east-1",
        "config_kwargs": {"retries": {"total_max_attempts": 1}, "connect_timeout": 1},
    },
}
BUCKET = "conformance"
KEY = "in/a.txt"


@pytest.fixture(scope="module")
def client(moto_url: str) -> Iterator[Any]:
    """A client of boto for S3, and the bucket of this module with an object in it."""
    made = boto3.client(
        "s3", endpoint_url=moto_url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    made.create_bucket(Bucket=BUCKET)
    made.put_object(Bucket=BUCKET, Key=KEY, Body=b"text")
    yield made
    made.close()


class Hook(HookSuite):
    @pytest.fixture
    def working_connection(self, moto_url: str, aws: Any) -> Any:
        return aws(moto_url)

    @pytest.fixture
    def failing_connection(self) -> Any:
        return DOWN


class TestS3Hook(Hook):
    hook_class = S3Hook

    def use(self, hook: Any) -> None:
        hook.check_for_bucket("conformance")


class TestAwsGenericHook(Hook):
    hook_class = AwsGenericHook
    arguments = {"client_type": "s3"}

    def use(self, hook: Any) -> None:
        works, message = hook.test_connection()
        if not works:
            raise RuntimeError(message)


class Operator(OperatorSuite):
    conn_id_argument = "aws_conn_id"

    @pytest.fixture
    def connections(self, client: Any, moto_url: str, aws: Any) -> Mapping[str, Any]:
        return {"aws_default": aws(moto_url)}

    @pytest.fixture
    def failing_connection(self) -> Any:
        return DOWN


class TestS3CreateBucketOperator(Operator):
    operator_class = S3CreateBucketOperator
    arguments = {"bucket_name": "conformance-new"}
    result = None


class TestS3DeleteBucketOperator(Operator):
    operator_class = S3DeleteBucketOperator
    arguments = {"bucket_name": "conformance-old"}
    result = None

    @pytest.fixture(autouse=True)
    def _old_bucket(self, client: Any) -> None:
        client.create_bucket(Bucket="conformance-old")  # again and again: in this region that is no error


class TestS3GetBucketTaggingOperator(Operator):
    operator_class = S3GetBucketTaggingOperator
    arguments = {"bucket_name": BUCKET}
    result = [{"Key": "team", "Value": "data"}]

    @pytest.fixture(autouse=True)
    def _tags(self, client: Any) -> Iterator[None]:
        client.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "team", "Value": "data"}]})
        yield
        client.delete_bucket_tagging(Bucket=BUCKET)


class TestS3PutBucketTaggingOperator(Operator):
    operator_class = S3PutBucketTaggingOperator
    arguments = {"bucket_name": BUCKET, "key": "team", "value": "data"}
    template_arguments = {"tag_set": {"key": None, "value": None}}
    result = None


class TestS3DeleteBucketTaggingOperator(Operator):
    operator_class = S3DeleteBucketTaggingOperator
    arguments = {"bucket_name": BUCKET}
    result = None


class TestS3DeleteObjectsOperator(Operator):
    operator_class = S3DeleteObjectsOperator
    arguments = {"bucket": BUCKET, "keys": ["old/a", "old/b"]}
    template_arguments = {name: {"keys": None} for name in ("prefix", "from_datetime", "to_datetime")}
    result = None


class TestS3CreateObjectOperator(Operator):
    operator_class = S3CreateObjectOperator
    arguments = {"s3_key": f"s3://{BUCKET}/made", "data": "text", "replace": True}
    result = None


class TestS3CopyObjectOperator(Operator):
    operator_class = S3CopyObjectOperator
    arguments = {
        "source_bucket_key": f"s3://{BUCKET}/{KEY}",
        "dest_bucket_key": "copied",
        "dest_bucket_name": BUCKET,
    }


class TestS3ListOperator(Operator):
    operator_class = S3ListOperator
    arguments = {"bucket": BUCKET, "prefix": "in/"}
    result = [KEY]


class TestS3ListPrefixesOperator(Operator):
    operator_class = S3ListPrefixesOperator
    arguments = {"bucket": BUCKET}
    result = ["in/"]


class TestLocalFilesystemToS3Operator(Operator):
    operator_class = LocalFilesystemToS3Operator
    arguments = {"filename": __file__, "dest_key": f"s3://{BUCKET}/file", "replace": True}


class TestS3ToLocalFilesystemOperator(Operator):
    operator_class = S3ToLocalFilesystemOperator
    arguments = {"s3_key": f"s3://{BUCKET}/{KEY}", "filename": "/tmp/windlass-conformance/down"}
    result = "/tmp/windlass-conformance/down"


class TestS3FileTransformOperator(Operator):
    operator_class = S3FileTransformOperator
    conn_id_argument = "source_aws_conn_id"
    arguments = {
        "source_s3_key": f"s3://{BUCKET}/{KEY}",
        "dest_s3_key": f"s3://{BUCKET}/transformed",
        "transform_script": "/bin/cp",
        "replace": True,
    }
    template_values = {"script_args": ["{{ params.conformance }}"]}

    @pytest.fixture
    def endless_arguments(self, tmp_path: Path) -> Mapping[str, Any]:
        self.pid_file = tmp_path / "pid"
        program = tmp_path / "program"
        program.write_text(
            f"#!{sys.executable}\n"
            "import os, subprocess, sys\n"
            "child = subprocess.Popen(['sleep', '600'])\n"
            f"open({str(tmp_path / 'draft')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
            f"os.rename({str(tmp_path / 'draft')!r}, {str(self.pid_file)!r})\n"
            "child.wait()\n"
        )
        program.chmod(0o700)
        return {"transform_script": str(program)}

    def is_at_work(self) -> bool:
        return self.pid_file.exists()

    def is_gone(self) -> bool:
        return not any(_lives(int(pid)) for pid in self.pid_file.read_text().split())


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class SensorOfS3(SensorSuite):
    """What the sensors have in common."""

    result = None
    conn_id_argument = "aws_conn_id"

    @pytest.fixture
    def connections(self, client: Any, moto_url: str, aws: Any) -> Mapping[str, Any]:
        return {"aws_default": aws(moto_url)}

    @pytest.fixture
    def failing_connection(self) -> Any:
        return DOWN


class TestS3KeySensor(SensorOfS3):
    operator_class = S3KeySensor
    arguments = {"bucket_key": KEY, "bucket_name": BUCKET}
    waiting_arguments = {"bucket_key": "never"}


class TestS3KeysUnchangedSensor(SensorOfS3):
    operator_class = S3KeysUnchangedSensor
    arguments = {"prefix": KEY, "bucket_name": BUCKET, "inactivity_period": 0}
    waiting_arguments = {"prefix": "never"}

    @deviation("a process that ends between two looks would forget what was there, so this mode is refused")
    def test_it_is_a_sensor(self) -> None:
        with pytest.raises(AuthoringError, match="would forget between two looks"):
            super().test_it_is_a_sensor()

    @deviation("the mode is refused")
    def test_between_two_pokes_it_can_give_its_slot_back(
        self, run_task: RunTask, connections: Mapping[str, Any]
    ) -> None:
        with pytest.raises(AuthoringError, match="would forget between two looks"):
            super().test_between_two_pokes_it_can_give_its_slot_back(run_task, connections)


class TriggerOfAKey(TriggerSuite):
    """What waits for a key that comes."""

    @pytest.fixture(autouse=True)
    def _client(self, client: Any) -> None:
        self.client = client
        self.key = uuid4().hex

    def make_it_fire(self) -> None:
        self.client.put_object(Bucket=BUCKET, Key=self.key, Body=b"x")

    @pytest.fixture
    def connections(self, client: Any, moto_url: str, aws: Any) -> dict[str, Any]:
        return {"aws_default": aws(moto_url)}


class TestS3KeyTrigger(TriggerOfAKey):
    trigger_class = S3KeyTrigger

    def waiting(self) -> S3KeyTrigger:
        return S3KeyTrigger([self.key], bucket_name=BUCKET, poke_interval=0.05)


class TestS3KeysUnchangedTrigger(TriggerOfAKey):
    trigger_class = S3KeysUnchangedTrigger

    def waiting(self) -> S3KeysUnchangedTrigger:
        return S3KeysUnchangedTrigger(self.key, bucket_name=BUCKET, inactivity_period=0, poke_interval=0.05)


class TestS3LogStore(LogStoreSuite):
    @pytest.fixture(autouse=True)
    def _place(self, hook: S3Hook, bucket: str) -> None:
        self.path = f"s3://{bucket}/logs"

    def make(self) -> S3LogStore:
        return S3LogStore(path=self.path)


class TestS3ArtifactStore(ArtifactStoreSuite):
    @pytest.fixture(autouse=True)
    def _place(self, hook: S3Hook, bucket: str) -> None:
        self.path = f"s3://{bucket}/artifacts"

    def make(self) -> S3ArtifactStore:
        return S3ArtifactStore(path=self.path)


class Backend(SecretsBackendSuite):
    backend_class: Any
    has_config = True
    credentials = ("a-secret-key", "wrong-secret-key")
    impossible_texts = {"": "AWS keeps no empty value"}

    @pytest.fixture(autouse=True)
    def _store(self, moto_url: str) -> Iterator[None]:
        self.keys = {
            "region_name": "us-east-1",
            "aws_access_key_id": "a",
            "aws_secret_access_key": "a-secret-key",
            "endpoint_url": moto_url,
        }
        self.prefix = f"/{uuid4().hex}"
        self.client = boto3.client(self.backend_class.service, **self.keys)
        yield
        self.client.close()

    def make(self, **more: Any) -> SecretsBackend:
        prefixes = {f"{kind}_prefix": f"{self.prefix}/{kind}" for kind in ("connections", "variables", "config")}
        made: SecretsBackend = self.backend_class(**{**self.keys, **prefixes, **more})
        return made

    def unusable(self) -> Mapping[str, SecretsBackend]:
        once = {"retries": {"total_max_attempts": 1}}
        down = "http://127.0.0.1:1"
        return {
            "down": self.make(endpoint_url=down, aws_secret_access_key="wrong-secret-key", config_kwargs=once),
            "nobody": self.make(aws_access_key_id=None, aws_secret_access_key=None),
        }

    def put(self, name: str, text: str) -> None:
        raise NotImplementedError

    def put_connection(self, conn_id: str, text: str) -> None:
        self.put(f"connections/{conn_id}", text)

    def put_variable(self, key: str, text: str) -> None:
        self.put(f"variables/{key}", text)

    def put_config(self, key: str, text: str) -> None:
        self.put(f"config/{key}", text)


class TestSecretsManagerBackend(Backend):
    backend_class = SecretsManagerBackend

    def put(self, name: str, text: str) -> None:
        try:
            self.client.create_secret(Name=f"{self.prefix}/{name}", SecretString=text)
        except self.client.exceptions.ResourceExistsException:
            self.client.put_secret_value(SecretId=f"{self.prefix}/{name}", SecretString=text)


class TestSystemsManagerParameterStoreBackend(Backend):
    backend_class = SystemsManagerParameterStoreBackend
    impossible_texts = {
        **Backend.impossible_texts,
        **{text: "a parameter of the standard tier holds 4 KB at most" for text in TEXTS if len(text) > 4096},
    }

    def put(self, name: str, text: str) -> None:
        self.client.put_parameter(Name=f"{self.prefix}/{name}", Value=text, Type="SecureString", Overwrite=True)
