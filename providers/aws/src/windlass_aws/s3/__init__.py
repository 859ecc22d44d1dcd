"""S3: addresses, buckets, listings, objects and transfers, and the hook that unites them."""

from __future__ import annotations
