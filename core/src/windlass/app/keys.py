"""New keys for the stored secrets, in the file of the home."""

from __future__ import annotations

import os
from pathlib import Path

from windlass.app.services import fernet_keys, new_key
from windlass.config import Settings
from windlass.errors import UsageError


def add_key(settings: Settings) -> Path:
    """Put a new key before those in the home's ``fernet.key``, and return that file, which is replaced as a whole.

    :raises UsageError: if the keys stand in the configuration, where only its owner can change them.
    """
    if settings.core.fernet_key:
        raise UsageError(
            "the keys are set by core.fernet_key; put a new one before them there (new,old), then run this without "
            "--new-key"
        )
    path = settings.home / "fernet.key"
    keys = [new_key(), *fernet_keys(settings)]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("".join(f"{key}\n" for key in keys))
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    return path
