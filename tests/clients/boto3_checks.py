#!/usr/bin/env python3
"""boto3_checks.py ENDPOINT ACCESS SECRET: what a Python program asks of S3, in a bucket of its own.

Prints "PASS name" or "FAIL name - why" for each check; exit code 1 when any failed.
"""
import contextlib
import hashlib
import http.client
import os
import secrets
import sys
import urllib.parse

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT, ACCESS, SECRET = sys.argv[1:4]
BUCKET = "boto3-" + secrets.token_hex(5)
MIB = 1 << 20
SMALL = b"a few bytes\n"
MEDIUM = os.urandom(345_678)
LARGE = os.urandom(22 * MIB + 77)
PART = 8 * MIB
# boto3 1.36 began to send CRC trailers by default and to know conditional writes.
IS_MODERN = tuple(int(n) for n in boto3.__version__.split(".")[:2]) >= (1, 36)

failures = 0
CHECKS = []


def client(access=ACCESS, secret=SECRET, **config):
    settings = dict(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 2},
                    connect_timeout=10, read_timeout=60)
    settings.update(config)
    return boto3.client("s3", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id=access,
                        aws_secret_access_key=secret, config=Config(**settings))


s3 = client()


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


def same(actual, expected):
    if actual != expected:
        text = f"{actual!r} instead of {expected!r}"
        raise AssertionError(text if len(text) < 400 else f"{len(actual)} bytes that differ from the {len(expected)} due")


@contextlib.contextmanager
def refused(status, *codes):
    """The block must be refused with that status and, when codes are named, one of them."""
    try:
        yield
    except ClientError as error:
        same(error.response["ResponseMetadata"]["HTTPStatusCode"], status)
        if codes and error.response["Error"]["Code"] not in codes:
            raise AssertionError(f"code {error.response['Error']['Code']} instead of {codes}") from error
        return
    raise AssertionError("was not refused")


def put(key, body, **more):
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def get(key, **more):
    return s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def etag(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


def plain_http(method, url, body=None):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, f"{parts.path}?{parts.query}", body=body)
        answer = connection.getresponse()
        return answer.status, answer.read()


@check
def bucket_create_head_list():
    s3.create_bucket(Bucket=BUCKET)
    s3.head_bucket(Bucket=BUCKET)
    assert BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    with refused(404):
        s3.head_bucket(Bucket=BUCKET + "-absent")


@check
def bucket_location():
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] in (None, "us-east-1", "default", "")


@check
def put_get_head():
    same(put("basic/small", SMALL, ContentType="text/plain")["ETag"], etag(SMALL))
    same(put("basic/medium", MEDIUM)["ETag"], etag(MEDIUM))
    same(get("basic/medium"), MEDIUM)
    head = s3.head_object(Bucket=BUCKET, Key="basic/medium")
    same((head["ContentLength"], head["ETag"]), (len(MEDIUM), etag(MEDIUM)))


@check
def put_overwrite_is_seen():
    put("basic/again", SMALL)
    same(get("basic/again"), SMALL)
    put("basic/again", MEDIUM)
    same(get("basic/again"), MEDIUM)
    same(s3.head_object(Bucket=BUCKET, Key="basic/again")["ETag"], etag(MEDIUM))


@check
def put_empty():
    put("basic/empty", b"")
    same(get("basic/empty"), b"")
    same(s3.head_object(Bucket=BUCKET, Key="basic/empty")["ContentLength"], 0)


@check
def put_with_content_md5():
    import base64
    put("basic/md5", SMALL, ContentMD5=base64.b64encode(hashlib.md5(SMALL).digest()).decode())
    with refused(400, "BadDigest", "InvalidDigest"):
        put("basic/md5", SMALL, ContentMD5=base64.b64encode(hashlib.md5(b"other").digest()).decode())


