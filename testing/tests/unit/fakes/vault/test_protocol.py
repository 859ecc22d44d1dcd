"""What Vault answers to hvac. It is set up through the API alone, so a real Vault can be held to it as well."""

from __future__ import annotations

import hvac
import pytest
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest

READ_ONLY = '{"path": {"%s/data/app/*": {"capabilities": ["read"]}, "%s/metadata/*": {"capabilities": ["list"]}}}'


def enable(client: hvac.Client, mount: str, version: int = 2) -> None:
    client.sys.enable_secrets_engine("kv", path=mount, options={"version": str(version)})


def user_of(client: hvac.Client, token: str) -> hvac.Client:
    return hvac.Client(client.url, token, session=client.session)


# --- KV 1


def test_version_1_keeps_one_value_at_a_path(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount, 1)
    kv = real_or_fake.secrets.kv.v1
    kv.create_or_update_secret("app/db", {"user": "ada"}, mount_point=mount)
    kv.create_or_update_secret("app/db", {"user": "bob", "naïve": "ключ"}, mount_point=mount)
    kv.create_or_update_secret("top", {"x": "1"}, mount_point=mount)
    answer = kv.read_secret("app/db", mount)
    assert answer["data"] == {"user": "bob", "naïve": "ключ"}
    assert answer["lease_duration"] == 2_764_800
    assert kv.list_secrets("", mount)["data"]["keys"] == ["app/", "top"]
    kv.delete_secret("app/db", mount)
    with pytest.raises(InvalidPath) as caught:
        kv.read_secret("app/db", mount)
    assert caught.value.json == {"errors": []}


def test_version_1_answers_a_path_of_version_2_as_if_nothing_were_there(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount, 1)
    real_or_fake.secrets.kv.v1.create_or_update_secret("db", {"user": "ada"}, mount_point=mount)
    with pytest.raises(InvalidPath) as caught:
        real_or_fake.secrets.kv.v2.read_secret_version("db", mount_point=mount, raise_on_deleted_version=True)
    assert caught.value.json == {"errors": []}


# --- KV 2


def read(client: hvac.Client, mount: str, path: str = "db", version: int | None = None) -> dict[str, object]:
    found: dict[str, object] = client.secrets.kv.v2.read_secret_version(
        path, version, mount_point=mount, raise_on_deleted_version=True
    )["data"]
    return found


def test_version_2_keeps_versions(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount)
    kv = real_or_fake.secrets.kv.v2
    first = kv.create_or_update_secret("db", {"n": 1}, mount_point=mount)["data"]
    assert first["version"] == 1
    assert first["destroyed"] is False
    assert first["deletion_time"] == ""
    kv.create_or_update_secret("db", {"n": 2}, mount_point=mount)
    assert read(real_or_fake, mount)["data"] == {"n": 2}
    assert read(real_or_fake, mount, version=1)["data"] == {"n": 1}
    with pytest.raises(InvalidPath):
        read(real_or_fake, mount, version=3)
    about = kv.read_secret_metadata("db", mount)["data"]
    assert about["current_version"] == 2
    assert sorted(about["versions"]) == ["1", "2"]
    assert kv.list_secrets("", mount)["data"]["keys"] == ["db"]


def test_a_deleted_version_is_a_404_that_knows_when_and_can_come_back(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount)
    kv = real_or_fake.secrets.kv.v2
    kv.create_or_update_secret("db", {"n": 1}, mount_point=mount)
    kv.delete_latest_version_of_secret("db", mount)
    with pytest.raises(InvalidPath) as caught:
        read(real_or_fake, mount)
    assert caught.value.json["data"]["data"] is None  # type: ignore[index]
    assert caught.value.json["data"]["metadata"]["deletion_time"]  # type: ignore[index]
    kv.undelete_secret_versions("db", [1], mount)
    assert read(real_or_fake, mount)["data"] == {"n": 1}
    kv.destroy_secret_versions("db", [1], mount)
    with pytest.raises(InvalidPath):
        read(real_or_fake, mount)
    kv.undelete_secret_versions("db", [1], mount)
    with pytest.raises(InvalidPath):
        read(real_or_fake, mount)
    kv.delete_metadata_and_all_versions("db", mount)
    with pytest.raises(InvalidPath):
        kv.read_secret_metadata("db", mount)


