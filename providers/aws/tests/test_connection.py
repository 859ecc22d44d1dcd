"""What a connection of type ``aws`` may say, whose identity comes of it, and how failures read."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import json
import re
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG, task
from windlass.errors import ConfigError, ConnectionNotDefined
from windlass.hooks import Connection
from windlass_aws.failures import AwsConfigError, AwsError
from windlass_aws.hooks import AwsBaseHook, AwsGenericHook, S3Hook
from windlass_aws.settings import AwsSettings
from windlass_testing import RunTask


def settings(**fields: Any) -> AwsSettings:
    return AwsSettings.from_connection(Connection("lake", "aws", **fields))


# --- Fields


def test_every_field_is_read() -> None:
    read = settings(
        login="id",
        password="secret",
        extra={
            "aws_session_token": "token",
            "region_name": "eu-west-1",
            "profile_name": "work",
            "endpoint_url": "http://all",
            "role_arn": "arn:aws:iam::1:role/r",
            "external_id": "ext",
            "assume_role_kwargs": {"DurationSeconds": 900},
            "verify": "/ca.pem",
            "config_kwargs": {"read_timeout": 5},
            "service_config": {"s3": {"endpoint_url": "http://s3", "config_kwargs": {"read_timeout": 9}}},
        },
    )
    assert (read.access_key, read.secret_key, read.session_token) == ("id", "secret", "token")
    assert read.assume_role_kwargs == {"DurationSeconds": 900, "ExternalId": "ext"}
    assert read.verify == "/ca.pem"
    assert read.service("s3").endpoint_url == "http://s3"
    assert read.service("s3").config_kwargs == {"read_timeout": 9}
    assert read.service("sts").endpoint_url == "http://all"
    assert "secret" not in repr(read)
    assert "token" not in repr(read).replace("web_identity_token_file", "")


def test_a_uri_can_say_it_all_too() -> None:
    config = json.dumps({"retries": {"mode": "standard"}})
    from urllib.parse import quote

    uri = f"aws://id:se%2Fcret@/?region_name=eu-west-1&verify=false&config_kwargs={quote(config)}"
    read = AwsSettings.from_connection(Connection.from_uri("lake", uri))
    assert (read.secret_key, read.region_name, read.verify) == ("se/cret", "eu-west-1", False)
    assert read.config_kwargs == {"retries": {"mode": "standard"}}


def test_how_a_request_is_tried_again_has_fields_of_its_own() -> None:
    from windlass_aws.session import make_config

    config = make_config(settings(extra={"max_attempts": 2, "retry_mode": "adaptive"}).config_kwargs)
    assert config.retries == {"mode": "adaptive", "total_max_attempts": 2}
    by_uri = AwsSettings.from_connection(Connection.from_uri("lake", "aws://@/?max_attempts=5"))
    assert by_uri.config_kwargs == {"retries": {"total_max_attempts": 5}}
    assert settings(extra={"config_kwargs": {"read_timeout": 5}, "max_attempts": ""}).config_kwargs == {
        "read_timeout": 5
    }


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"login": "id"}, "only one half of an access key"),
        ({"extra": {"config_kwargs": {"read_timeuot": 5}}}, "config_kwargs may not hold 'read_timeuot'; did you mean"),
        ({"extra": {"config_kwargs": "5"}}, "config_kwargs must be a JSON object"),
        ({"extra": {"config_kwargs": "not json"}}, "config_kwargs must be a JSON object"),
        ({"extra": {"assume_role_kwargs": {"RoleArn": "x"}, "role_arn": "y"}}, "may not hold 'RoleArn'"),
        ({"extra": {"external_id": "x"}}, "give its ARN as role_arn"),
        ({"extra": {"role_arn": "x", "assume_role_method": "saml"}}, "assume_role_method is none of assume_role,"),
        (
            {"extra": {"role_arn": "x", "assume_role_method": "assume_role_with_web_identity"}},
            "web_identity_token_file",
        ),
        ({"extra": {"region_name": 5}}, "region_name must be a text"),
        ({"extra": {"max_attempts": 0}}, "max_attempts must be a whole number of at least 1"),
        ({"extra": {"max_attempts": True}}, "max_attempts must be a whole number of at least 1"),
        ({"extra": {"max_attempts": "many"}}, "max_attempts must be a whole number of at least 1"),
        ({"extra": {"retry_mode": "often"}}, "retry_mode is none of legacy, standard, adaptive"),
        ({"extra": {"retry_mode": "legacy", "config_kwargs": {"retries": {}}}}, "says twice how a request is tried"),
        ({"extra": {"verify": 5}}, "verify must be true, false, or the path"),
        ({"extra": {"service_config": {"s3": "http://x"}}}, "service_config.s3 must be a JSON object"),
        ({"extra": {"service_config": {"s3": {"endpoint": "x"}}}}, "did you mean endpoint_url?"),
        ({"extra": {"service_config": {"s3": {"bucket_name": 5}}}}, "service_config.s3.bucket_name must be a text"),
        ({"extra": {"service_config": {"s3": {"config_kwargs": {"x": 1}}}}}, "may not hold 'x'"),
        ({"extra": {"service_config": {"s3": {"config_kwargs": [1]}}}}, "config_kwargs must be a JSON object"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match="connection `lake`") as caught:
        settings(**fields)
    assert sentence in str(caught.value)


def test_what_this_botocore_is_too_old_for_is_named() -> None:
    import botocore

    from windlass_aws.session import KNOWN_ARGUMENTS, make_config
    from windlass_aws.settings import CONFIG_ARGUMENTS

    known = sorted(CONFIG_ARGUMENTS & KNOWN_ARGUMENTS)
    assert len(known) > 20
    too_new = sorted({*CONFIG_ARGUMENTS, "of_the_future"} - KNOWN_ARGUMENTS)
    message = f"botocore {botocore.__version__} cannot be configured with {', '.join(too_new)}"
    with pytest.raises(ConfigError, match=f"{re.escape(message)}; correct the name, or `pip install --upgrade boto3`"):
        make_config(dict.fromkeys([*known, *too_new]))


# --- Identity


def test_only_the_default_connection_may_be_missing(monkeypatch: pytest.MonkeyPatch, connection: Any) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert S3Hook().get_credentials().access_key == "from-environment"
    assert S3Hook(None).get_credentials().access_key == "from-environment"
    assert S3Hook(aws_conn_id=None).identity == "the identity of this machine"
    with pytest.raises(ConnectionNotDefined):
        S3Hook("other").get_conn()


def test_keys_of_the_connection_win_over_those_of_the_machine(monkeypatch: pytest.MonkeyPatch, connection: Any) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    connection("lake", conn_type="aws", login="own", password="y", extra={"aws_session_token": "t"})
    found = S3Hook("lake").get_credentials()
    assert (found.access_key, found.secret_key, found.token) == ("own", "y", "t")


def test_credentials_that_a_task_asks_for_are_hidden_in_its_log(run_task: RunTask) -> None:
    with DAG("showing", schedule=None):

        @task
        def show() -> str:
            found = S3Hook("lake").get_credentials()
            print("key", found.secret_key, "token", found.token)  # noqa: T201 - as an author would
            return str(found.secret_key)

        made = show()
    extra = {"aws_session_token": "session/token"}
    lake = {"conn_type": "aws", "login": "own", "password": "secret/key", "extra": extra}
    done = run_task(made.operator, connections={"lake": lake})
    assert "key *** token ***" in done.log
    assert done.result == "secret/key"


def test_a_profile_gives_keys_and_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connection: Any) -> None:
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = of-work\naws_secret_access_key = y\n")
    (tmp_path / "config").write_text("[profile work]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    connection("lake", "aws://?profile_name=work")
    hook = S3Hook("lake")
    assert hook.get_credentials().access_key == "of-work"
    assert hook.conn_region_name == "eu-north-1"
    connection("lake", "aws://?profile_name=play")
    with pytest.raises(AwsConfigError, match="connection `lake`: its profile is not in this machine's AWS config"):
        S3Hook("lake").get_conn()


def test_arguments_win_over_the_connection(connection: Any) -> None:
    connection("lake", "aws://a:b@?region_name=eu-west-1&config_kwargs=%7B%22read_timeout%22%3A5%7D")
    hook = S3Hook("lake", region_name="eu-north-1", config={"read_timeout": 7, "signature_version": "unsigned"})
    assert hook.conn_region_name == "eu-north-1"
    assert hook.get_conn().meta.config.read_timeout == 7
    assert S3Hook("lake").get_conn().meta.config.read_timeout == 5
    assert S3Hook("lake").get_conn().meta.config.connect_timeout == 10


def test_the_client_is_made_once_per_hook(hook: S3Hook) -> None:
    assert hook.get_conn() is hook.get_conn()


def test_a_generic_hook_serves_any_service(moto_url: str, connection: Any, aws: Any) -> None:
    connection("aws_default", **aws(moto_url))
    assert AwsBaseHook(client_type="sqs").get_conn().meta.service_model.service_name == "sqs"
    assert AwsGenericHook(resource_type="dynamodb").get_conn().meta.service_name == "dynamodb"
    assert AwsGenericHook().get_client_type("sns").meta.region_name == "us-east-1"
    with pytest.raises(TypeError, match="client_type"):
        AwsGenericHook().get_conn()


def _calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each request to STS."""
    import botocore.httpsession

    calls: list[str] = []
    send = botocore.httpsession.URLLib3Session.send

    def counted(self: Any, request: Any) -> Any:
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
        calls.extend(
            part for part in body.split("&") if part.startswith(("Action=", "ExternalId=", "RoleSessionName="))
        )
        return send(self, request)

    monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", counted)
    return calls


