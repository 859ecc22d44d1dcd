"""Transfers: files, streams and folders, up and down, in parts and with a bounded amount of memory."""

# ruff: noqa: ANN401 - boto3 is untyped
from __future__ import annotations

import gzip as gzip_format
import io
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import uuid4

from windlass.errors import UsageError
from windlass_aws.failures import explained
from windlass_aws.s3.address import url
from windlass_aws.s3.objects import S3Objects

#: How many uploads of a folder are under way or wait for a thread.
_AT_ONCE: Final = 100


class S3Transfers(S3Objects):
    """What an :class:`~windlass_aws.hooks.S3Hook` brings to S3 and back."""

    # --- Up

    def load_file(
        self,
        filename: str | Path,
        key: str,
        bucket_name: str | None = None,
        replace: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        encrypt: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        gzip: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        acl_policy: str | None = None,
    ) -> None:
        """Upload a local file.

        Args:
            filename: the file.
            key: where to put it, or the whole address.
            bucket_name: the bucket; the connection may name one.
            replace: write over what is there; else that is an error.
            encrypt: let S3 encrypt it with keys of its own (AES256).
            gzip: compress it on the way; the local file stays as it is.
            acl_policy: a canned ACL such as ``private``.

        :raises FileNotFoundError: if there is no such file.
        :raises ValueError: if the key exists and ``replace`` is not set.
        """
        if not gzip:
            self._upload(Path(filename), key, bucket_name, replace=replace, encrypt=encrypt, acl_policy=acl_policy)
            return
        self._refuse_existing(key, bucket_name, replace=replace)
        with Path(filename).open("rb") as source, tempfile.TemporaryFile(prefix="windlass-gzip-") as packed:
            with gzip_format.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as writer:
                shutil.copyfileobj(source, writer, 1 << 20)
            packed.seek(0)
            self._upload(packed, key, bucket_name, replace=True, encrypt=encrypt, acl_policy=acl_policy)

    def load_string(
        self,
        string_data: str,
        key: str,
        bucket_name: str | None = None,
        replace: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        encrypt: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        encoding: str | None = None,
        acl_policy: str | None = None,
        compression: str | None = None,
    ) -> None:
        """Store a text, by default in UTF-8; ``compression`` may be ``gzip``. Else as :meth:`load_file`.

        :raises UsageError: for any other compression.
        :raises ValueError: if the key exists and ``replace`` is not set.
        """
        data = string_data.encode(encoding or "utf-8")
        if compression is not None:
            if compression != "gzip":
                raise UsageError(f"load_string: compression {compression!r} is not known; it may be gzip")
            data = gzip_format.compress(data, mtime=0)
        self.load_bytes(data, key, bucket_name, replace, encrypt, acl_policy)

    def load_bytes(
        self,
        bytes_data: bytes,
        key: str,
        bucket_name: str | None = None,
        replace: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        encrypt: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        acl_policy: str | None = None,
    ) -> None:
        """Store bytes; else as :meth:`load_file`.

        :raises ValueError: if the key exists and ``replace`` is not set.
        """
        source = io.BytesIO(bytes_data)
        self._upload(source, key, bucket_name, replace=replace, encrypt=encrypt, acl_policy=acl_policy)

    def load_file_obj(
        self,
        file_obj: BinaryIO,
        key: str,
        bucket_name: str | None = None,
        replace: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        encrypt: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        acl_policy: str | None = None,
    ) -> None:
        """Upload what a binary file object reads, in parts; it need not be seekable. Else as :meth:`load_file`.

        The object stays open.

        :raises ValueError: if the key exists and ``replace`` is not set.
        """
        self._upload(file_obj, key, bucket_name, replace=replace, encrypt=encrypt, acl_policy=acl_policy)

    def _refuse_existing(self, key: str, bucket_name: str | None, *, replace: bool) -> None:
        if not replace and self.check_for_key(key, bucket_name):
            address = url(*self._address(key, bucket_name))
            raise ValueError(f"the key {address} exists already; use replace=True to write over it")

    def _upload(
        self,
        source: BinaryIO | Path,
        key: str,
        bucket_name: str | None,
        *,
        replace: bool,
        encrypt: bool,
        acl_policy: str | None,
    ) -> None:
        self._refuse_existing(key, bucket_name, replace=replace)
        bucket, key = self._address(key, bucket_name)
        extra = self._upload_args(encrypt=encrypt, acl_policy=acl_policy)
        from boto3.s3.transfer import create_transfer_manager

        # A named file is read part by part from the disk; what is no file has its next parts in memory.
        content = str(source) if isinstance(source, Path) else _LeftOpen(source)
        with (
            explained(self.identity, f"writing {url(bucket, key)}"),
            create_transfer_manager(self.conn, self._transfer_config()) as manager,
        ):
            manager.upload(content, bucket, key, extra_args=extra).result()

    def _upload_args(self, *, encrypt: bool, acl_policy: str | None) -> dict[str, Any]:
        extra = dict(self.extra_args)
        if encrypt:
            extra["ServerSideEncryption"] = "AES256"
        if acl_policy:
            extra["ACL"] = acl_policy
        return extra

    def sync_from_local_dir(
        self,
        local_dir: str | Path,
        bucket_name: str | None = None,
        s3_prefix: str = "",
        delete_stale: bool = False,  # noqa: FBT001, FBT002 - as sync_to_local_dir
        *,
        encrypt: bool = False,
        acl_policy: str | None = None,
    ) -> list[str]:
        """Make what lies below a prefix like a folder: upload files that are new, newer or of another size.

        Files go several at a time. Links to files are read, links to folders are not followed.

        Args:
            local_dir: the folder, with those in it.
            bucket_name: the bucket; the connection may name one.
            s3_prefix: the folder in the bucket; a file's path below ``local_dir`` follows after a slash.
            delete_stale: remove objects below the prefix that have no file.
            encrypt: let S3 encrypt them with keys of its own (AES256).
            acl_policy: a canned ACL such as ``private``.

        Returns:
            the keys that were uploaded.

        :raises NotADirectoryError: if there is no such folder; nothing is removed then.
        :raises UsageError: if a file's name cannot be a key, since it is no UTF-8.
        """
        folder = Path(local_dir)
        if not folder.is_dir():
            raise NotADirectoryError(f"there is no folder {folder}")
        bucket, prefix = self._address(s3_prefix, bucket_name)
        prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        there = {item["Key"]: item for item in self.iter_file_metadata(prefix, bucket)}
        files = {f"{prefix}{name}": folder / name for name in sorted(_files_below(folder))}
        changed = [key for key, path in files.items() if key not in there or _is_changed(path, there[key])]
        extra = self._upload_args(encrypt=encrypt, acl_policy=acl_policy)
        self._upload_all(((key, files[key]) for key in changed), bucket, extra)
        if delete_stale:
            self.delete_objects(bucket, (key for key in there if key not in files and not key.endswith("/")))
        return changed

    def _upload_all(self, files: Iterable[tuple[str, Path]], bucket: str, extra: dict[str, Any]) -> None:
        from boto3.s3.transfer import create_transfer_manager

        waiting: deque[tuple[str, Any]] = deque()

        def finish() -> None:
            key, upload = waiting.popleft()
            with explained(self.identity, f"writing {url(bucket, key)}"):
                upload.result()

        with create_transfer_manager(self.conn, self._transfer_config()) as manager:  # left by an error it cancels
            for key, path in files:
                waiting.append((key, manager.upload(str(path), bucket, key, extra_args=extra)))
                if len(waiting) >= _AT_ONCE:
                    finish()
            while waiting:
                finish()

    # --- Down

    def download_file(
        self,
        key: str,
        bucket_name: str | None = None,
        local_path: str | Path | None = None,
        preserve_file_name: bool = False,  # noqa: FBT001, FBT002 - Airflow's signature
        use_autogenerated_subdir: bool = True,  # noqa: FBT001, FBT002 - Airflow's signature
    ) -> str:
        """Download an object into a new file and return its path. A broken download leaves no file behind.

        Args:
            key: of the object, or its address.
            bucket_name: the bucket; the connection may name one.
            local_path: the folder to put the file into; the system's for temporary files by default.
            preserve_file_name: name the file like the last part of the key, instead of a name of its own.
            use_autogenerated_subdir: with ``preserve_file_name``, put it into a new folder, so that it meets no other.

        :raises AwsNotFound: if there is no such key.
        :raises FileExistsError: if a file of the preserved name is there.
        """
        bucket, key = self._address(key, bucket_name)
        folder = Path(local_path) if local_path is not None else Path(tempfile.gettempdir())
        target = folder / f"windlass_{uuid4().hex}"
        if preserve_file_name:
            name = Path(key).name
            if not name or name in (".", ".."):
                raise UsageError(f"the key {key!r} ends in no name of a file; leave preserve_file_name out")
            if use_autogenerated_subdir:
                folder /= f"windlass_{uuid4().hex}"
            target = folder / name
            if target.exists():
                raise FileExistsError(f"{target} exists already; remove it, or set use_autogenerated_subdir")
        folder.mkdir(parents=True, exist_ok=True)
        self.download_to(key, bucket, target)
        return str(target)

    def download_to(self, key: str, bucket_name: str | None, path: str | Path) -> None:
        """Download an object to ``path``, which it replaces once it is complete; broken parts are asked for again.

        :raises AwsNotFound: if there is no such key.
        """
        bucket, key = self._address(key, bucket_name)
        target = Path(path)
        draft = target.with_name(f".{target.name[:100]}.{uuid4().hex}")
        try:
            # To a file, and not to a name: s3transfer then needs no second draft of its own.
            with explained(self.identity, f"downloading {url(bucket, key)}"), draft.open("wb") as writer:
                self.conn.download_fileobj(
                    bucket, key, writer, ExtraArgs=self._download_args(), Config=self._transfer_config()
                )
            draft.replace(target)
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()

    def _download_args(self) -> dict[str, Any]:
        from boto3.s3.transfer import S3Transfer

        return {name: value for name, value in self.extra_args.items() if name in S3Transfer.ALLOWED_DOWNLOAD_ARGS}

    def sync_to_local_dir(
        self,
        bucket_name: str | None,
        local_dir: str | Path,
        s3_prefix: str = "",
        delete_stale: bool = True,  # noqa: FBT001, FBT002 - Airflow's signature
    ) -> None:
        """Make a folder like what lies below a prefix: download what is new, newer or of another size.

        Args:
            bucket_name: the bucket; the connection may name one.
            local_dir: the folder; it is made if it is not there.
            s3_prefix: how the keys begin; the rest of each is its path below the folder.
            delete_stale: remove local files, and empty folders, that have no key.

        :raises UsageError: for a key that would lead out of the folder; nothing outside it is ever written.
        """
        folder = Path(local_dir)
        folder.mkdir(parents=True, exist_ok=True)
        root = folder.resolve()
        wanted: set[Path] = set()
        for item in self.iter_file_metadata(s3_prefix, bucket_name):
            below = item["Key"].removeprefix(s3_prefix).lstrip("/")
            if not below or below.endswith("/"):  # what consoles make for a folder
                continue
            target = Path(os.path.normpath(root / below))
            if not target.is_relative_to(root) or target == root or not target.parent.resolve().is_relative_to(root):
                raise UsageError(f"the key {item['Key']!r} leads out of {folder}; it is not downloaded")
            wanted.add(target)
            if _is_like(target, item):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            self.download_to(item["Key"], bucket_name, target)
            modified = item["LastModified"].timestamp()
            os.utime(target, (modified, modified))
        if delete_stale:
            _remove_all_but(root, wanted)


