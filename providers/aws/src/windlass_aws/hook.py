"""AwsBaseHook: a client of an AWS service, made from a connection or from boto's own chain.

The connection ``aws_default`` need not exist: without it boto looks for credentials by itself, in the environment,
the AWS configuration, and the role of the pod or machine. Any other connection that is missing is an error. The SDK is
imported when the first client is made.
"""

# ruff: noqa: ANN401 - boto3 is untyped
from __future__ import annotations

import threading
from functools import cached_property
from typing import Any, ClassVar

from windlass.errors import ConnectionNotDefined
from windlass.hooks import BaseHook, mask_secret
from windlass_aws.failures import AwsError, explained, who
from windlass_aws.settings import AwsSettings

#: The connection that may be missing.
DEFAULT = "aws_default"


class AwsGenericHook(BaseHook):
    """The base of the hooks of AWS; with ``client_type`` or ``resource_type`` it serves for any service.

    Args:
        aws_conn_id: the connection; None leaves everything to boto's own chain.
        verify: whether certificates are checked, or the path of a bundle; the connection says by default.
        region_name: the region; the connection says by default.
        client_type: a service such as ``sqs``, whose client :meth:`get_conn` returns.
        resource_type: a service such as ``dynamodb``, whose resource :meth:`get_conn` returns.
        config: a ``botocore.config.Config``, or its arguments as a dict; it wins over the connection's
            ``config_kwargs``.
    """

    conn_name_attr = "aws_conn_id"
    default_conn_name = DEFAULT
    conn_type = "aws"
    hook_name = "Amazon Web Services"

    #: What a subclass is the client of.
    service: ClassVar[str | None] = None

    def __init__(
        self,
        aws_conn_id: str | None = DEFAULT,
        verify: bool | str | None = None,  # noqa: FBT001 - Airflow's signature
        region_name: str | None = None,
        client_type: str | None = None,
        resource_type: str | None = None,
        config: Any = None,
    ) -> None:
        super().__init__(aws_conn_id)
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.region_name = region_name
        self.client_type = client_type or (None if resource_type else self.service)
        self.resource_type = resource_type
        self.config = config
        self._making = threading.Lock()
        self._conn: Any = None

    @cached_property
    def settings(self) -> AwsSettings:
        """What the connection says; empty where boto's own chain decides.

        :raises ConnectionNotDefined: if the connection is missing and is not ``aws_default``.
        :raises ConfigError: if a field of it cannot be what it is.
        """
        if self.aws_conn_id is None:
            return AwsSettings()
        try:
            return AwsSettings.from_connection(self.connection)
        except ConnectionNotDefined:
            if self.aws_conn_id != DEFAULT:
                raise
            self.log.info("connection `%s` is not defined; boto looks for credentials by itself", DEFAULT)
            return AwsSettings()

    @property
    def identity(self) -> str:
        """Whose credentials the hook uses, for sentences."""
        return who(self.settings.conn_id)

    def get_session(self, region_name: str | None = None) -> Any:
        """Return a new ``boto3.Session`` with the identity of the connection."""
        with explained(self.identity, "making a session"):
            from windlass_aws.session import make_session

            return make_session(self.settings, region_name or self.region_name)

    @cached_property
    def session(self) -> Any:
        """The session of this hook, made once."""
        return self.get_session()

    def get_client_type(
        self,
        client_type: str | None = None,
        region_name: str | None = None,
        config: Any = None,
    ) -> Any:
        """Return a new client of a service, by default the hook's own."""
        name = client_type or self.client_type or self.resource_type or ""
        with explained(self.identity, f"making a client of {name}"):
            return self.session.client(name, **self._arguments(name, region_name, config))

    def get_resource_type(
        self,
        resource_type: str | None = None,
        region_name: str | None = None,
        config: Any = None,
    ) -> Any:
        """Return a new resource of a service, by default the hook's own."""
        name = resource_type or self.resource_type or self.client_type or ""
        with explained(self.identity, f"making a resource of {name}"):
            return self.session.resource(name, **self._arguments(name, region_name, config))

    def _arguments(self, name: str, region_name: str | None, config: Any) -> dict[str, Any]:
        from windlass_aws.session import make_config

        said = self.settings.service(name)
        return {
            "region_name": region_name or self.region_name or said.region_name,
            "endpoint_url": said.endpoint_url,
            "verify": self.settings.verify if self.verify is None else self.verify,
            "config": make_config(said.config_kwargs, self.config if config is None else config),
        }

    @property
    def conn(self) -> Any:
        """The client, or the resource where ``resource_type`` was given, made once."""
        if self.client_type is None and self.resource_type is None:
            raise TypeError(f"{type(self).__name__} has no client_type and no resource_type; give one of them")
        with self._making:  # a client may be used by several threads, but only one may make it
            if self._conn is None:
                self._conn = self.get_resource_type() if self.resource_type else self.get_client_type()
            return self._conn

    def get_conn(self) -> Any:
        """Return the client, or the resource where ``resource_type`` was given; one for the life of the hook.

        What its own methods raise are exceptions of botocore; the methods of the hooks raise
        :class:`~windlass_aws.failures.AwsError` with a sentence.
        """
        return self.conn

    def get_credentials(self, region_name: str | None = None) -> Any:
        """Return the credentials as they are now: ``access_key``, ``secret_key``, ``token``.

        The last two are hidden in the task's log.

        :raises AwsError: if there are none, or the role is refused.
        """
        with explained(self.identity, "getting credentials"):
            found = self.get_session(region_name).get_credentials()
            if found is None:
                from botocore.exceptions import NoCredentialsError

                raise NoCredentialsError
            credentials = found.get_frozen_credentials()
        mask_secret({"secret_key": credentials.secret_key, "token": credentials.token})
        return credentials

    @property
    def conn_region_name(self) -> str:
        """The region of the client."""
        return str(self.conn.meta.region_name if self.client_type else self.conn.meta.client.meta.region_name)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the credentials are accepted, and whose they are.

        STS is asked, which needs no permission; behind an ``endpoint_url``, where often only S3 is, S3 is asked for its
        buckets.
        """
        try:
            if self.settings.service("sts").endpoint_url is None and self.settings.service("s3").endpoint_url is None:
                return True, self._identity()
            with explained(self.identity, "listing the buckets"):
                count = len(self.get_client_type("s3").list_buckets().get("Buckets", ()))
            return True, f"the endpoint accepts the credentials and shows {count} buckets"
        except AwsError as error:
            return False, str(error)

    def _identity(self) -> str:
        region = self.region_name or self.settings.region_name or "us-east-1"
        with explained(self.identity, "asking STS for the identity"):
            answer = self.get_client_type("sts", region).get_caller_identity()
        return f"the credentials are those of {answer['Arn']}"


class AwsBaseHook(AwsGenericHook):
    """The base of hooks for one service: a subclass names it in ``service``; or give ``client_type``."""
