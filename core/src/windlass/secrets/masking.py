"""Hiding secret values in texts: logs, rendered fields, previews, errors.

A secret is hidden wherever it stands, also in the forms in which programs pass it on: percent-encoded, inside JSON or a
Python literal, in base64 (whatever stands before it in the encoded text, as in a basic-auth header), and line by line
if it has several. One regular expression holds all forms of all secrets. Without secrets a call costs one comparison.

:class:`MaskingStream` does it for text that arrives in pieces: what could be the beginning of a secret is held back
until the next piece shows whether it is. Masking is a net, not a wall: a program that transforms a secret can still
print it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from windlass.interfaces.secrecy import all_texts, is_sensitive, json_or_none, sensitive_values
from windlass.registry import Registry, registry

MASK: Final = "***"
#: Shorter texts are not hidden: every log would be full of holes, which tell more than they hide.
MIN_LENGTH: Final = 3
#: Base64 says little of a text in few characters; fewer than these are not looked for.
_MIN_BASE64: Final = 6


def secrets_of_fields(
    fields: Mapping[str, Any], more: Iterable[str] = (), plugins: Registry | None = None
) -> list[str]:
    """Return the texts to hide in a connection's fields.

    They are its password, what its type declares secret, and the values of the extra under a sensitive key. ``plugins``
    knows the types, by default this process's registry.
    """
    known = registry() if plugins is None else plugins
    kind = known.connection_types.get(fields.get("conn_type") or "")
    declared = [field.name for field in kind.fields if field.secret] if kind is not None else []
    found = [str(fields[name]) for name in dict.fromkeys(["password", *declared]) if fields.get(name)]
    if extra := fields.get("extra"):
        try:
            found += sensitive_values(json.loads(extra) if isinstance(extra, str) else extra, (*more, *declared))
        except ValueError:
            found.append(str(extra))
    return found


def secrets_of_variable(key: str, value: str, more: Iterable[str] = ()) -> list[str]:
    """Return the texts to hide in a variable: all of it if its name is sensitive, else sensitive parts of its JSON."""
    if is_sensitive(key, more):
        texts = [value]
        if value[:1] in {"{", "["}:
            texts += all_texts(json_or_none(value))
        return texts
    return sensitive_values(json_or_none(value), tuple(more)) if value[:1] in {"{", "["} else []


def redact(data: Any, more: Iterable[str] = (), name: str = "") -> Any:  # noqa: ANN401 - JSON data
    """Return JSON data in which every value under a sensitive key is the mask."""
    if name and data not in (None, "") and is_sensitive(name, more):
        return MASK
    if isinstance(data, Mapping):
        return {key: redact(value, more, str(key)) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [redact(value, more) for value in data]
    return data


def forms_of(secret: str) -> set[str]:
    """Return the texts in which ``secret`` may appear, itself included."""
    pieces = {secret, *(line.strip() for line in secret.splitlines())}
    pieces = {piece for piece in pieces if len(piece) >= MIN_LENGTH}
    forms = set(pieces)
    for piece in pieces:
        raw = piece.encode("utf-8", "surrogatepass")
        encoded = {quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw), quote(raw, safe="!'()*-._~")}
        encoded |= {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text) for text in encoded}
        forms |= encoded
        for text in (json.dumps(piece), json.dumps(piece, ensure_ascii=False), repr(piece)):
            forms |= {text[1:-1], text[1:-1].replace("/", "\\/"), json.dumps(text[1:-1])[1:-1]}
        forms |= _base64_forms(raw)
    return forms


def _base64_forms(raw: bytes) -> set[str]:
    """The characters that ``raw`` alone decides at each of its three possible places in an encoded text."""
    found: set[str] = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode("ascii")
        # A character holds six bits: the first ones may hold bits from before, the last ones bits from behind.
        start = (0, 2, 3)[before]
        end = (before + len(raw)) * 8 // 6
        core = encoded[start:end]
        if len(core) >= _MIN_BASE64:
            found |= {core, core.replace("+", "-").replace("/", "_")}
    return found


class Masker:
    """Knows secrets and hides them. Adding one is rare and costs; masking is common and cheap."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._longest = 0
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these texts from now on."""
        if not secrets:
            return
        new = {form for secret in secrets if len(secret) >= MIN_LENGTH for form in forms_of(secret)} - self._forms
        new -= {"", MASK}
        if new:
            self._forms |= new
            self._longest = max(map(len, self._forms))
            # The longest first: an alternation takes the first that fits.
            ordered = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def __bool__(self) -> bool:
        return self._pattern is not None

    def mask(self, text: str) -> str:
        """Return ``text`` with every secret in it replaced."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def mask_data(self, data: Any) -> Any:  # noqa: ANN401 - JSON data
        """Return JSON data in which every text, and every key, is masked."""
        if self._pattern is None:
            return data
        if isinstance(data, str):
            return self.mask(data)
        if isinstance(data, Mapping):
            return {self.mask_data(key): self.mask_data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.mask_data(value) for value in data]
        return data

    def safe_length(self, text: str) -> int:
        """Return how much of ``text`` can be masked now, whatever text comes behind it."""
        if self._pattern is None:
            return len(text)
        limit = len(text)
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            tail = text[start:]
            if any(len(form) > len(tail) and form.startswith(tail) for form in self._forms):
                limit = start
                break
        # A secret that is complete must not be cut where another one may begin. From the start, as ``mask`` does it:
        # begun elsewhere, the search would find others of several matches that overlap.
        for match in self._pattern.finditer(text):
            if match.start() < limit < match.end():
                return match.end()
        return limit


class MaskingStream:
    """Masks text that comes in pieces, so that a secret across a border is found."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = ""

    def feed(self, text: str) -> str:
        """Take the next piece and return what is certain by now, masked."""
        if not self._masker:
            text, self._held = self._held + text, ""
            return text
        text = self._held + text
        safe = self._masker.safe_length(text)
        self._held = text[safe:]
        return self._masker.mask(text[:safe])

    def flush(self) -> str:
        """Return what was held back: nothing more comes."""
        text, self._held = self._held, ""
        return self._masker.mask(text)
