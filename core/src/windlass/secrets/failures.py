"""What a backend's exception says to the task that asked: what happened, in a sentence, and no credential.

What Windlass and its providers raise is written for people, and may name an address. The exception of an SDK may quote
anything: what it was given, such as a header with the token in it, or what it got for it, such as another token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from windlass.errors import ConfigError, WindlassError
from windlass.interfaces.secrecy import SENSITIVE_WORDS, secrets_of_arguments
from windlass.secrets.masking import MASK, Masker

_LONGEST: Final = 1000

#: ``token=abc``, ``"password": "abc"``, ``X-Api-Key: abc``, ``Authorization: Bearer abc``, ``header value: 'abc'``.
#: Every repetition before the value is bounded, so that the time is linear.
_NAMED: Final = re.compile(
    rf"((?:{'|'.join(sorted(word.replace('_', '[_ -]?') for word in SENSITIVE_WORDS))}|header value)"
    r"""[\w-]{0,40}["']?\s{0,3}[:=]\s{0,3}(?:(?:bearer|basic|negotiate)\s{1,3})?)"""
    r"""(b?"[^"]*"|b?'[^']*'|[^\s,;&]+)""",
    re.IGNORECASE,
)


def sentence(error: BaseException, arguments: Mapping[str, Any]) -> str:
    """Return the text of a backend's exception without the ``arguments`` that the backend was made with."""
    if isinstance(error, WindlassError):
        return Masker(secrets_of_arguments(arguments)).mask(str(error))
    if isinstance(error, ImportError):
        from windlass.registry.absent import missing_library  # only where something is missing

        if said := missing_library(error):
            return said
    text = mask_named(Masker(secrets_of_arguments(arguments, everything=True)).mask(str(error)))
    text = " ".join(text.split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} …"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def mask_named(text: str) -> str:
    """Return the message of a stranger without the values that it gives under sensitive names."""
    return _NAMED.sub(rf"\1{MASK}", text)


def deed(error: BaseException) -> str:
    """Say what a backend did that raised ``error``: an outage is no refusal, and something malformed is neither.

    What it was asked for is to stand behind.
    """
    match error:
        case PermissionError():
            return "refused"
        case ConfigError():
            return "has no usable"
        case WindlassError():
            return "did not give"
        case OSError() if not isinstance(error, ValueError):  # both is a bad header of requests, say
            return "could not be asked for"
        case _:
            return "failed to give"