def test_a_role_is_assumed_and_renewed_before_it_expires(
    moto_url: str, connection: Any, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _calls(monkeypatch)
    role = {"role_arn": "arn:aws:iam::123456789012:role/reader", "external_id": "ext"}
    connection("lake", **aws(moto_url, **role, assume_role_kwargs={"DurationSeconds": 3600}))
    hook = S3Hook("lake")
    hook.get_conn().list_buckets()
    hook.get_conn().list_buckets()
    assert calls == ["Action=AssumeRole", "RoleSessionName=windlass", "ExternalId=ext"]
    identity = hook.get_client_type("sts").get_caller_identity()["Arn"]
    assert identity.endswith(":assumed-role/reader/windlass")
    # Fifteen minutes before the end botocore renews; credentials for just that long are renewed at once.
    calls.clear()
    connection("lake", **aws(moto_url, **role, assume_role_kwargs={"DurationSeconds": 900}))
    hook = S3Hook("lake")
    hook.get_conn().list_buckets()
    first = hook.session.get_credentials().get_frozen_credentials()
    hook.get_conn().list_buckets()
    assert calls.count("Action=AssumeRole") >= 2
    assert hook.session.get_credentials().get_frozen_credentials() != first


def test_a_web_identity_is_read_from_its_file(
    moto_url: str, connection: Any, aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _calls(monkeypatch)
    token = tmp_path / "token"
    token.write_text("eyJ-a-token-of-a-cluster")
    fields = aws(
        moto_url,
        role_arn="arn:aws:iam::123456789012:role/pod",
        assume_role_method="assume_role_with_web_identity",
        web_identity_token_file=str(token),
    )
    connection("lake", **{**fields, "login": None, "password": None})
    S3Hook("lake").get_conn().list_buckets()
    assert calls[0] == "Action=AssumeRoleWithWebIdentity"


# --- Failures


def test_no_credentials_are_a_sentence_with_the_remedy(connection: Any, moto_url: str) -> None:
    connection("lake", conn_type="aws", extra={"endpoint_url": moto_url})
    with pytest.raises(AwsConfigError, match="no credentials come from connection `lake`; set login and password"):
        S3Hook("lake").read_key("k", "b")
    with pytest.raises(AwsConfigError, match="no credentials come from the identity of this machine"):
        S3Hook(None).get_credentials()


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        ("403 Forbidden", "AccessDenied", "access is denied; give that identity the permission it needs"),
        ("403 Forbidden", "InvalidAccessKeyId", "the access key is not known; correct the login"),
        ("403 Forbidden", "SignatureDoesNotMatch", "the secret key does not fit the access key; correct the password"),
        ("400 Bad Request", "ExpiredToken", "the session token has expired; renew it"),
        ("404 Not Found", "NoSuchBucket", "the bucket does not exist; create it"),
        ("400 Bad Request", "StrangeCode", "the service answered StrangeCode, HTTP status 400"),
    ],
)
def test_a_refusal_is_a_sentence_with_connection_object_and_remedy(
    proxy: Any, connection: Any, aws: Any, refusal: Any, status: str, code: str, sentence: str
) -> None:
    proxy.answers.append(refusal(status, code))
    connection("lake", **aws(proxy.url, config_kwargs={"retries": {"total_max_attempts": 1}}))
    with pytest.raises(AwsError) as caught:
        S3Hook("lake").read_key("k", "b")
    assert "s3://b/k through connection `lake`" in str(caught.value)
    assert sentence in str(caught.value)
    assert caught.value.aws_code == code
    assert "secret" not in str(caught.value).replace("the secret key", "").replace("the secret", "")


