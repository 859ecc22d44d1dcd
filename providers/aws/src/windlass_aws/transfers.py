"""Operators that move files between S3 and the machine of the task, or pass them through a program."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.errors import AuthoringError
from windlass.operators import BaseOperator, Context
from windlass_aws.base_operator import COMMON, DEFAULT, AwsBaseOperator, make_hook

if TYPE_CHECKING:
    from windlass_aws.hooks import S3Hook


class LocalFilesystemToS3Operator(AwsBaseOperator):
    """Upload a local file, in parts if it is large.

    Args:
        filename: the file.
        dest_key: where to, or the whole address ``s3://bucket/key``.
        dest_bucket: the bucket, unless it stands in the address or in the connection.
        replace: write over what is there; else that is an error.
        encrypt: let S3 encrypt it with keys of its own.
        gzip: compress it on the way.
        acl_policy: a canned ACL such as ``private``.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "filename", "dest_key", "dest_bucket")

    def __init__(
        self,
        *,
        filename: str | Path,
        dest_key: str,
        dest_bucket: str | None = None,
        replace: bool = False,
        encrypt: bool = False,
        gzip: bool = False,
        acl_policy: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filename = filename
        self.dest_key = dest_key
        self.dest_bucket = dest_bucket
        self.replace = replace
        self.encrypt = encrypt
        self.gzip = gzip
        self.acl_policy = acl_policy

    def execute(self, context: Context) -> None:
        """Upload it."""
        self.hook.load_file(
            self.filename,
            self.dest_key,
            self.dest_bucket,
            self.replace,
            self.encrypt,
            self.gzip,
            self.acl_policy,
        )


class S3ToLocalFilesystemOperator(AwsBaseOperator):
    """Download an object to a file and return the file's path.

    The file is replaced once the download is complete; a broken one leaves what was there. Another task finds the file
    only on the same machine: hand files over with ``context["artifacts"]``, or read them from S3.

    Args:
        s3_key: of the object, or its address ``s3://bucket/key``.
        filename: where to; its folder is made if it is not there.
        s3_bucket: the bucket, unless it stands in the address or in the connection.
        **kwargs: see AwsBaseOperator.
    """

    template_fields: Sequence[str] = (*COMMON, "s3_bucket", "s3_key", "filename")

    def __init__(self, *, s3_key: str, filename: str | Path, s3_bucket: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.s3_key = s3_key
        self.filename = filename
        self.s3_bucket = s3_bucket

    def execute(self, context: Context) -> str:
        """Download it."""
        target = Path(self.filename)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.hook.download_to(self.s3_key, self.s3_bucket, target)
        return str(target)


class S3FileTransformOperator(BaseOperator):
    """Bring an object here, pass it through a program or a function, and store what comes out.

    The program is called with the path of the source, the path to write to, and ``script_args``; its output goes to the
    task's log while it runs. When the task ends, for whatever reason, so does everything that the program started.
    Without a transformation the object, or what ``select_expression`` finds in it, is copied through this machine.

    Args:
        source_s3_key: the address of the source, ``s3://bucket/key``.
        dest_s3_key: the address of the result.
        transform_script: the path of a program, or a function of the two paths and ``script_args``.
        select_expression: an S3 Select expression; the source is then what it finds.
        select_expr_serialization_config: ``input_serialization`` and ``output_serialization`` of S3 Select.
        script_args: further arguments.
        source_aws_conn_id: the connection to read with.
        source_verify: whether certificates are checked there.
        dest_aws_conn_id: the connection to write with.
        dest_verify: whether certificates are checked there.
        replace: write over a result that is there; else that is an error, found before anything is done.
        **kwargs: see BaseOperator.
    """

    template_fields: Sequence[str] = ("source_s3_key", "dest_s3_key", "select_expression", "script_args")
    ui_color = "#f6c98b"

    def __init__(
        self,
        *,
        source_s3_key: str,
        dest_s3_key: str,
        transform_script: str | Callable[..., object] | None = None,
        select_expression: str | None = None,
        select_expr_serialization_config: Mapping[str, Mapping[str, Any]] | None = None,
        script_args: Sequence[str] | None = None,
        source_aws_conn_id: str | None = DEFAULT,
        source_verify: bool | str | None = None,
        dest_aws_conn_id: str | None = DEFAULT,
        dest_verify: bool | str | None = None,
        replace: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_s3_key = source_s3_key
        self.dest_s3_key = dest_s3_key
        self.transform_script = transform_script
        self.select_expression = select_expression
        self.select_expr_serialization_config = select_expr_serialization_config or {}
        self.script_args = [] if script_args is None else script_args
        self.source_aws_conn_id = source_aws_conn_id
        self.source_verify = source_verify
        self.dest_aws_conn_id = dest_aws_conn_id
        self.dest_verify = dest_verify
        self.replace = replace
        self._check_written()

    def _check_written(self) -> None:
        if self.transform_script is None and self.select_expression is None:
            raise AuthoringError(f"task {self.task_id!r}: give transform_script or select_expression, or use "
                                 "S3CopyObjectOperator")  # fmt: skip

    def execute(self, context: Context) -> None:
        """Download, transform, upload."""
        self._check_written()  # again: another task may have given None
        source = make_hook(self.source_aws_conn_id, None, self.source_verify, None)
        dest = make_hook(self.dest_aws_conn_id, None, self.dest_verify, None)
        if not self.replace and dest.check_for_key(self.dest_s3_key):
            raise ValueError(f"the key {self.dest_s3_key} exists already; use replace=True to write over it")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="windlass-transform-")))
            fetched, made = folder / "source", folder / "dest"
            self._fetch(source, fetched)
            self._transform(fetched, made)
            if not made.is_file():
                raise FileNotFoundError(
                    f"task {self.task_id!r}: the transformation ended well but wrote nothing to the path in its second "
                    "argument, so there is nothing to store"
                )
            dest.load_file(made, self.dest_s3_key, replace=self.replace)

    def _fetch(self, source: S3Hook, path: Path) -> None:
        if self.select_expression is None:
            source.download_to(self.source_s3_key, None, path)
            return
        found = source.select_key(
            self.source_s3_key,
            expression=self.select_expression,
            input_serialization=self.select_expr_serialization_config.get("input_serialization"),
            output_serialization=self.select_expr_serialization_config.get("output_serialization"),
        )
        path.write_text(found, encoding="utf-8", newline="")

    def _transform(self, source: Path, dest: Path) -> None:
        if self.transform_script is None:
            shutil.move(source, dest)
        elif callable(self.transform_script):
            self.transform_script(str(source), str(dest), *self.script_args)
        else:
            self._run_script(self.transform_script, source, dest)

    def _run_script(self, script: str, source: Path, dest: Path) -> None:
        from windlass_aws import process

        arguments = [script, str(source), str(dest), *map(str, self.script_args)]
        try:
            code = process.run(arguments, lambda line: self.log.info("%s", line))
        except OSError as error:
            raise RuntimeError(
                f"task {self.task_id!r}: the program {script!r} cannot be started ({error.strerror}); give the path of "
                "an executable file"
            ) from None
        if code != 0:
            raise RuntimeError(
                f"task {self.task_id!r}: the program {script!r} ended with exit code {code}; its output above says why"
            )
