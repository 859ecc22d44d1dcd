"""A fake Kubernetes with the real wire protocol: an API server, a kubelet and the controllers that tests need.

:class:`FakeKubernetes` is the cluster. The official Python client, kubectl and a browser can all talk to it: it has
discovery, lists in pages, watches with bookmarks and versions that are too old, the four kinds of patch, logs that can
be followed, ``exec`` over a WebSocket, and the proxy to services. Pods really run, as local processes (:mod:`.kubelet`
says how far that is like a container, :mod:`.mounts` what becomes of volumes, :mod:`.network` how pods are reached).
Jobs and deployments have their controllers. Its errors are ``Status`` objects with Kubernetes' own words, and a test
can inject faults (:mod:`.faults`).

What it is not: there is no authorization (a fault can forbid), no admission plug-in, no image, and of the network
only what :mod:`.network` says.
"""

from __future__ import annotations

from windlass_testing.fakes.kubernetes.faults import Fault as Fault
from windlass_testing.fakes.kubernetes.server import FakeKubernetes as FakeKubernetes
from windlass_testing.fakes.running import run_until_stopped


def serve(host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve a cluster until the process is interrupted; print one line of JSON with its ``url`` when it is ready."""
    run_until_stopped(
        FakeKubernetes(host, port), lambda cluster: {"url": cluster.url, "kubeconfig": cluster.kubeconfig()}
    )
