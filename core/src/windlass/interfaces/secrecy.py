"""What in data is secret, by its name; and :func:`mask_secret`, by which code that knows a secret has it hidden."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from windlass.errors import ContextUnavailable
from windlass.ports.current import current_session
from windlass.protocol import Mask

#: Shorter arguments are hidden only under a sensitive name.
_MIN_UNNAMED: Final = 8
#: Looking for a text costs with its length, for every line of every log from then on: longer ones are documents.
_LONGEST: Final = 8192

#: Words that make the name of a variable, an extra key or a field sensitive.
SENSITIVE_WORDS: Final = frozenset(
    {
        "access_key", "access_token", "api_key", "apikey", "authorization", "credential", "keyfile_dict", "passphrase",
        "passwd", "password", "private_key", "secret", "service_account", "token",
    }
)  # fmt: skip


def mask_secret(secret: object) -> None:
    """Hide a secret from now on in the log of the running task, in its rendered fields, previews and errors.

    For what does not come from a connection or a variable, which are hidden by themselves. A text is hidden wherever it
    stands, also percent-encoded, inside JSON and in base64, unless it is shorter than 3 characters. Of a list all texts
    are hidden, of a dict the values under a sensitive name and all others of 8 characters and more, but none of more
    than 8192 characters; None is no secret.

    It works in a task, a callback, a trigger, ``dag.test()`` and while a DAG file is imported. Elsewhere there is no
    log of Windlass, and it does nothing; so it does in a thread that has not the context of the task.

    :raises TypeError: for bytes and other objects; decode them first.
    :raises ValueError: for a text of more than 8192 characters that stands alone or in a list.
    """
    values = [value for value in dict.fromkeys(_texts_of(secret)) if value]
    try:
        session = current_session()
    except ContextUnavailable:
        return
    if values:
        session.ask(Mask(values=values))  # an answer, because what is printed next takes another way


def _texts_of(secret: object) -> list[str]:
    if isinstance(secret, Mapping):
        return [text for text in secrets_of_arguments(secret, everything=True) if len(text) <= _LONGEST]
    if isinstance(secret, str | int | float):
        if len(text := str(secret)) > _LONGEST:
            raise ValueError(
                f"a text of {len(text)} characters is too long to be hidden; give mask_secret the secret parts"
            )
        return [text]
    if secret is None:
        return []
    if isinstance(secret, bytes | bytearray) or not isinstance(secret, Iterable):
        raise TypeError(f"mask_secret hides texts, and lists and dicts of them, not {type(secret).__name__}")
    return [text for value in secret for text in _texts_of(value)]


def is_sensitive(name: str, more: Iterable[str] = ()) -> bool:
    """Return whether the value of something of this name is to be hidden. ``more`` words are the configuration's."""
    flat = name.lower().replace("-", "_")
    return any(word in flat for word in (*SENSITIVE_WORDS, *(word.lower() for word in more)))


def secrets_of_arguments(arguments: Mapping[str, Any], *, everything: bool = False) -> list[str]:
    """Return the texts to hide of some arguments: those under a sensitive name, or all that could be a secret.

    Short ones under other names are left: a mount called ``secret``, and every message with that word, is no secret.
    """
    texts = sensitive_values(arguments, ())
    if everything:
        texts += [text for text in all_texts(arguments) if len(text) >= _MIN_UNNAMED]
    return texts


def sensitive_values(data: Any, more: tuple[str, ...]) -> list[str]:  # noqa: ANN401 - JSON data
    """Return the texts under a sensitive key; ``more`` words are the configuration's."""
    if isinstance(data, Mapping):
        found: list[str] = []
        for key, value in data.items():
            if is_sensitive(str(key), more):
                found += all_texts(value)
                if isinstance(value, str) and value[:1] in {"{", "["}:  # JSON inside JSON: a key file, say
                    found += all_texts(json_or_none(value))
            else:
                found += sensitive_values(value, more)
        return found
    if isinstance(data, list):
        return [text for value in data for text in sensitive_values(value, more)]
    return []


def all_texts(data: Any) -> list[str]:  # noqa: ANN401 - JSON data
    """Return every text and number that is a value in JSON data."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, Mapping):
        return [text for value in data.values() for text in all_texts(value)]
    if isinstance(data, list):
        return [text for value in data for text in all_texts(value)]
    return [str(data)] if isinstance(data, int | float) and not isinstance(data, bool) else []


def json_or_none(text: str) -> Any:  # noqa: ANN401 - JSON data
    """Return what a JSON text says, None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
