"""Awkward values that every provider must survive, and the search for secrets where they must not stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from windlass.secrets.masking import forms_of

#: Passwords that break naive quoting: each holds something that a URI, a shell, SQL, JSON, a template or a log format
#: has its own idea of.
SECRETS: Final[dict[str, str]] = {
    "quotes": "pa'ss\"wo`rd-quotes",
    "percent": "100%sure%20-%(name)s-percent",
    "address": "p@ss:w/rd?x=1&y#frag-address",
    "lines": "first-line-of-secret\nsecond-line-of-secret",
    "unicode": "пароль-Ünïcödé-密码-🔑",
    "template": "{{ secret }}-{name}-template",
    "backslash": "back\\slash\\n-backslash",
    "spaces": "  white  space-inside  ",
}

#: Texts that come back the same wherever a text may go.
TEXTS: Final[tuple[str, ...]] = (*SECRETS.values(), "", "plain", "a+b c", "null", "\u2028separator", "x" * 10_000)


def leaks(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the forms in which a secret stands in ``text``: as it is, percent-encoded, in JSON, in base64, by line."""
    return sorted({form for secret in secrets for form in forms_of(secret) if form in text})


def chain_of(error: BaseException) -> list[BaseException]:
    """Return an error and the causes that a traceback of it would show, down to the first."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        cause = following.__cause__
        following = cause if cause is not None or following.__suppress_context__ else following.__context__
    return found


def sentence_complaints(text: str, conn_id: str | None = None) -> list[str]:
    """Say what keeps ``text`` from being an error sentence: one line for people, naming the connection."""
    complaints = []
    if not text.strip():
        complaints.append("it says nothing")
    if len(text.strip().splitlines()) > 1:
        complaints.append(f"it has {len(text.strip().splitlines())} lines instead of one sentence")
    if "Traceback (most recent call last)" in text:
        complaints.append("it holds a traceback")
    if conn_id is not None and conn_id not in text:
        complaints.append(f"it does not name the connection {conn_id!r}")
    return complaints
