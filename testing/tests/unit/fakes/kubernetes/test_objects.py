"""Objects of the fake Kubernetes: how they are made, refused, patched, applied, listed, owned and watched."""

# ruff: noqa: ANN401 - bodies are JSON
from __future__ import annotations

from typing import Any

import pytest
from testing.tests.unit.fakes.kubernetes.client import JOBS, MAPS, PODS, Client, Json, pod

from windlass_testing.fakes.kubernetes import FakeKubernetes

pytestmark = pytest.mark.timeout(40)

# --- Objects ----------------------------------------------------------------------------------------------------------


def test_an_object_gets_its_metadata_from_the_server(kube: Client) -> None:
    code, made = kube.call("POST", MAPS, {"metadata": {"generateName": "a-"}, "data": {"k": "v"}})
    assert code == 201
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
    assert made["metadata"]["name"].startswith("a-")
    assert {"uid", "resourceVersion", "creationTimestamp"} <= set(made["metadata"])
    path = f"{MAPS}/{made['metadata']['name']}"
    assert kube.call("GET", path) == (200, made)
    same = kube.call("PUT", path, made)[1]
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"], "nothing changed, no new version"


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "reason", "message"),
    [
        ("GET", f"{MAPS}/absent", None, 404, "NotFound", 'configmaps "absent" not found'),
        ("GET", f"{JOBS}/absent", None, 404, "NotFound", 'jobs.batch "absent" not found'),
        ("GET", "/api/v1/things", None, 404, "NotFound", "the server could not find the requested resource"),
        ("POST", MAPS, {"metadata": {"name": "there"}}, 409, "AlreadyExists", 'configmaps "there" already exists'),
        ("POST", MAPS, {"metadata": {"name": "A b"}}, 422, "Invalid", 'ConfigMap "A b" is invalid: metadata.name:'),
        ("POST", PODS, {"metadata": {"name": "p"}, "spec": {}}, 422, "Invalid", "spec.containers: Required value"),
        ("POST", PODS, pod("p", restartPolicy="Now"), 422, "Invalid", 'spec.restartPolicy: Unsupported value: "Now"'),
        ("POST", PODS, pod("p", serviceAccountName="no"), 403, "Forbidden", 'serviceaccount "no" not found'),
        ("POST", MAPS.replace("default", "no"), {"metadata": {"name": "x"}}, 404, "NotFound", '"no" not found'),
        ("DELETE", f"{MAPS}/there", {"preconditions": {"uid": "other"}}, 409, "Conflict",
         "the UID in the precondition (other) does not match"),
        ("POST", MAPS, [], 400, "BadRequest", "cannot unmarshal"),
        ("PUT", f"{MAPS}/there", {"metadata": {"name": "there", "resourceVersion": "1"}}, 409, "Conflict",
         "the object has been modified; please apply your changes to the latest version and try again"),
    ],
)  # fmt: skip
def test_refusals_are_statuses_in_kubernetes_own_words(
    kube: Client, method: str, path: str, body: Any, code: int, reason: str, message: str
) -> None:
    kube.call("POST", MAPS, {"metadata": {"name": "there"}})
    found, status = kube.call(method, path, body)
    assert (found, status["kind"], status["status"], status["reason"], status["code"]) == (
        code, "Status", "Failure", reason, code,
    )  # fmt: skip
    assert message in status["message"]


def test_the_kinds_of_patch(kube: Client) -> None:
    kube.call("POST", PODS, pod("patched"))
    path = f"{PODS}/patched"
    merged = kube.call("PATCH", path, {"metadata": {"labels": {"app": None, "a": "1"}}}, "application/merge-patch+json")
    assert merged[1]["metadata"]["labels"] == {"a": "1"}
    body = {"spec": {"containers": [{"name": "main", "image": "other"}]}}
    strategic = kube.call("PATCH", path, body, "application/strategic-merge-patch+json")[1]
    assert strategic["spec"]["containers"][0]["image"] == "other"
    assert strategic["spec"]["containers"][0]["command"] == ["sleep", "600"], "items of a list are merged by their name"
    operations = [{"op": "test", "path": "/metadata/labels/a", "value": "1"},
                  {"op": "add", "path": "/metadata/labels/x~1y", "value": "2"}]  # fmt: skip
    assert kube.call("PATCH", path, operations, "application/json-patch+json")[1]["metadata"]["labels"]["x/y"] == "2"
    operations[0]["value"] = "no"
    assert kube.call("PATCH", path, operations, "application/json-patch+json")[0] == 422
    forbidden = kube.call("PATCH", path, {"spec": {"nodeSelector": {"a": "b"}}}, "application/merge-patch+json")
    assert forbidden[0] == 422
    assert "pod updates may not change fields other than" in forbidden[1]["message"]
    assert kube.call("PATCH", path, {}, "text/plain")[0] == 415