def test_check_and_set_writes_over_the_version_that_was_read_alone(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount)
    kv = real_or_fake.secrets.kv.v2
    kv.create_or_update_secret("db", {"n": 1}, cas=0, mount_point=mount)
    kv.create_or_update_secret("db", {"n": 2}, cas=1, mount_point=mount)
    for stale in (0, 1, 3):
        with pytest.raises(InvalidRequest, match="check-and-set parameter did not match the current version"):
            kv.create_or_update_secret("db", {"n": 3}, cas=stale, mount_point=mount)
    kv.update_metadata("db", cas_required=True, mount_point=mount)
    with pytest.raises(InvalidRequest, match="check-and-set parameter required for this call"):
        kv.create_or_update_secret("db", {"n": 3}, mount_point=mount)
    assert read(real_or_fake, mount)["data"] == {"n": 2}


def test_old_versions_go_when_there_are_too_many(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount)
    kv = real_or_fake.secrets.kv.v2
    kv.update_metadata("db", max_versions=2, mount_point=mount)
    for number in range(1, 5):
        kv.create_or_update_secret("db", {"n": number}, mount_point=mount)
    assert sorted(kv.read_secret_metadata("db", mount)["data"]["versions"]) == ["3", "4"]


def test_version_2_says_that_a_path_is_of_version_1(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount)
    with pytest.raises(InvalidPath) as caught:
        real_or_fake.secrets.kv.v1.read_secret("db", mount)
    (warning,) = caught.value.json["warnings"]  # type: ignore[index]
    assert "Invalid path for a versioned K/V secrets engine" in warning


def test_it_tells_which_version_is_mounted(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount, 1)
    found = real_or_fake.read(f"sys/internal/ui/mounts/{mount}")
    assert isinstance(found, dict)
    assert found["data"]["type"] == "kv"
    assert (found["data"]["options"] or {}).get("version", "1") == "1"
    mounts = real_or_fake.read("sys/mounts")
    assert isinstance(mounts, dict)
    assert f"{mount}/" in mounts["data"]


def test_a_path_that_nothing_is_mounted_at_has_no_handler(real_or_fake: hvac.Client, mount: str) -> None:
    with pytest.raises(InvalidPath, match="no handler for route"):
        read(real_or_fake, mount)


# --- Policies and tokens


def test_a_policy_grants_what_it_names_and_no_more(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount)
    real_or_fake.sys.create_or_update_policy(mount, READ_ONLY % (mount, mount))
    real_or_fake.secrets.kv.v2.create_or_update_secret("app/db", {"n": 1}, mount_point=mount)
    token = real_or_fake.auth.token.create(policies=[mount])["auth"]["client_token"]
    user = user_of(real_or_fake, token)
    assert read(user, mount, "app/db")["data"] == {"n": 1}
    assert user.secrets.kv.v2.list_secrets("app", mount)["data"]["keys"] == ["db"]
    with pytest.raises(Forbidden, match="permission denied"):
        read(user, mount, "other")
    with pytest.raises(Forbidden, match="permission denied"):
        user.secrets.kv.v2.create_or_update_secret("app/db", {"n": 2}, mount_point=mount)
    with pytest.raises(Forbidden):
        user.read("sys/mounts")
    assert user.is_authenticated()


def test_a_policy_in_hcl_says_the_same(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount, 1)
    policy = f'path "{mount}/+/db" {{\n  capabilities = ["create", "update", "read"]\n}}\n'
    policy += f'path "{mount}/secret/db" {{ capabilities = ["deny"] }}'
    real_or_fake.sys.create_or_update_policy(mount, policy)
    user = user_of(real_or_fake, real_or_fake.auth.token.create(policies=[mount])["auth"]["client_token"])
    user.secrets.kv.v1.create_or_update_secret("app/db", {"x": "1"}, mount_point=mount)
    assert user.secrets.kv.v1.read_secret("app/db", mount)["data"] == {"x": "1"}
    for path in ("secret/db", "app/other"):
        with pytest.raises(Forbidden):
            user.secrets.kv.v1.read_secret(path, mount)


def test_what_one_policy_denies_no_other_grants(real_or_fake: hvac.Client, mount: str) -> None:
    enable(real_or_fake, mount, 1)
    real_or_fake.secrets.kv.v1.create_or_update_secret("db", {"x": "1"}, mount_point=mount)
    for name, capability in ((f"{mount}-may", "read"), (f"{mount}-may-not", "deny")):
        real_or_fake.sys.create_or_update_policy(name, f'path "{mount}/db" {{ capabilities = ["{capability}"] }}')
    token = real_or_fake.auth.token.create(policies=[f"{mount}-may"])["auth"]["client_token"]
    assert user_of(real_or_fake, token).secrets.kv.v1.read_secret("db", mount)["data"] == {"x": "1"}
    token = real_or_fake.auth.token.create(policies=[f"{mount}-may", f"{mount}-may-not"])["auth"]["client_token"]
    with pytest.raises(Forbidden, match="permission denied"):
        user_of(real_or_fake, token).secrets.kv.v1.read_secret("db", mount)


