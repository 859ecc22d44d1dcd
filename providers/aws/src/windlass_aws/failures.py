"""Failures of AWS as one sentence each: which connection, which object, why, and what to do.

botocore raises one class, ``ClientError``, for whatever a service answers; what matters is the code inside it. Its
message may quote what was sent, so only the code, and for other exceptions the type, is passed on; the exception keeps
both as attributes for programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from windlass.errors import ConfigError, NotFound, WindlassError


class AwsError(WindlassError):
    """AWS refused, failed or could not be reached. ``aws_code`` is its own code, such as ``AccessDenied``."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "aws"

    def __init__(self, message: str, aws_code: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.aws_code = aws_code
        #: The HTTP status, None where there was no answer.
        self.status = status


class AwsNotFound(AwsError, NotFound):
    """A bucket, key, secret or parameter is not there."""

    exit_code: ClassVar[int] = 4
    code: ClassVar[str] = "not-found"


class AwsConfigError(AwsError, ConfigError):
    """The connection says too little or something wrong: no credentials, no region, an unknown profile."""

    exit_code: ClassVar[int] = 2
    code: ClassVar[str] = "config"


_MISSING: Final = {
    "NoSuchBucket": "the bucket does not exist; create it, or correct its name",
    "NoSuchKey": "the key does not exist; correct it, or run what writes it first",
    "NoSuchVersion": "this version of the key does not exist",
    "NoSuchTagSet": "the bucket has no tags",
    "NoSuchUpload": "the multipart upload was aborted meanwhile; run the task again",
    "ResourceNotFoundException": "there is no such secret",
    "ParameterNotFound": "there is no such parameter",
    "404": "it does not exist, or in a private bucket may not be listed; correct the name",
}
_REFUSED: Final = {
    "AccessDenied": "access is denied; give that identity the permission it needs",
    "AccessDeniedException": "access is denied; give that identity the permission it needs",
    "AllAccessDisabled": "access is disabled for the account or the bucket",
    "403": "access is denied; give that identity the permission it needs",
    "InvalidAccessKeyId": "the access key is not known; correct the login, its ID",
    "InvalidClientTokenId": "the access key is not known; correct the login, its ID",
    "UnrecognizedClientException": "the access key is not known; correct the login, its ID",
    "SignatureDoesNotMatch": "the secret key does not fit the access key; correct the password, the secret",
    "ExpiredToken": "the session token has expired; renew it, or let the connection assume a role",
    "ExpiredTokenException": "the session token has expired; renew it, or let the connection assume a role",
    "InvalidToken": "the session token is not valid; correct aws_session_token",
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
}
_BUSY: Final = frozenset(
    {
        "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "503",
        "ServiceUnavailable", "RequestThrottled", "BandwidthLimitExceeded", "429",
    }
)  # fmt: skip
_OTHER: Final = {
    "BucketNotEmpty": "the bucket is not empty; delete its objects first, or use force_delete=True",
    "BucketAlreadyExists": "another account owns a bucket of this name; choose another name",
    "BucketAlreadyOwnedByYou": "the bucket exists already",
    "PermanentRedirect": "the bucket lies in another region; correct region_name",
    "AuthorizationHeaderMalformed": "the bucket lies in another region; correct region_name",
    "IllegalLocationConstraintException": "the bucket cannot lie there from this endpoint; correct region_name",
    "InvalidObjectState": "the object is archived; restore it first",
    "EntityTooLarge": "it is too large for one request",
    "KeyTooLongError": "the key is longer than 1,024 bytes",
    "InvalidBucketName": "this is no valid name of a bucket",
    "PreconditionFailed": "it was changed meanwhile",
}


def who(conn_id: str | None) -> str:
    """Return what to call a connection in a sentence."""
    return f"connection `{conn_id}`" if conn_id else "the identity of this machine"


@contextmanager
def explained(identity: str, what: str) -> Iterator[None]:
    """Turn what the SDK raises inside the block into a sentence about ``what``, done as ``identity`` (see :func:`who`).

    :raises AwsNotFound: AwsConfigError or AwsError, see there.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from s3transfer.exceptions import RetriesExceededError

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error, RetriesExceededError) as error:
        raise explain(identity, what, error) from None


def explain(identity: str, what: str, error: Exception) -> AwsError:
    """Return the sentence for an exception of the SDK."""
    from botocore.exceptions import ClientError

    last = getattr(error, "last_exception", None)  # of a transfer that was tried several times
    cause = last if isinstance(last, Exception) else error
    return _answered(identity, what, cause) if isinstance(cause, ClientError) else _unanswered(identity, what, cause)


def code_of(error: Exception) -> str:
    """Return the service's own code of a ``ClientError``, empty for others."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _answered(identity: str, what: str, error: Exception) -> AwsError:
    code = code_of(error)
    response = getattr(error, "response", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _MISSING:
        return AwsNotFound(f"{what} through {identity}: {_MISSING[code]} ({code})", code, status)
    if code in _REFUSED:
        return AwsError(f"{what} through {identity}: {_REFUSED[code]} ({code})", code, status)
    if code in _BUSY:
        text = "the service asks for fewer requests, after all retries; run the task again later"
        return AwsError(f"{what} through {identity}: {text} ({code})", code, status)
    reason = _OTHER.get(code, f"the service answered {code or 'with an error'}, HTTP status {status}")
    operation = getattr(error, "operation_name", "")
    return AwsError(f"{what} through {identity}: {reason} ({operation or code})", code, status)


def _unanswered(identity: str, what: str, error: Exception) -> AwsError:
    from botocore import exceptions as sdk

    kind = type(error).__name__
    match error:
        case sdk.NoCredentialsError() | sdk.PartialCredentialsError():
            text = (
                f"no credentials come from {identity}; set login and password of the connection, a profile or a role, "
                "or give the machine credentials that boto finds"
            )
            return AwsConfigError(f"{what}: {text}", kind)
        case sdk.NoRegionError():
            return AwsConfigError(f"{what}: {identity} names no region; set region_name in its extra", kind)
        case sdk.ProfileNotFound() | sdk.ConfigNotFound() | sdk.ConfigParseError():
            text = "its profile is not in this machine's AWS configuration; correct profile_name"
            return AwsConfigError(f"{what} through {identity}: {text}", kind)
        case sdk.SSLError():
            text = "the certificate of the endpoint is not trusted; give verify the path of its authority's certificate"
            return AwsConfigError(f"{what} through {identity}: {text}", kind)
        case sdk.ParamValidationError() | sdk.InvalidEndpointConfigurationError():
            return AwsConfigError(f"{what} through {identity}: a value is not what the service takes ({kind})", kind)
    endpoint = _endpoint(error)
    match error:
        case sdk.ConnectTimeoutError() | sdk.EndpointConnectionError() | sdk.ProxyConnectionError():
            text = f"the endpoint{endpoint} cannot be reached; check endpoint_url, region_name and the network"
            return AwsError(f"{what} through {identity}: {text}", kind)
        case (
            sdk.HTTPClientError()
            | sdk.IncompleteReadError()
            | sdk.ResponseStreamingError()
            | OSError()  # what a transfer that was tried several times met last
        ):
            text = f"the connection to the endpoint{endpoint} broke; run the task again ({kind})"
            return AwsError(f"{what} through {identity}: {text}", kind)
    return AwsError(f"{what} through {identity}: the SDK gave up with {kind}", kind)


def _endpoint(error: Exception) -> str:
    """Return the endpoint that an exception names, without what may stand before an ``@`` or behind a ``?``."""
    url = str((getattr(error, "kwargs", None) or {}).get("endpoint_url") or "")
    if not url:
        return ""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f" {parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
