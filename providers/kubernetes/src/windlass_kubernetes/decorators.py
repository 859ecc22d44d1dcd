"""``@task.kubernetes``: a function that runs in a pod."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final, overload

from windlass.errors import TaskFailed
from windlass.operators import (
    Context,
    DecoratedOperator,
    TaskDecorator,
    check_source,
    crossing_call,
    source_of,
    task_decorator_factory,
)
from windlass_kubernetes.operators.pod import KubernetesPodOperator

#: What the pod's Python is given: it unpacks the call, keeps the source for tracebacks, and writes the result.
_LOADER: Final = """\
import base64, json, linecache, os, sys, traceback, zlib
call = json.loads(zlib.decompress(base64.b64decode("".join(sys.argv[2:]))))
source, file = call["source"], "<" + call["name"] + ">"
linecache.cache[file] = (len(source), None, source.splitlines(True), file)
names = {"__name__": "__main__"}
try:
    exec(compile(source, file, "exec"), names)
    result = names[call["name"]](*call["args"], **call["kwargs"])
except Exception as error:
    traceback.print_exception(type(error), error, error.__traceback__.tb_next)
    sys.exit(1)
if sys.argv[1]:
    text = json.dumps(result)
    os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
    with open(sys.argv[1] + ".new", "w", encoding="utf-8") as made:
        made.write(text)
    os.replace(sys.argv[1] + ".new", sys.argv[1])
"""
#: One argument of a program has at most 128 KiB; all of a pod's specification at most about 1.5 MB.
_PIECE: Final = 100_000
_MOST: Final = 1_000_000


class KubernetesDecoratedOperator(DecoratedOperator, KubernetesPodOperator):
    """The operator behind ``@task.kubernetes``: ships the function's source to the pod and calls it there.

    The image needs Python 3 and nothing of Windlass. The function imports what it needs inside itself; its arguments
    and its result are plain JSON values.
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *KubernetesPodOperator.template_fields)
    custom_operator_name = "@task.kubernetes"

    def __init__(self, *, python: str = "python3", do_xcom_push: bool = True, **kwargs: Any) -> None:
        """Declare the task.

        Args:
            python: the interpreter in the image.
            do_xcom_push: whether the result comes back; it needs the sidecar.
            **kwargs: see KubernetesPodOperator.
        """
        super().__init__(do_xcom_push=do_xcom_push, **kwargs)
        check_source(self.python_callable, self.task_id)
        self.python = python

    def build_pod_request_obj(self, context: Context) -> dict[str, Any]:
        """Return the manifest of a pod that calls the function.

        :raises TaskFailed: if the call is too large for a pod.
        """
        from windlass_kubernetes.manifests import XCOM_FILE

        self.cmds = [self.python, "-c", _LOADER]
        self.arguments = [XCOM_FILE if self.do_xcom_push else "", *self._call(context)]
        return KubernetesPodOperator.build_pod_request_obj(self, context)

    def _call(self, context: Context) -> list[str]:
        # The annotations of the function are not evaluated: what they name need not exist over there.
        source = f"from __future__ import annotations\n{source_of(self.python_callable)}\n"
        call = {**json.loads(crossing_call(self, context)), "name": self.python_callable.__name__, "source": source}
        packed = base64.b64encode(zlib.compress(json.dumps(call).encode(), 6)).decode()
        if len(packed) > _MOST:
            raise TaskFailed(
                f"task {self.task_id!r}: the function and its arguments take {len(packed):,} bytes, more than a pod's "
                "specification can hold; pass where the data is rather than the data"
            )
        return [packed[start : start + _PIECE] for start in range(0, len(packed), _PIECE)]

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - the result of the function
        """Call the function in a pod and return its result."""
        return KubernetesPodOperator.execute(self, context)


@overload
def kubernetes_task(python_callable: Callable[..., Any], **kwargs: Any) -> TaskDecorator: ...
@overload
def kubernetes_task(python_callable: None = None, **kwargs: Any) -> Callable[[Callable[..., Any]], TaskDecorator]: ...
def kubernetes_task(
    python_callable: Callable[..., Any] | None = None, **kwargs: Any
) -> TaskDecorator | Callable[[Callable[..., Any]], TaskDecorator]:
    """Make a function a task that runs in a pod: ``@kubernetes_task(image="python:3.13")``.

    The same as ``@task.kubernetes``, with types.
    """
    made: TaskDecorator | Callable[[Callable[..., Any]], TaskDecorator] = task_decorator_factory(
        python_callable, decorated_operator_class=KubernetesDecoratedOperator, **kwargs
    )
    return made
