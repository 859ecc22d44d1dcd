"""From the settings of a connection to a session of boto3, whose credentials renew themselves.

One way for all: a session of botocore, to which keys, a profile or a role are given. A role is assumed by botocore's
own fetchers at the first request and again before its credentials expire, in whatever thread needs them, so a
task may run for longer than any token lives. This module imports boto3: import it where a client is made.
"""

# ruff: noqa: ANN401 - boto3 is untyped
from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    AssumeRoleWithWebIdentityCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.utils import FileWebIdentityTokenLoader

from windlass.errors import ConfigError
from windlass_aws.settings import AwsSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds to wait for a connection to be made; boto's own 60 would let an unreachable endpoint cost minutes.
CONNECT_TIMEOUT = 10
#: What this botocore can be configured with.
KNOWN_ARGUMENTS = {*Config.OPTION_DEFAULTS, *Config.NON_LEGACY_OPTION_DEFAULTS}


def make_session(settings: AwsSettings, region_name: str | None = None) -> Any:
    """Return a ``boto3.Session`` for the settings."""
    _silence()
    core = botocore.session.Session(profile=settings.profile_name)
    region = region_name or settings.region_name
    if region is not None:
        core.set_config_variable("region", region)
    if settings.access_key is not None:
        core.set_credentials(settings.access_key, settings.secret_key, settings.session_token)
    if settings.role_arn is None:
        return boto3.Session(botocore_session=core)
    assumed = botocore.session.Session(profile=settings.profile_name)
    if region is not None:
        assumed.set_config_variable("region", region)
    assumed.register_component("credential_provider", CredentialResolver([_Role(core, settings)]))
    return boto3.Session(botocore_session=assumed)


def _silence() -> None:
    """Keep botocore's requests, in which session tokens stand, out of a log that is set to DEBUG as a whole."""
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


def make_config(said: Mapping[str, Any], given: Any = None) -> Config:
    """Return the configuration of a client: our defaults, then what the connection says, then what code gives."""
    config = Config(connect_timeout=CONNECT_TIMEOUT, tcp_keepalive=True, user_agent_extra="windlass-aws")
    if said:
        config = config.merge(_config(said))
    if given is None:
        return config
    return config.merge(given if isinstance(given, Config) else _config(given))


def _config(arguments: Mapping[str, Any]) -> Config:
    """Return botocore's configuration.

    :raises ConfigError: if this botocore is too old for one of the arguments, or none knows it.
    """
    unknown = arguments.keys() - KNOWN_ARGUMENTS
    if unknown:
        raise ConfigError(
            f"botocore {botocore.__version__} cannot be configured with {', '.join(sorted(unknown))}; "
            "correct the name, or `pip install --upgrade boto3`"
        )
    return Config(**_unsigned(arguments))


def _unsigned(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with botocore's own sign for the word ``unsigned``: public buckets need no identity."""
    signature = arguments.get("signature_version")
    if isinstance(signature, str) and signature.lower() == "unsigned":
        return {**arguments, "signature_version": UNSIGNED}
    return dict(arguments)


class _Role(CredentialProvider):  # type: ignore[misc] # botocore is untyped
    """Gives the credentials of a role that ``core``'s identity may assume."""

    METHOD = "windlass-role"

    def __init__(self, core: Any, settings: AwsSettings) -> None:
        super().__init__(core)
        self._core = core
        self._settings = settings

    def load(self) -> Any:
        """Return credentials that assume the role when they are first needed."""
        return DeferredRefreshableCredentials(refresh_using=self._fetch(), method=self._settings.assume_role_method)

    def _fetch(self) -> Callable[[], Any]:
        settings = self._settings
        arguments = {"RoleSessionName": "windlass", **settings.assume_role_kwargs}
        if settings.assume_role_method == "assume_role_with_web_identity":
            web = AssumeRoleWithWebIdentityCredentialFetcher(
                client_creator=self._client,
                web_identity_token_loader=FileWebIdentityTokenLoader(settings.web_identity_token_file),
                role_arn=settings.role_arn,
                extra_args=arguments,
            )
            return web.fetch_credentials  # type: ignore[no-any-return]
        source = self._core.get_credentials()
        if source is None:
            from botocore.exceptions import NoCredentialsError

            raise NoCredentialsError
        role = AssumeRoleCredentialFetcher(
            client_creator=self._client, source_credentials=source, role_arn=settings.role_arn, extra_args=arguments
        )
        return role.fetch_credentials  # type: ignore[no-any-return]

    def _client(self, name: str, **arguments: Any) -> Any:
        said = self._settings.service(name)
        config = make_config(said.config_kwargs)
        if "config" in arguments:
            config = config.merge(arguments.pop("config"))
        return self._core.create_client(
            name,
            region_name=said.region_name or self._core.get_config_variable("region") or "us-east-1",
            endpoint_url=said.endpoint_url,
            verify=self._settings.verify,
            config=config,
            **arguments,
        )