def test_a_token_that_vault_does_not_know_may_nothing(real_or_fake: hvac.Client) -> None:
    stranger = user_of(real_or_fake, "hvs.unknown")
    assert not stranger.is_authenticated()
    for visitor in (stranger, user_of(real_or_fake, "")):
        with pytest.raises(Forbidden, match="permission denied"):
            read(visitor, "secret")
    with pytest.raises(Forbidden, match="bad token"):
        real_or_fake.auth.token.lookup("hvs.unknown")


def test_a_token_is_described_renewed_and_revoked(real_or_fake: hvac.Client) -> None:
    auth = real_or_fake.auth.token.create(policies=["default"], ttl="1h", explicit_max_ttl="2h")["auth"]
    assert auth["lease_duration"] == 3600
    assert auth["renewable"] is True
    user = user_of(real_or_fake, auth["client_token"])
    about = user.auth.token.lookup_self()["data"]
    assert about["id"] == auth["client_token"]
    assert about["explicit_max_ttl"] == 7200
    assert 3590 <= about["ttl"] <= 3600
    assert about["policies"] == ["default"]
    renewed = user.auth.token.renew_self(increment="90m")
    assert 5390 <= renewed["auth"]["lease_duration"] <= 5400
    capped = user.auth.token.renew_self(increment="5h")
    assert 7190 <= capped["auth"]["lease_duration"] <= 7200
    assert "max_ttl" in capped["warnings"][0]
    user.auth.token.revoke_self()
    assert not user.is_authenticated()


def test_a_token_that_is_not_renewable_says_so(real_or_fake: hvac.Client) -> None:
    token = real_or_fake.auth.token.create(ttl="1h", renewable=False, policies=["default"])["auth"]["client_token"]
    with pytest.raises(InvalidRequest, match="lease is not renewable"):
        user_of(real_or_fake, token).auth.token.renew_self()


def test_a_tokens_children_end_with_it(real_or_fake: hvac.Client) -> None:
    policy = '{"path": {"auth/token/create": {"capabilities": ["update"]}}}'
    real_or_fake.sys.create_or_update_policy("windlass-maker", policy)
    parent = real_or_fake.auth.token.create(policies=["windlass-maker"])["auth"]["client_token"]
    child = user_of(real_or_fake, parent).auth.token.create(policies=["default"])["auth"]["client_token"]
    assert user_of(real_or_fake, child).is_authenticated()
    real_or_fake.auth.token.revoke(parent)
    assert not user_of(real_or_fake, child).is_authenticated()


# --- Logins


def test_approle_wants_both_ids(real_or_fake: hvac.Client, mount: str) -> None:
    real_or_fake.sys.enable_auth_method("approle", path=mount)
    roles = real_or_fake.auth.approle
    roles.create_or_update_approle(
        "etl", token_policies=["default"], token_ttl="20m", secret_id_num_uses=1, mount_point=mount
    )
    role_id = roles.read_role_id("etl", mount)["data"]["role_id"]
    secret_id = roles.generate_secret_id("etl", mount_point=mount)["data"]["secret_id"]
    visitor = user_of(real_or_fake, "")
    auth = visitor.auth.approle.login(role_id, secret_id, mount_point=mount)["auth"]
    assert auth["lease_duration"] == 1200
    assert auth["metadata"] == {"role_name": "etl"}
    assert visitor.is_authenticated()
    for wrong in ((role_id, secret_id), (role_id, "other"), ("other", secret_id)):  # the secret id is used up
        with pytest.raises(InvalidRequest, match="invalid role or secret ID"):
            visitor.auth.approle.login(*wrong, mount_point=mount)
    with pytest.raises(InvalidRequest, match="missing secret_id"):
        visitor.auth.approle.login(role_id, mount_point=mount)


def test_userpass_wants_the_password(real_or_fake: hvac.Client, mount: str) -> None:
    real_or_fake.sys.enable_auth_method("userpass", path=mount)
    users = real_or_fake.auth.userpass
    users.create_or_update_user("ada", "pässwörd", policies="default", mount_point=mount)
    visitor = user_of(real_or_fake, "")
    auth = visitor.auth.userpass.login("ada", "pässwörd", mount_point=mount)["auth"]
    assert auth["metadata"] == {"username": "ada"}
    for name, password in (("ada", "wrong"), ("eve", "pässwörd")):
        with pytest.raises(InvalidRequest, match="invalid username or password"):
            visitor.auth.userpass.login(name, password, mount_point=mount)


def test_a_login_needs_its_method(real_or_fake: hvac.Client, mount: str) -> None:
    visitor = user_of(real_or_fake, "")
    with pytest.raises((Forbidden, InvalidRequest, InvalidPath)):
        visitor.auth.approle.login("r", "s", mount_point=mount)