@check
def metadata_and_headers():
    put("meta/a", SMALL, ContentType="application/x-check", CacheControl="max-age=61", ContentLanguage="de",
        ContentDisposition='attachment; filename="a b.txt"', Metadata={"plain": "v", "with-dash": "two words"})
    head = s3.head_object(Bucket=BUCKET, Key="meta/a")
    same(head["Metadata"], {"plain": "v", "with-dash": "two words"})
    same([head[n] for n in ("ContentType", "CacheControl", "ContentLanguage", "ContentDisposition")],
         ["application/x-check", "max-age=61", "de", 'attachment; filename="a b.txt"'])


@check
def response_header_overrides():
    answer = s3.get_object(Bucket=BUCKET, Key="basic/small", ResponseContentType="a/b", ResponseCacheControl="no-store")
    same((answer["ContentType"], answer["CacheControl"]), ("a/b", "no-store"))


@check
def ranges():
    size = len(MEDIUM)
    for text, low, high in (("bytes=0-0", 0, 1), ("bytes=1000-70000", 1000, 70001), (f"bytes={size - 5}-", size - 5, size),
                            ("bytes=-65536", size - 65536, size), (f"bytes={size - 9}-{size + 9000}", size - 9, size),
                            (f"bytes=-{size * 2}", 0, size)):
        answer = s3.get_object(Bucket=BUCKET, Key="basic/medium", Range=text)
        same(answer["ContentRange"], f"bytes {low}-{high - 1}/{size}")
        same(answer["Body"].read(), MEDIUM[low:high])


@check
def range_past_end():
    with refused(416, "InvalidRange"):
        get("basic/medium", Range=f"bytes={len(MEDIUM)}-")


@check
def missing_key_and_bucket():
    with refused(404, "NoSuchKey"):
        get("absent")
    with refused(404):
        s3.head_object(Bucket=BUCKET, Key="absent")
    with refused(404, "NoSuchBucket"):
        s3.get_object(Bucket=BUCKET + "-absent", Key="k")


@check
def conditional_reads():
    same(get("basic/medium", IfMatch=etag(MEDIUM)), MEDIUM)
    with refused(412):
        get("basic/medium", IfMatch=etag(SMALL))
    with refused(304):
        get("basic/medium", IfNoneMatch=etag(MEDIUM))
    same(get("basic/medium", IfNoneMatch=etag(SMALL)), MEDIUM)


@check
def conditional_write_once():
    if IS_MODERN:
        put("once/a", SMALL, IfNoneMatch="*")
        with refused(412, "PreconditionFailed"):
            put("once/a", MEDIUM, IfNoneMatch="*")
        same(get("once/a"), SMALL)


@check
def multipart():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi/large", Metadata={"from": "parts"})["UploadId"]
    parts, digests = [], b""
    for number, start in enumerate(range(0, len(LARGE), PART), 1):
        piece = LARGE[start:start + PART]
        tag = s3.upload_part(Bucket=BUCKET, Key="multi/large", UploadId=upload, PartNumber=number, Body=piece)["ETag"]
        same(tag, etag(piece))
        digests += hashlib.md5(piece).digest()
        parts.append({"PartNumber": number, "ETag": tag})
    same([p["Size"] for p in s3.list_parts(Bucket=BUCKET, Key="multi/large", UploadId=upload)["Parts"]],
         [PART, PART, len(LARGE) - 2 * PART])
    assert upload in [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]
    with refused(404, "NoSuchKey"):
        get("multi/large")
    s3.complete_multipart_upload(Bucket=BUCKET, Key="multi/large", UploadId=upload, MultipartUpload={"Parts": parts})
    head = s3.head_object(Bucket=BUCKET, Key="multi/large")
    same((head["ETag"], head["Metadata"]), (f'"{hashlib.md5(digests).hexdigest()}-3"', {"from": "parts"}))
    same(get("multi/large"), LARGE)


