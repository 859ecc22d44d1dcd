"""What S3Hook does with buckets, keys and contents, against a server that speaks S3."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

import gzip
import io
import itertools
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import NotFound, UsageError
from windlass_aws.failures import AwsError, AwsNotFound
from windlass_aws.hooks import S3Hook
from windlass_aws.s3.address import get_s3_bucket_key, parse_s3_url

# --- Addresses


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("s3://bucket/a/b c.txt", ("bucket", "a/b c.txt")),
        ("s3://bucket", ("bucket", "")),
        ("S3A://bucket/ä%20/", ("bucket", "ä%20/")),
        ("s3n://bucket//leading", ("bucket", "/leading")),
        ("https://bucket.s3.amazonaws.com/a%20b", ("bucket", "a b")),
        ("https://my.dotted.bucket.s3.eu-west-1.amazonaws.com/k", ("my.dotted.bucket", "k")),
        ("https://s3.eu-west-1.amazonaws.com/bucket/k/l", ("bucket", "k/l")),
        ("http://127.0.0.1:9000/bucket/k", ("bucket", "k")),
    ],
)
def test_an_address_names_a_bucket_and_a_key(address: str, parts: tuple[str, str]) -> None:
    assert parse_s3_url(address) == parts


@pytest.mark.parametrize("address", ["bucket/key", "ftp://bucket/key", "s3:///key", "", "s3://"])
def test_what_is_no_address_is_refused_with_how_one_looks(address: str) -> None:
    with pytest.raises(UsageError, match="write s3://bucket/key"):
        parse_s3_url(address)


def test_bucket_and_key_may_come_apart_or_together_but_not_both() -> None:
    assert get_s3_bucket_key("b", "k") == get_s3_bucket_key(None, "s3://b/k") == ("b", "k")
    with pytest.raises(UsageError, match="leave bucket_name out"):
        get_s3_bucket_key("b", "s3://b/k")
    with pytest.raises(UsageError, match="no bucket is named"):
        get_s3_bucket_key(None, "k")


# --- Buckets


def test_a_bucket_comes_and_goes(hook: S3Hook, bucket: str) -> None:
    assert hook.check_for_bucket(bucket)
    hook.create_bucket(bucket)  # one's own is no error
    hook.delete_bucket(bucket)
    assert not hook.check_for_bucket(bucket)
    with pytest.raises(AwsNotFound, match=rf"s3://{bucket} through connection `aws_default`.*NoSuchBucket"):
        hook.delete_bucket(bucket)


def test_a_bucket_may_lie_in_another_region(hook: S3Hook, bucket: str) -> None:
    other = f"{bucket[:-3]}-eu"
    hook.create_bucket(other, region_name="eu-central-1")
    try:
        assert hook.get_conn().get_bucket_location(Bucket=other)["LocationConstraint"] == "eu-central-1"
    finally:
        hook.delete_bucket(other)


def test_a_bucket_with_objects_goes_only_by_force(hook: S3Hook, bucket: str) -> None:
    hook.get_conn().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    hook.load_string("one", "k", bucket)
    hook.load_string("two", "k", bucket, replace=True)
    hook.delete_objects(bucket, "k")
    with pytest.raises(AwsError, match=r"not empty.*force_delete"):
        hook.delete_bucket(bucket)
    hook.delete_bucket(bucket, force_delete=True)
    assert not hook.check_for_bucket(bucket)


def test_the_resource_of_a_bucket_lists_its_objects(hook: S3Hook, bucket: str) -> None:
    hook.load_string("x", "a", bucket)
    assert [item.key for item in hook.get_bucket(bucket).objects.all()] == ["a"]


def test_tags_are_set_read_and_removed(hook: S3Hook, bucket: str) -> None:
    assert hook.get_bucket_tagging(bucket) == []
    hook.put_bucket_tagging({"team": "böck"}, key="cost", value="7", bucket_name=bucket)
    tags = {tag["Key"]: tag["Value"] for tag in hook.get_bucket_tagging(bucket)}
    assert tags == {"team": "böck", "cost": "7"}
    hook.delete_bucket_tagging(bucket)
    assert hook.get_bucket_tagging(bucket) == []
    with pytest.raises(UsageError, match="both key and value"):
        hook.put_bucket_tagging(key="k", bucket_name=bucket)


def test_the_bucket_may_stand_in_the_connection(s3_url: str, connection: Any, aws: Any, bucket: str) -> None:
    connection("lake", **aws(s3_url, service_config={"s3": {"bucket_name": bucket}}))
    lake = S3Hook("lake")
    lake.load_string("text", "k")
    assert lake.read_key("k") == "text"
    assert lake.list_keys() == ["k"]
    with pytest.raises(UsageError, match=r"service_config\.s3\.bucket_name"):
        S3Hook("aws_default").list_keys()


# --- Listings


def test_keys_are_listed_by_prefix_folder_pattern_and_start(hook: S3Hook, bucket: str) -> None:
    for key in ("in/a.csv", "in/b.csv", "in/deep/c.csv", "out/d.txt", "ö.txt"):
        hook.load_string("x", key, bucket)
    assert hook.list_keys(bucket) == ["in/a.csv", "in/b.csv", "in/deep/c.csv", "out/d.txt", "ö.txt"]
    assert hook.list_keys(bucket, prefix="in/", delimiter="/") == ["in/a.csv", "in/b.csv"]
    assert hook.list_keys(prefix=f"s3://{bucket}/out") == ["out/d.txt"]
    assert hook.list_keys(bucket, prefix="in/*.csv", apply_wildcard=True) == ["in/a.csv", "in/b.csv", "in/deep/c.csv"]
    assert hook.list_keys(bucket, prefix="?n/[ab].csv", apply_wildcard=True) == ["in/a.csv", "in/b.csv"]
    assert hook.list_keys(bucket, start_after_key="in/b.csv", max_items=2) == ["in/deep/c.csv", "out/d.txt"]
    assert hook.list_keys(bucket, prefix="nothing") == []
    assert hook.list_prefixes(bucket, delimiter="/") == ["in/", "out/"]
    assert hook.list_prefixes(bucket, prefix="in/", delimiter="/") == ["in/deep/"]
    assert hook.check_for_prefix("in", "/", bucket)
    assert not hook.check_for_prefix("i", "/", bucket)


def test_a_listing_goes_over_many_pages_one_at_a_time(hook: S3Hook, bucket: str) -> None:
    for number in range(25):
        hook.load_bytes(b"", f"k{number:02}", bucket)
    requests = _count(hook, "ListObjectsV2")
    assert len(hook.list_keys(bucket, page_size=10)) == 25
    assert len(requests) == 3
    requests.clear()
    first = list(itertools.islice(hook.iter_keys(bucket, page_size=10), 5))
    assert first == ["k00", "k01", "k02", "k03", "k04"]
    assert len(requests) == 1
    assert [item["Key"] for item in hook.get_file_metadata("k2", bucket, page_size=2)] == [f"k2{n}" for n in range(5)]
    assert next(hook.iter_file_metadata("k", bucket, max_items=1))["Size"] == 0


def test_keys_are_listed_by_when_they_were_written(hook: S3Hook, bucket: str) -> None:
    hook.load_string("x", "k", bucket)
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    assert hook.list_keys(bucket, from_datetime=now - hour, to_datetime=now + hour) == ["k"]
    assert hook.list_keys(bucket, from_datetime=now + hour) == []
    assert hook.list_keys(bucket, to_datetime=now - hour) == []
    kept = hook.list_keys(bucket, object_filter=lambda found, start, end: [f"{item['Key']}!" for item in found])
    assert kept == ["k!"]


# --- Objects


def test_a_text_goes_there_and_back_in_any_encoding(hook: S3Hook, bucket: str) -> None:
    text = "Grüße, 世界 🎉\r\n" * 100_000
    hook.load_string(text, "ö/ü 世.txt", bucket)
    assert hook.read_key("ö/ü 世.txt", bucket) == text
    assert hook.read_key(f"s3://{bucket}/ö/ü 世.txt") == text
    hook.load_string("naïve", "latin", bucket, encoding="latin-1")
    assert hook.read_key("latin", bucket, encoding="latin-1") == "naïve"
    with pytest.raises(UnicodeDecodeError):
        hook.read_key("latin", bucket)


def test_an_object_is_looked_at(hook: S3Hook, bucket: str) -> None:
    hook.load_bytes(b"12345", "k", bucket)
    head = hook.head_object("k", bucket)
    assert head is not None
    assert head["ContentLength"] == 5
    assert hook.check_for_key("k", bucket)
    assert not hook.check_for_key("other", bucket)
    assert hook.head_object("other", bucket) is None
    assert hook.get_key("k", bucket).get()["Body"].read() == b"12345"


@pytest.mark.parametrize("read", [S3Hook.read_key, S3Hook.get_key, S3Hook.download_file])
def test_a_missing_key_is_one_sentence_with_its_address(hook: S3Hook, bucket: str, read: Any) -> None:
    with pytest.raises(NotFound, match=rf"s3://{bucket}/gone through connection `aws_default`: .*exist") as caught:
        read(hook, "gone", bucket)
    assert caught.value.__cause__ is None
    assert isinstance(caught.value, AwsNotFound)
    assert caught.value.status == 404


def test_an_existing_key_is_written_over_only_when_asked(hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("new")
    hook.load_string("old", "k", bucket)
    loads: list[Callable[[], None]] = [
        lambda: hook.load_string("new", "k", bucket),
        lambda: hook.load_bytes(b"new", "k", bucket),
        lambda: hook.load_file(file, "k", bucket),
        lambda: hook.load_file(file, "k", bucket, gzip=True),
        lambda: hook.load_file_obj(io.BytesIO(b"new"), "k", bucket),
    ]
    for load in loads:
        with pytest.raises(ValueError, match=rf"s3://{bucket}/k exists already; use replace=True"):
            load()
    assert hook.read_key("k", bucket) == "old"
    hook.load_file(file, "k", bucket, replace=True)
    assert hook.read_key("k", bucket) == "new"


def test_a_file_is_compressed_on_the_way_and_stays_as_it_is(hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"data" * 1000)
    hook.load_file(str(file), f"s3://{bucket}/f.gz", gzip=True)
    assert gzip.decompress(hook.get_key("f.gz", bucket).get()["Body"].read()) == b"data" * 1000
    assert sorted(tmp_path.iterdir()) == [file]
    hook.load_string("text", "t.gz", bucket, compression="gzip")
    assert gzip.decompress(hook.get_key("t.gz", bucket).get()["Body"].read()) == b"text"
    with pytest.raises(UsageError, match="may be gzip"):
        hook.load_string("text", "t", bucket, compression="zip")


def test_encryption_acl_and_extra_arguments_reach_s3(s3_url: str, hook: S3Hook, bucket: str) -> None:
    hook.load_bytes(b"x", "k", bucket, encrypt=True, acl_policy="public-read")
    head = hook.head_object("k", bucket)
    assert head is not None
    assert head["ServerSideEncryption"] == "AES256"
    grants = hook.get_conn().get_object_acl(Bucket=bucket, Key="k")["Grants"]
    assert "READ" in {grant["Permission"] for grant in grants}
    typed = S3Hook(extra_args={"ContentType": "text/csv", "Metadata": {"by": "test"}})
    typed.load_bytes(b"a,b", "t", bucket)
    head = hook.head_object("t", bucket)
    assert head is not None
    assert (head["ContentType"], head["Metadata"]) == ("text/csv", {"by": "test"})
    typed.download_file("t", bucket)


def test_a_large_stream_goes_up_in_parts_and_stays_open(hook: S3Hook, bucket: str) -> None:
    small = S3Hook(transfer_config_args={"multipart_threshold": 5 << 20, "multipart_chunksize": 5 << 20})
    data = bytes(range(256)) * (12 << 12)  # 12 MiB

    class Pipe(io.RawIOBase):
        """Reads like a pipe: it cannot seek."""

        def __init__(self) -> None:
            self._left = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._left.readinto(buffer)

    for source in (io.BytesIO(data), io.BufferedReader(Pipe()), io.BytesIO(b"")):
        small.load_file_obj(source, "big", bucket, replace=True)
        assert not source.closed
    small.load_file_obj(io.BytesIO(data), "big", bucket, replace=True)
    head = hook.head_object("big", bucket)
    assert head is not None
    assert head["ETag"].strip('"').endswith("-3")
    assert b"".join(hook.iter_bytes("big", bucket)) == data


def test_an_object_is_copied_between_buckets_in_parts_too(hook: S3Hook, bucket: str) -> None:
    small = S3Hook(transfer_config_args={"multipart_threshold": 5 << 20, "multipart_chunksize": 5 << 20})
    small.load_bytes(b"7" * (11 << 20), "ä/from", bucket)
    small.copy_object("ä/from", "to", bucket, bucket)
    small.copy_object(f"s3://{bucket}/ä/from", f"s3://{bucket}/to2", acl_policy="private")
    for key in ("to", "to2"):
        head = hook.head_object(key, bucket)
        assert head is not None
        assert head["ContentLength"] == 11 << 20
        assert head["ETag"].strip('"').endswith("-3")
    with pytest.raises(AwsNotFound, match=rf"copying s3://{bucket}/gone to s3://{bucket}/x"):
        small.copy_object("gone", "x", bucket, bucket)


def test_many_objects_are_deleted_in_batches(hook: S3Hook, bucket: str) -> None:
    requests = _count(hook, "DeleteObjects")
    hook.load_bytes(b"", "k", bucket)
    hook.delete_objects(bucket, (key for key in [*(f"none{n}" for n in range(2000)), "k"]))
    assert len(requests) == 3
    assert hook.list_keys(bucket) == []
    hook.delete_objects(bucket, [])
    hook.delete_objects(bucket, "not-there")
    assert len(requests) == 4


def test_keys_that_cannot_be_deleted_are_named(proxy: Any, connection: Any, aws: Any) -> None:
    body = (
        b'<?xml version="1.0"?><DeleteResult><Error><Key>locked</Key><Code>AccessDenied</Code>'
        b"<Message>no</Message></Error></DeleteResult>"
    )
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    proxy.answers.append(head.encode() + body)
    connection("aws_default", **aws(proxy.url))
    with pytest.raises(
        AwsError, match=r"deleting 2 objects of s3://b: 1 could not be deleted: 'locked' \(AccessDenied\)"
    ):
        S3Hook().delete_objects("b", ["locked", "free"])


def test_a_pattern_finds_a_key(hook: S3Hook, bucket: str) -> None:
    for key in ("in/2026-01.csv", "in/2026-02.csv"):
        hook.load_string(key, key, bucket)
    assert hook.get_wildcard_key("in/*-02.*", bucket).key == "in/2026-02.csv"
    assert hook.check_for_wildcard_key(f"s3://{bucket}/in/2026-??.csv")
    assert not hook.check_for_wildcard_key("in/2027*", bucket)
    assert hook.get_wildcard_key("in/x*", bucket) is None


def test_an_expression_selects_from_an_object(hook: S3Hook, bucket: str) -> None:
    hook.load_string("name,age\nada,36\ngrace,85\n", "people.csv", bucket)
    found = hook.select_key(
        "people.csv",
        bucket,
        expression="SELECT name FROM S3Object",
        input_serialization={"CSV": {"FileHeaderInfo": "USE"}},
        output_serialization={"CSV": {}},
    )
    assert found.split() == ["ada", "grace"]


def test_a_signed_address_gives_one_thing_away(hook: S3Hook, bucket: str) -> None:
    from urllib.request import urlopen

    hook.load_string("shared", "k", bucket)
    address = hook.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, expires_in=60)
    with urlopen(address) as answer:  # noqa: S310 - it is one of ours
        assert answer.read() == b"shared"
    with pytest.raises(UsageError, match="no method 'getobject'"):
        hook.generate_presigned_url("getobject")


# --- Files


def test_a_file_is_downloaded_under_a_name_of_its_own_or_its_key(hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    hook.load_string("x", "in/report.csv", bucket)
    plain = Path(hook.download_file("in/report.csv", bucket, tmp_path))
    assert (plain.parent, plain.read_text()) == (tmp_path, "x")
    named = Path(hook.download_file(f"s3://{bucket}/in/report.csv", None, tmp_path, preserve_file_name=True))
    assert named.name == "report.csv"
    assert named.parent.parent == tmp_path
    kept = hook.download_file("in/report.csv", bucket, tmp_path, True, False)
    assert Path(kept) == tmp_path / "report.csv"
    with pytest.raises(FileExistsError, match="exists already"):
        hook.download_file("in/report.csv", bucket, tmp_path, True, False)
    with pytest.raises(UsageError, match="no name of a file"):
        hook.download_file("..", bucket, tmp_path, preserve_file_name=True)


def test_a_folder_follows_a_prefix(hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    for key in ("in/a", "in/deep/b", "other", "in/"):
        hook.load_string(key, key, bucket)
    hook.sync_to_local_dir(bucket, folder, "in/")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == {"a", "deep", "deep/b"}
    downloads = _count(hook, "GetObject")
    (folder / "stale").write_text("")
    hook.load_string("changed", "in/a", bucket, replace=True)
    hook.delete_objects(bucket, "in/deep/b")
    hook.sync_to_local_dir(bucket, folder, "in/")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == {"a"}
    assert (folder / "a").read_text() == "changed"
    assert len(downloads) == 1
    hook.sync_to_local_dir(bucket, folder, "in/")
    assert len(downloads) == 1


@pytest.mark.parametrize("key", ["in/../../evil", "in/link/evil"])
def test_a_key_never_leads_out_of_the_folder(hook: S3Hook, bucket: str, tmp_path: Path, key: str) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    hook.load_string("x", key, bucket)
    with pytest.raises(UsageError, match="leads out of"):
        hook.sync_to_local_dir(bucket, folder, "in/")
    assert not (tmp_path / "evil").exists()


# --- Folders, up


def _age(folder: Path) -> None:
    """Let every file be a minute old, as files usually are that were uploaded before."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - 60, time.time() - 60))


