"""The manifest of windlass-aws."""

from __future__ import annotations

from windlass.plugin import ConnectionField, ConnectionType, Provider, hookimpl

_OPERATORS = (
    "S3CopyObjectOperator",
    "S3CreateBucketOperator",
    "S3CreateObjectOperator",
    "S3DeleteBucketOperator",
    "S3DeleteBucketTaggingOperator",
    "S3DeleteObjectsOperator",
    "S3GetBucketTaggingOperator",
    "S3ListOperator",
    "S3ListPrefixesOperator",
    "S3PutBucketTaggingOperator",
)
_TRANSFERS = ("LocalFilesystemToS3Operator", "S3FileTransformOperator", "S3ToLocalFilesystemOperator")

_AWS = ConnectionType(
    conn_type="aws",
    label="Amazon Web Services",
    hook="windlass_aws.hooks:AwsGenericHook",
    description="Keys, a profile or a role; with none of them boto looks for credentials on the machine.",
    fields=(
        ConnectionField(name="login", label="Access key ID"),
        ConnectionField(name="password", label="Secret access key", secret=True),
        ConnectionField(name="aws_session_token", description="Of temporary credentials.", secret=True),
        ConnectionField(name="region_name", description="Such as eu-central-1."),
        ConnectionField(name="endpoint_url", description="Of everything, for a store that speaks S3."),
        ConnectionField(name="profile_name", description="A profile in the AWS configuration of the machine."),
        ConnectionField(name="role_arn", description="A role to assume; its credentials renew themselves."),
        ConnectionField(
            name="assume_role_method",
            description="How the role is assumed: with keys, or with a token of a web identity.",
            choices=("assume_role", "assume_role_with_web_identity"),
            default="assume_role",
        ),
        ConnectionField(name="external_id", description="What the role demands of whoever assumes it."),
        ConnectionField(
            name="assume_role_kwargs", kind="json", description="DurationSeconds, RoleSessionName, Policy and so on."
        ),
        ConnectionField(
            name="web_identity_token_file", description="The token's path, for assume_role_with_web_identity."
        ),
        ConnectionField(name="verify", description="false, or the path of a file with certificates of authorities."),
        ConnectionField(
            name="max_attempts", kind="int", description="How often a request is tried in all; boto's own number else."
        ),
        ConnectionField(
            name="retry_mode",
            description="How it is tried again; boto's own way else.",
            choices=("legacy", "standard", "adaptive"),
        ),
        ConnectionField(name="config_kwargs", kind="json", description="Arguments of botocore's Config."),
        ConnectionField(
            name="service_config",
            kind="json",
            description='Per service, {"s3": {"endpoint_url": …, "bucket_name": …, "region_name": …}}.',
        ),
    ),
)


@hookimpl
def windlass_provider() -> Provider:
    """Return what this distribution brings."""
    return Provider(
        name="aws",
        description="Use Amazon S3, Secrets Manager and the Parameter Store from Windlass.",
        connection_types=(_AWS,),
        hooks={name: f"windlass_aws.hooks:{name}" for name in ("AwsBaseHook", "AwsGenericHook", "S3Hook")},
        operators={
            **{name: f"windlass_aws.operators:{name}" for name in _OPERATORS},
            **{name: f"windlass_aws.transfers:{name}" for name in _TRANSFERS},
        },
        sensors={name: f"windlass_aws.sensors:{name}" for name in ("S3KeySensor", "S3KeysUnchangedSensor")},
        triggers={
            f"windlass_aws.triggers.{name}": f"windlass_aws.triggers:{name}"
            for name in ("S3KeyTrigger", "S3KeysUnchangedTrigger")
        },
        artifact_stores={"s3": "windlass_aws.artifacts:S3ArtifactStore"},
        log_stores={"s3": "windlass_aws.logs:S3LogStore"},
        secrets_backends={
            "SecretsManagerBackend": "windlass_aws.secrets:SecretsManagerBackend",
            "SystemsManagerParameterStoreBackend": "windlass_aws.secrets:SystemsManagerParameterStoreBackend",
        },
    )
