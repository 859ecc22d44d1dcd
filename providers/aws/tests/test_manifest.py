"""What windlass-aws promises as a provider; its own behaviour is tested beside this."""

from __future__ import annotations

from windlass_testing.conformance import ProviderSuite


class TestProvider(ProviderSuite):
    distribution = "windlass-aws"
    comes_with = {"botocore": "boto3", "s3transfer": "boto3"}
    not_secret = ("web_identity_token_file",)  # the path of a token
