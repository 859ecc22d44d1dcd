"""The AWS provider: S3 as files, Secrets Manager and the Parameter Store as secrets, for Windlass."""

from __future__ import annotations