@check
def multipart_complete_answers_etag():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi/one")["UploadId"]
    tag = s3.upload_part(Bucket=BUCKET, Key="multi/one", UploadId=upload, PartNumber=1, Body=SMALL)["ETag"]
    done = s3.complete_multipart_upload(Bucket=BUCKET, Key="multi/one", UploadId=upload,
                                        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    same(done.get("ETag"), f'"{hashlib.md5(hashlib.md5(SMALL).digest()).hexdigest()}-1"')


@check
def multipart_range_over_part_border():
    same(get("multi/large", Range=f"bytes={PART - 100}-{PART + 99}"), LARGE[PART - 100:PART + 100])
    same(get("multi/large", Range="bytes=-65536"), LARGE[-65536:])


@check
def multipart_copy_part():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi/copied")["UploadId"]
    tag = s3.upload_part_copy(Bucket=BUCKET, Key="multi/copied", UploadId=upload, PartNumber=1, CopySourceRange=f"bytes=5-{6 * MIB}",
                              CopySource={"Bucket": BUCKET, "Key": "multi/large"})["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(Bucket=BUCKET, Key="multi/copied", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    same(get("multi/copied"), LARGE[5:6 * MIB + 1])


@check
def multipart_abort():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi/gone")["UploadId"]
    s3.upload_part(Bucket=BUCKET, Key="multi/gone", UploadId=upload, PartNumber=1, Body=SMALL)
    s3.abort_multipart_upload(Bucket=BUCKET, Key="multi/gone", UploadId=upload)
    with refused(404, "NoSuchUpload"):
        s3.list_parts(Bucket=BUCKET, Key="multi/gone", UploadId=upload)


@check
def multipart_part_too_small():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="multi/tiny")["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket=BUCKET, Key="multi/tiny", UploadId=upload, PartNumber=n, Body=SMALL)["ETag"]}
             for n in (1, 2)]
    with refused(400, "EntityTooSmall"):
        s3.complete_multipart_upload(Bucket=BUCKET, Key="multi/tiny", UploadId=upload, MultipartUpload={"Parts": parts})
    s3.abort_multipart_upload(Bucket=BUCKET, Key="multi/tiny", UploadId=upload)


@check
def transfer_manager():
    import io
    s3.upload_fileobj(io.BytesIO(LARGE), BUCKET, "multi/managed")
    back = io.BytesIO()
    s3.download_fileobj(BUCKET, "multi/managed", back)
    same(back.getvalue(), LARGE)


LISTED = [f"list/{folder}/{n:02}" for folder in "abc" for n in range(6)]


@check
def list_v1_pages():
    for key in LISTED:
        put(key, b".")
    keys = [o["Key"] for page in s3.get_paginator("list_objects").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 5})
            for o in page["Contents"]]
    same(keys, LISTED)


@check
def list_v2_pages():
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 5}))
    same([o["Key"] for page in pages for o in page["Contents"]], LISTED)
    same([page["KeyCount"] for page in pages], [5, 5, 5, 3])
    after = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", StartAfter="list/b/05")
    same([o["Key"] for o in after["Contents"]], LISTED[12:])


@check
def list_delimiter():
    answer = s3.list_objects_v2(Bucket=BUCKET, Prefix="list/", Delimiter="/")
    same([p["Prefix"] for p in answer["CommonPrefixes"]], ["list/a/", "list/b/", "list/c/"])
    assert "Contents" not in answer


@check
def list_sees_write_and_delete():
    put("seen/x", b"x")
    same(s3.list_objects_v2(Bucket=BUCKET, Prefix="seen/")["KeyCount"], 1)
    s3.delete_object(Bucket=BUCKET, Key="seen/x")
    same(s3.list_objects_v2(Bucket=BUCKET, Prefix="seen/")["KeyCount"], 0)


@check
def copy():
    s3.copy_object(Bucket=BUCKET, Key="copy/kept", CopySource={"Bucket": BUCKET, "Key": "meta/a"})
    same(s3.head_object(Bucket=BUCKET, Key="copy/kept")["Metadata"]["plain"], "v")
    s3.copy_object(Bucket=BUCKET, Key="copy/new", CopySource={"Bucket": BUCKET, "Key": "meta/a"}, MetadataDirective="REPLACE", Metadata={"n": "2"})
    same(s3.head_object(Bucket=BUCKET, Key="copy/new")["Metadata"], {"n": "2"})
    same(get("copy/new"), SMALL)
    with refused(404, "NoSuchKey"):
        s3.copy_object(Bucket=BUCKET, Key="copy/x", CopySource={"Bucket": BUCKET, "Key": "absent"})