def test_a_folder_goes_up_and_then_only_what_has_changed(hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    (folder / "deep" / "er").mkdir(parents=True)
    for name in ("a", "deep/b", "deep/er/käse"):
        (folder / name).write_text(name)
    (folder / "link").symlink_to(folder / "a")
    (folder / "nowhere").symlink_to(tmp_path / "absent")
    os.mkfifo(folder / "pipe")
    _age(folder)
    hook.load_string("of others", "output/a", bucket)
    uploads = _count(hook, "PutObject")
    first = hook.sync_from_local_dir(folder, bucket, "out")
    assert first == ["out/a", "out/deep/b", "out/deep/er/käse", "out/link"]
    assert hook.read_key("out/deep/er/käse", bucket) == "deep/er/käse"
    assert hook.read_key("out/link", bucket) == "a"
    assert hook.sync_from_local_dir(folder, bucket, "out/") == []
    (folder / "a").write_text("b")  # as long, and newer
    future = time.time() + 5
    os.utime(folder / "a", (future, future))
    (folder / "deep" / "b").write_text("longer than before")
    _age(folder / "deep")
    (folder / "deep" / "new").write_text("new")
    (folder / "link").unlink()
    assert hook.sync_from_local_dir(folder, f"{bucket}", "out") == ["out/a", "out/deep/b", "out/deep/new"]
    assert len(uploads) == 7
    assert hook.check_for_key("out/link", bucket)
    hook.load_string("", "out/folder/", bucket)  # what consoles make
    _age(folder)
    assert hook.sync_from_local_dir(folder, s3_prefix=f"s3://{bucket}/out", delete_stale=True) == []
    left = ["out/a", "out/deep/b", "out/deep/er/käse", "out/deep/new", "out/folder/", "output/a"]
    assert hook.list_keys(bucket) == left


def test_what_came_down_does_not_go_up_again(hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    hook.load_string("x", "in/a", bucket)
    hook.sync_to_local_dir(bucket, tmp_path / "mirror", "in/")
    assert hook.sync_from_local_dir(tmp_path / "mirror", bucket, "in") == []
    assert hook.sync_from_local_dir(tmp_path / "mirror", bucket) == ["a"]


def test_a_folder_that_is_not_there_empties_no_bucket(hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    hook.load_string("x", "a", bucket)
    with pytest.raises(NotADirectoryError, match="there is no folder"):
        hook.sync_from_local_dir(tmp_path / "absent", bucket, delete_stale=True)
    assert hook.list_keys(bucket) == ["a"]


def test_a_name_that_is_no_text_is_refused_before_anything_goes(hook: S3Hook, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    with pytest.raises(UsageError, match=r"the file '\\udcff' in .* has a name that is no UTF-8; rename it"):
        hook.sync_from_local_dir(tmp_path, bucket)
    assert hook.list_keys(bucket) == []


def test_an_upload_that_is_refused_names_its_key_and_ends_the_others(
    tmp_path: Path, connection: Any, aws: Any, proxy: Any, refusal: Any
) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}").write_text("x")
    listing = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(listing)}\r\n\r\n".encode()
    proxy.answers = [head + listing, *[refusal("403 Forbidden", "AccessDenied")] * 400]
    connection("refused", **aws(proxy.url))
    with pytest.raises(AwsError, match=r"writing s3://b/\d+ through connection `refused`: access is denied"):
        S3Hook("refused").sync_from_local_dir(tmp_path, "b")
    assert len(proxy.answers) > 150  # most were not even tried


def _count(hook: S3Hook, operation: str) -> list[str]:
    """Return a list that grows with each request of one kind."""
    seen: list[str] = []
    hook.get_conn().meta.events.register(f"before-send.s3.{operation}", lambda **_: seen.append(operation))
    return seen