def _files_below(folder: Path) -> Iterator[str]:
    """Yield the paths of the files below a folder, with slashes."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_file():  # a pipe, or a link that leads nowhere
                continue
            below = path.relative_to(folder).as_posix()
            try:
                below.encode()
            except UnicodeEncodeError:
                raise UsageError(f"the file {below!r} in {folder} has a name that is no UTF-8; rename it") from None
            yield below


def _is_changed(path: Path, item: dict[str, Any]) -> bool:
    here = path.stat()
    # S3 cuts its times to seconds, so a file that was written in the second of its upload counts as newer, once.
    return bool(here.st_size != item["Size"] or here.st_mtime > item["LastModified"].timestamp())


class _LeftOpen:
    """What s3transfer, which closes whatever it has read, may close without closing the caller's file."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def close(self) -> None:
        """Leave it open."""


def _is_like(path: Path, item: dict[str, Any]) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    younger = datetime.fromtimestamp(there.st_mtime, UTC) >= item["LastModified"]
    return bool(there.st_size == item["Size"] and younger)


def _remove_all_but(root: Path, wanted: set[Path]) -> None:
    for parent, folders, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(parent, name)
            if path not in wanted:
                path.unlink()
        for name in folders:
            with suppress(OSError):  # it is not empty, or a link
                Path(parent, name).rmdir()