def test_an_endpoint_that_is_down_is_named(connection: Any, aws: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    retries = {"retries": {"total_max_attempts": 1}}
    connection("lake", **aws(f"http://127.0.0.1:{port}", config_kwargs=retries))
    with pytest.raises(AwsError, match=rf"the endpoint http://127.0.0.1:{port} cannot be reached; check endpoint_url"):
        S3Hook("lake").check_for_key("k", "b")


def test_a_server_that_throttles_is_asked_again(
    proxy: Any, connection: Any, aws: Any, refusal: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    proxy.answers += [refusal("503 Slow Down", "SlowDown")] * 2
    connection("lake", **aws(proxy.url))
    S3Hook("lake").load_string("x", "k", bucket)
    assert S3Hook("lake").read_key("k", bucket) == "x"
    proxy.answers += [refusal("503 Slow Down", "SlowDown")] * 10
    with pytest.raises(AwsError, match="asks for fewer requests, after all retries"):
        S3Hook("lake").read_key("k", bucket)


def test_a_server_that_says_nothing_runs_into_the_time_limit(connection: Any, aws: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        config = {"read_timeout": 0.2, "retries": {"total_max_attempts": 1}}
        connection("lake", **aws(f"http://127.0.0.1:{mute.getsockname()[1]}", config_kwargs=config))
        with pytest.raises(AwsError, match=r"the connection to the endpoint .* broke; run the task again"):
            S3Hook("lake").check_for_key("k", "b")


def test_a_download_that_breaks_goes_on(proxy: Any, connection: Any, aws: Any, bucket: str, tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192
    connection("lake", **aws(proxy.url))
    S3Hook("lake").load_bytes(data, "k", bucket)
    hook = S3Hook("lake")
    hook.check_for_key("k", bucket)
    hook.get_conn().close()
    proxy.cuts += [1_000_000, 1_500_000]
    target = tmp_path / "f"
    hook = S3Hook("lake")
    hook.download_to("k", bucket, target)
    assert target.read_bytes() == data
    assert proxy.cuts == []


def test_a_download_that_keeps_breaking_is_an_error_and_leaves_nothing(
    proxy: Any, connection: Any, aws: Any, bucket: str, tmp_path: Path
) -> None:
    connection("lake", **aws(proxy.url))
    S3Hook("lake").load_bytes(b"x" * (1 << 20), "k", bucket)
    target = tmp_path / "f"
    target.write_text("before")
    proxy.cuts += [100_000] * 40
    with pytest.raises(AwsError, match=r"the connection to the endpoint broke|cannot be reached"):
        S3Hook("lake").download_to("k", bucket, target)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert target.read_text() == "before"


def test_a_stream_that_breaks_goes_on_where_it_was(proxy: Any, connection: Any, aws: Any, bucket: str) -> None:
    data = bytes(range(256)) * 16384  # 4 MiB
    connection("lake", **aws(proxy.url))
    S3Hook("lake").load_bytes(data, "k", bucket)
    proxy.cuts += [1 << 20, 2 << 20, 100]
    with S3Hook("lake").open_key("k", bucket) as source:
        assert source.read() == data
        assert proxy.cuts == []
        source.seek(-10, 2)
        assert source.read() == data[-10:]
        source.seek(1_000_000)
        assert source.read(5) == data[1_000_000:1_000_005]
        assert source.tell() == 1_000_005
        with pytest.raises(ValueError, match="before the beginning"):
            source.seek(-1)


def test_a_stream_that_keeps_breaking_is_an_error_and_never_a_shorter_text(
    proxy: Any, connection: Any, aws: Any, bucket: str
) -> None:
    connection("lake", **aws(proxy.url))
    S3Hook("lake").load_bytes(b"x" * (4 << 20), "k", bucket)
    proxy.cuts += [2 << 20] + [10] * 100
    with pytest.raises(AwsError, match=rf"reading s3://{bucket}/k through connection `lake`: .* (broke|reached)"):
        S3Hook("lake").read_key("k", bucket)


def test_an_object_that_is_written_anew_is_never_mixed_with_what_was_read(
    proxy: Any, connection: Any, aws: Any, bucket: str
) -> None:
    connection("lake", **aws(proxy.url))
    S3Hook("lake").load_bytes(b"x" * (4 << 20), "k", bucket)
    proxy.cuts.append(2 << 20)
    with S3Hook("lake").open_key("k", bucket) as source:
        assert source.read(10) == b"x" * 10
        S3Hook("lake").load_bytes(b"y" * (4 << 20), "k", bucket, replace=True)
        with pytest.raises(AwsError, match="it was changed meanwhile"):
            source.read()


# --- The connection's own test


def test_a_connection_says_whether_it_works(moto_url: str, connection: Any, aws: Any, proxy: Any, refusal: Any) -> None:
    connection("lake", **aws(moto_url))
    works, message = AwsGenericHook("lake").test_connection()
    assert works
    assert message.startswith("the endpoint accepts the credentials")
    proxy.answers.append(refusal("403 Forbidden", "InvalidAccessKeyId"))
    connection("lake", **aws(proxy.url))
    works, message = AwsGenericHook("lake").test_connection()
    assert (works, "the access key is not known" in message) == (False, True)


def test_without_an_endpoint_sts_says_whose_the_credentials_are(
    moto_url: str, connection: Any, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_url)
    connection("lake", conn_type="aws", login="a", password="b")
    works, message = AwsGenericHook("lake").test_connection()
    assert works, message
    assert message.startswith("the credentials are those of arn:aws:")


# --- Imports


@pytest.mark.budget
def test_a_dag_file_with_operators_and_sensors_loads_no_sdk() -> None:
    import subprocess

    code = (
        "from windlass import DAG\n"
        "from windlass_aws.operators import S3ListOperator\n"
        "from windlass_aws.transfers import LocalFilesystemToS3Operator\n"
        "from windlass_aws.sensors import S3KeySensor\n"
        "import windlass_aws.hooks, windlass_aws.triggers, windlass_aws.secrets, windlass_aws.artifacts\n"
        "with DAG('d', schedule=None):\n"
        "    S3KeySensor(task_id='w', bucket_key='s3://b/k') >> S3ListOperator(task_id='l', bucket='b')\n"
        "import sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"boto3", "botocore", "s3transfer"} & set(done.stdout.split())


def test_one_hook_serves_several_threads(hook: S3Hook, bucket: str) -> None:
    hook.load_string("x", "k", bucket)
    read: list[str] = []
    threads = [threading.Thread(target=lambda: read.append(hook.read_key("k", bucket))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == ["x"] * 8
