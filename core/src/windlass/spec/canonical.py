"""The canonical bytes of a spec and their hash, the ``spec_version``.

Canonical means: JSON with sorted keys, defaults left out, datetimes in UTC, so that the same graph has the same bytes
in every process and on every machine. A comment in the DAG file or a clock value that is not part of the graph
changes nothing.
"""

from __future__ import annotations

import hashlib

import msgspec

from windlass.errors import SpecError
from windlass.spec.model import DagSpec

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(DagSpec)


def encode_spec(spec: DagSpec) -> bytes:
    """Return the canonical bytes of ``spec``."""
    return _encoder.encode(spec)


def decode_spec(data: bytes) -> DagSpec:
    """Return the spec that ``data`` holds.

    :raises SpecError: if it is not one.
    """
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        msg = f"stored DAG cannot be read: {error}; parse its file again with `windlass dags reparse`"
        raise SpecError(msg) from error


def spec_version(spec: DagSpec) -> str:
    """Return the version of ``spec``: 32 hex digits of the SHA-256 of its canonical bytes."""
    return hashlib.sha256(encode_spec(spec)).hexdigest()[:32]