def test_server_side_apply_knows_who_owns_a_field(kube: Client) -> None:
    def apply(data: Json, manager: str, **query: Any) -> tuple[int, Json]:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data}
        kind = "application/apply-patch+yaml"
        return kube.call("PATCH", f"{MAPS}/applied", body, kind, fieldManager=manager, **query)

    assert apply({"a": "1", "b": "1"}, "one")[0] == 201
    code, status = apply({"a": "2"}, "two")
    assert code == 409
    assert 'conflict with "one"' in status["message"]
    assert ".data.a" in status["message"]
    assert apply({"a": "2"}, "two", force="true")[1]["data"] == {"a": "2", "b": "1"}
    assert apply({}, "one")[1]["data"] == {"a": "2"}, "what its manager no longer applies goes"
    assert "fieldManager: Required value: is required for apply patch" in apply({}, "")[1]["message"]
    nothing = kube.call("PATCH", f"{MAPS}/x", {}, "application/apply-patch+yaml", fieldManager="one")
    assert nothing[1]["message"].startswith("Incorrect version specified in apply patch.")


def test_lists_are_selected_and_come_in_pages(kube: Client, cluster: FakeKubernetes) -> None:
    for number in range(5):
        labels = {"n": str(number), "even": str(number % 2 == 0).lower()}
        kube.call("POST", MAPS, {"metadata": {"name": f"m{number}", "labels": labels}})

    def names(**query: Any) -> list[str]:
        return [one["metadata"]["name"] for one in kube.call("GET", MAPS, **query)[1]["items"]]

    assert names(labelSelector="even=true") == ["m0", "m2", "m4"]
    assert names(labelSelector="n in (1,2),even!=true") == ["m1"]
    assert names(labelSelector="!n") == []
    assert names(fieldSelector="metadata.name=m3") == ["m3"]
    assert kube.call("GET", MAPS, fieldSelector="data.x=1")[1]["message"] == "field label not supported: data.x"
    first = kube.call("GET", MAPS, limit=3)[1]
    assert [one["metadata"]["name"] for one in first["items"]] == ["m0", "m1", "m2"]
    assert first["metadata"]["remainingItemCount"] == 2
    assert names(limit=3, **{"continue": first["metadata"]["continue"]}) == ["m3", "m4"]
    cluster.store.compact()
    code, status = kube.call("GET", MAPS, **{"continue": first["metadata"]["continue"]})
    assert (code, status["reason"]) == (410, "Expired")


def test_what_an_object_owns_goes_with_it(kube: Client) -> None:
    def owned(propagation: str) -> int:
        owner = kube.call("POST", MAPS, {"metadata": {"name": "owner"}})[1]["metadata"]
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
        kube.call("POST", MAPS, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
        kube.call("DELETE", f"{MAPS}/owner", {"propagationPolicy": propagation})
        assert kube.call("GET", f"{MAPS}/owner")[0] == 404
        return kube.call("GET", f"{MAPS}/owned")[0]

    assert owned("Background") == 404
    assert owned("Foreground") == 404
    assert owned("Orphan") == 200


# --- Watches ----------------------------------------------------------------------------------------------------------


def test_a_watch_tells_what_happens_after_its_version(kube: Client) -> None:
    version = kube.call("GET", MAPS)[1]["metadata"]["resourceVersion"]
    kube.call("POST", MAPS, {"metadata": {"name": "a", "labels": {"on": "1"}}})
    kube.call("PATCH", f"{MAPS}/a", {"data": {"k": "1"}}, "application/merge-patch+json")
    kube.call("PATCH", f"{MAPS}/a", {"metadata": {"labels": None}}, "application/merge-patch+json")
    kube.call("DELETE", f"{MAPS}/a")
    found = list(kube.events(MAPS, resourceVersion=version, timeoutSeconds=1))
    assert [event["type"] for event in found] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in found]
    assert versions == sorted(set(versions))
    labelled = list(kube.events(MAPS, resourceVersion=version, labelSelector="on=1", timeoutSeconds=1))
    assert [event["type"] for event in labelled] == ["ADDED", "MODIFIED", "DELETED"], "it has left the selection"


def test_a_watch_without_a_version_begins_with_what_is_there(kube: Client) -> None:
    kube.call("POST", MAPS, {"metadata": {"name": "a"}})
    assert [event["type"] for event in kube.events(MAPS, timeoutSeconds=1)] == ["ADDED"]


def test_a_watch_bookmarks_what_it_has_passed(kube: Client) -> None:
    version = kube.call("GET", MAPS)[1]["metadata"]["resourceVersion"]
    kube.call("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"generateName": "s-"}})
    (mark,) = kube.events(MAPS, resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=1)
    assert mark["type"] == "BOOKMARK"
    assert int(mark["object"]["metadata"]["resourceVersion"]) > int(version)


def test_a_version_that_is_too_old(kube: Client, cluster: FakeKubernetes) -> None:
    version = kube.call("GET", MAPS)[1]["metadata"]["resourceVersion"]
    cluster.store.compact()
    (error,) = kube.events(MAPS, resourceVersion=version)
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
