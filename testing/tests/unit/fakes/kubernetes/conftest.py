"""A cluster for the tests of a file, empty at the beginning of each, and a client of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from testing.tests.unit.fakes.kubernetes.client import DEPLOYMENTS, JOBS, MAPS, PODS, Client

from windlass_testing.fakes.kubernetes import FakeKubernetes


@pytest.fixture(scope="module")
def cluster() -> Iterator[FakeKubernetes]:
    with FakeKubernetes(images={"talker": ["echo", "by itself"]}) as made:
        yield made


@pytest.fixture
def kube(cluster: FakeKubernetes) -> Client:
    return Client(cluster.url)


@pytest.fixture(autouse=True)
def _clean(cluster: FakeKubernetes, kube: Client) -> Iterator[None]:
    yield
    cluster.faults.clear()
    for path in (JOBS, DEPLOYMENTS, PODS, MAPS):
        kube.call("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
    while kube.call("GET", PODS)[1]["items"]:
        time.sleep(0.01)