@check
def presigned_get():
    url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "basic/medium"}, 120)
    same(plain_http("GET", url), (200, MEDIUM))
    same(plain_http("GET", url.replace("medium", "small"))[0], 403)


@check
def presigned_put():
    url = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "signed/put"}, 120)
    same(plain_http("PUT", url, MEDIUM)[0], 200)
    same(get("signed/put"), MEDIUM)


UNICODE = ["uni/αβγ/漢字.bin", "uni/🦊", "uni/a b+c&d=e?f#g", "uni/100%25 sure", "uni/it's \"so\"", "uni/tilde~!*()", "uni/dir/"]


@check
def unicode_keys():
    for key in UNICODE:
        put(key, key.encode())
    for key in UNICODE:
        same(get(key), key.encode())
    same(sorted(o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET, Prefix="uni/")["Contents"]), sorted(UNICODE))


@check
def tagging():
    tags = [{"Key": "team", "Value": "blue green"}]
    s3.put_object_tagging(Bucket=BUCKET, Key="basic/small", Tagging={"TagSet": tags})
    same(s3.get_object_tagging(Bucket=BUCKET, Key="basic/small")["TagSet"], tags)
    s3.delete_object_tagging(Bucket=BUCKET, Key="basic/small")
    same(s3.get_object_tagging(Bucket=BUCKET, Key="basic/small")["TagSet"], [])


def checksum(algorithm):
    def run():
        sent = put("sum/" + algorithm, MEDIUM, ChecksumAlgorithm=algorithm)["Checksum" + algorithm]
        answer = s3.get_object(Bucket=BUCKET, Key="sum/" + algorithm, ChecksumMode="ENABLED")
        same(answer["Body"].read(), MEDIUM)
        same(answer.get("Checksum" + algorithm), sent)
    run.__name__ = "checksum_" + algorithm.lower()
    check(run)


if IS_MODERN:
    for name in ("CRC32", "SHA1", "SHA256"):
        checksum(name)


@check
def bad_credentials():
    with refused(403, "SignatureDoesNotMatch"):
        client(secret="not the secret").list_objects_v2(Bucket=BUCKET)
    with refused(403, "SignatureDoesNotMatch"):
        client(secret="not the secret").get_object(Bucket=BUCKET, Key="basic/medium")    # also of what a cache holds
    with refused(403, "InvalidAccessKeyId"):
        client(access="NOBODYNOBODYNOBODY00").list_objects_v2(Bucket=BUCKET)


@check
def anonymous_is_refused():
    with refused(403, "AccessDenied"):
        client(signature_version=UNSIGNED).get_object(Bucket=BUCKET, Key="basic/medium")


@check
def delete():
    s3.delete_object(Bucket=BUCKET, Key="copy/new")
    with refused(404):
        s3.head_object(Bucket=BUCKET, Key="copy/new")
    same(s3.delete_object(Bucket=BUCKET, Key="never/was")["ResponseMetadata"]["HTTPStatusCode"], 204)


@check
def delete_many():
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": k} for k in [*LISTED, "never/was"]]})
    same((len(answer["Deleted"]), answer.get("Errors", [])), (len(LISTED) + 1, []))
    quiet = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "seen/x"}], "Quiet": True})
    same(quiet.get("Deleted", []), [])
    same(s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")["KeyCount"], 0)


@check
def bucket_delete():
    with refused(409, "BucketNotEmpty"):
        s3.delete_bucket(Bucket=BUCKET)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=item["Key"])
    s3.delete_bucket(Bucket=BUCKET)
    with refused(404):
        s3.head_bucket(Bucket=BUCKET)


for name, function in CHECKS:
    try:
        function()
        print("PASS", name, flush=True)
    except Exception as error:  # whatever went wrong is that check's failure; the others still run
        failures += 1
        print("FAIL", name, "-", type(error).__name__, str(error).replace("\n", " ")[:300], flush=True)
print(f"boto3 {boto3.__version__}: {len(CHECKS) - failures} passed, {failures} failed")
sys.exit(1 if failures else 0)
