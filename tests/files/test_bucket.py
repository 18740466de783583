"""The local S3 takes what a form allows, to the byte, and gives what a URL allows, to the second, like AWS's."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree as ET

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from autodoctor.aws.sigv4 import Credentials, Signer
from autodoctor.files.promise import MOST_BYTES
from localcloud.stack.cloudformation import REGION
from localcloud.storage.signatures import ACCESS_KEY, SECRET_KEY
from support.account import Account
from support.files.uploads import PNG, File, Promised, checked, fetched, promised, read, uploaded

BUCKET: Final = "filesbucket"
ORIGIN: Final = "http://localhost:8787"
EXPIRES_OF: Final = re.compile(r"X-Amz-Expires=\d+")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of S3's error document."""
    assert answer.headers["Content-Type"].startswith("application/xml")
    return answer.status_code, ET.fromstring(answer.text).findtext("Code", "")  # noqa: S314 (our own server's)


def message(answer: httpx.Response) -> str:
    return ET.fromstring(answer.text).findtext("Message", "")  # noqa: S314 (our own server's)


def signer(key: str = ACCESS_KEY, secret: str = SECRET_KEY) -> Signer:
    return Signer(Credentials(key, secret), "s3", REGION)


def form(account: Account, by: Signer | None = None, expires_in: int = 60, **fields: str) -> Promised:
    """A form for any key, signed here; `fields` are those of the form."""
    whole = {"key": "uploads/mine.png", "Content-Type": "image/png", **fields}
    conditions = [{"bucket": BUCKET}, ["content-length-range", 2, 9]]
    signed = (by or signer()).form_fields(whole, conditions, until=datetime.now(UTC) + timedelta(seconds=expires_in))
    return Promised("", f"{account.cloud.api_url}/_aws/s3/{BUCKET}", signed)


@pytest.fixture
def promise(account: Account) -> Promised:
    """A promise by the function, for PNG."""
    return promised(account.customer())


# --- what a form allows -----------------------------------------------------------------------------


def test_exactly_the_file_that_was_promised_is_taken(promise: Promised) -> None:
    answer = promise.post(PNG)
    assert answer.status_code == 204
    assert answer.headers["ETag"] == f'"{hashlib.md5(PNG, usedforsecurity=False).hexdigest()}"'
    assert answer.headers["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(PNG).digest()).decode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PNG + b".", (400, "EntityTooLarge")),
        (PNG[:-1], (400, "EntityTooSmall")),
        (PNG[:-1] + b"!", (400, "BadDigest")),
        (b"", (400, "EntityTooSmall")),
    ],
    ids=["a byte more", "a byte less", "another byte", "nothing"],
)
def test_no_other_bytes_are_taken(
    account: Account, promise: Promised, content: bytes, expected: tuple[int, str]
) -> None:
    assert refusal(promise.post(content)) == expected
    assert account.world.one("SELECT state FROM attachments WHERE id = %s", promise.attachment_id) == "promised"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Content-Type", "text/html"),
        ("Content-Type", "image/PNG"),
        ("key", "uploads/00000000-0000-0000-0000-000000000000.png"),
        ("x-amz-checksum-sha256", base64.b64encode(hashlib.sha256(b"x").digest()).decode()),
        ("x-amz-credential", f"{ACCESS_KEY}/20200101/{REGION}/s3/aws4_request"),
    ],
)
def test_no_field_may_be_another(promise: Promised, field: str, value: str) -> None:
    answer = promise.post(PNG, **{field: value})
    status, code = refusal(answer)
    assert (status, code) in {(403, "AccessDenied"), (400, "AuthorizationHeaderMalformed")}
    if code == "AccessDenied":
        assert message(answer) == (
            f'Invalid according to Policy: Policy Condition failed: ["eq", "${field}", "{promise.fields[field]}"]'
        )


@pytest.mark.parametrize("field", ["Content-Type", "x-amz-checksum-sha256"])
def test_no_field_may_be_left_out(promise: Promised, field: str) -> None:
    answer = promise.post(PNG, without=field)
    assert refusal(answer) == (403, "AccessDenied")
    assert "Policy Condition failed" in message(answer)


@pytest.mark.parametrize("field", ["acl", "tagging", "x-amz-meta-name", "success_action_redirect", "Cache-Control"])
def test_no_field_may_be_added(promise: Promised, field: str) -> None:
    answer = promise.post(PNG, **{field: "something"})
    assert refusal(answer) == (403, "AccessDenied")
    assert message(answer) == f"Invalid according to Policy: Extra input fields: {field.lower()}"


def test_the_key_of_another_promise_does_not_fit(account: Account, promise: Promised) -> None:
    other = promised(account.customer())
    assert refusal(promise.post(PNG, key=other.fields["key"])) == (403, "AccessDenied")
    assert refusal(promise.post(PNG, policy=other.fields["policy"])) == (403, "SignatureDoesNotMatch")


def forged(promise: Promised, change: Any) -> str:  # noqa: ANN401 (a condition)
    """The promise's policy with one more condition in front."""
    policy = json.loads(base64.b64decode(promise.fields["policy"]))
    policy["conditions"] = [change, *policy["conditions"]]
    return base64.b64encode(json.dumps(policy).encode()).decode()


def test_a_policy_that_was_changed_has_no_signature(promise: Promised) -> None:
    policy = forged(promise, ["content-length-range", 1, 10**9])
    assert refusal(promise.post(PNG, policy=policy)) == (403, "SignatureDoesNotMatch")


def test_only_a_key_that_is_known_signs(account: Account) -> None:
    assert refusal(form(account, signer(key="AKIDSTRANGER")).post(b"four")) == (403, "InvalidAccessKeyId")
    assert refusal(form(account, signer(secret="guessed")).post(b"four")) == (403, "SignatureDoesNotMatch")
    assert form(account).post(b"four").status_code == 204


@pytest.mark.parametrize("field", ["policy", "x-amz-signature", "x-amz-credential", "x-amz-date", "x-amz-algorithm"])
def test_without_a_signature_nobody_may_post(promise: Promised, field: str) -> None:
    assert refusal(promise.post(PNG, without=field)) == (403, "AccessDenied")


def test_a_form_expires(account: Account) -> None:
    answer = form(account, expires_in=-1).post(b"four")
    assert refusal(answer) == (403, "AccessDenied")
    assert message(answer) == "Invalid according to Policy: Policy expired."


def test_lengths_are_held_at_both_ends(account: Account) -> None:
    expected = {1: (400, "EntityTooSmall"), 10: (400, "EntityTooLarge")}
    for length in (1, 2, 9, 10):
        answer = form(account).post(b"x" * length)
        assert (answer.status_code == 204) if length not in expected else refusal(answer) == expected[length]


def test_the_largest_file_is_taken_and_a_byte_more_is_not(account: Account) -> None:
    content = b"\x89PNG" + bytes(MOST_BYTES - 4)
    promise = promised(account.customer(), File(content))
    assert refusal(promise.post(content + b"x")) == (400, "EntityTooLarge")
    assert promise.post(content).status_code == 204
    assert checked(account, promise.attachment_id) == "clean"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"policy": "!"}, (403, "SignatureDoesNotMatch")), ({"key": ""}, (403, "AccessDenied"))],
)
def test_nonsense_is_refused(promise: Promised, fields: Mapping[str, str], expected: tuple[int, str]) -> None:
    assert refusal(promise.post(PNG, **fields)) == expected


def test_a_form_needs_a_key_and_a_file(promise: Promised) -> None:
    assert refusal(promise.post(PNG, without="key")) == (400, "InvalidArgument")
    bare = httpx.post(promise.url, data=promise.fields, trust_env=False)
    assert refusal(bare) == (412, "PreconditionFailed")
    parts = {name: (None, value) for name, value in promise.fields.items()}
    assert refusal(httpx.post(promise.url, files=parts, trust_env=False)) == (400, "InvalidArgument")


def test_there_is_no_other_bucket(account: Account) -> None:
    answer = httpx.get(f"{account.cloud.api_url}/_aws/s3/other/uploads/x.png", trust_env=False)
    assert refusal(answer) == (404, "NoSuchBucket")


# --- what a URL allows ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(account: Account) -> str:
    """The URL of a clean picture."""
    customer = account.customer()
    picture = uploaded(customer)
    checked(account, picture)
    address: str = read(customer, picture)["url"]
    return address


def test_a_url_gives_its_file_for_sixty_seconds(url: str) -> None:
    assert fetched(url).content == PNG
    assert dict(parse_qsl(urlsplit(url).query))["X-Amz-Expires"] == "60"


def test_a_url_that_was_changed_gives_nothing(url: str) -> None:
    longer = EXPIRES_OF.sub("X-Amz-Expires=3600", url)
    shown = url.replace("inline", "attachment")
    other = url.replace("uploads/", "uploads/x")
    for changed in (longer, shown, other, url[:-1] + ("0" if url[-1] != "0" else "1")):
        assert refusal(fetched(changed)) == (403, "SignatureDoesNotMatch")
    assert refusal(fetched(url.partition("?")[0])) == (403, "AccessDenied")


def signed_url(account: Account, key: str, seconds: int, age: int = 0) -> str:
    """A URL signed here, `age` seconds ago."""
    path = f"/_aws/s3/{BUCKET}/{key}"
    host = urlsplit(account.cloud.api_url).netloc
    at = datetime.now(UTC).timestamp() - age
    return f"{account.cloud.api_url}{path}?{signer().url_query(path, host, {}, expires_seconds=seconds, at=at)}"


def test_a_url_expires(account: Account, url: str) -> None:
    key = urlsplit(url).path.partition(f"/{BUCKET}/")[2]
    assert fetched(signed_url(account, key, 60, age=50)).content == PNG
    late = fetched(signed_url(account, key, 60, age=61))
    assert refusal(late) == (403, "AccessDenied")
    assert message(late) == "Request has expired"
    early = fetched(signed_url(account, key, 60, age=-3_600))
    assert message(early) == "Request is not valid yet"
    assert refusal(fetched(signed_url(account, key, 604_801))) == (400, "AuthorizationQueryParametersError")


def test_a_key_that_is_not_there_looks_like_one_that_is_forbidden(account: Account) -> None:
    assert refusal(fetched(signed_url(account, "uploads/nothing.png", 60))) == (403, "AccessDenied")
    assert refusal(fetched(signed_url(account, "..%2F..%2Fmessages.sqlite", 60))) == (403, "AccessDenied")


def test_s3_itself_gives_nothing_that_is_not_tagged_clean(account: Account) -> None:
    """Even a signature of ours does not help: the bucket's policy denies it."""
    account.cloud.scanner.hold()
    try:
        assert form(account, key="uploads/unscanned.png").post(b"four").status_code == 204
        unscanned = fetched(signed_url(account, "uploads/unscanned.png", 60))
    finally:
        account.cloud.scanner.release()
    assert refusal(unscanned) == (403, "AccessDenied")
    assert "explicit deny" in message(unscanned)
    assert form(account, key="elsewhere/never-scanned.png").post(b"four").status_code == 204
    assert refusal(fetched(signed_url(account, "elsewhere/never-scanned.png", 60))) == (403, "AccessDenied")


# --- AWS's own SDK ------------------------------------------------------------------------------------


@pytest.fixture
def boto(account: Account) -> Any:  # noqa: ANN401 (boto3's clients have no types)
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=f"{account.cloud.api_url}/_aws/s3",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
    )


def test_a_form_and_a_url_of_boto3_work_too(boto: Any) -> None:  # noqa: ANN401
    conditions = [["starts-with", "$key", "uploads/"], {"Content-Type": "image/png"}]
    made = boto.generate_presigned_post(
        BUCKET, "uploads/boto.png", Fields={"Content-Type": "image/png"}, Conditions=conditions, ExpiresIn=60
    )
    assert Promised("", made["url"], made["fields"]).post(PNG).status_code == 204
    refused = Promised("", made["url"], made["fields"]).post(PNG, key="downloads/boto.png")
    assert refusal(refused) == (403, "AccessDenied")
    address = boto.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "uploads/boto.png"}, ExpiresIn=60)
    answer = fetched(address)
    while answer.status_code == 403:  # until it is scanned
        answer = fetched(address)
    assert answer.content == PNG
    boto.delete_object(Bucket=BUCKET, Key="uploads/boto.png")
    assert refusal(fetched(address)) == (403, "AccessDenied")


def test_what_boto3_signs_with_another_key_is_refused(account: Account) -> None:
    stranger = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=f"{account.cloud.api_url}/_aws/s3",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key="guessed",
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.delete_object(Bucket=BUCKET, Key="uploads/boto.png")


# --- browsers -----------------------------------------------------------------------------------------


def test_a_page_of_ours_may_upload_and_another_page_may_not(promise: Promised) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    allowed = httpx.options(promise.url, headers={"Origin": ORIGIN, **asked}, trust_env=False)
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    foreign = httpx.options(promise.url, headers={"Origin": "https://evil.example", **asked}, trust_env=False)
    assert refusal(foreign) == (403, "AccessForbidden")
    put = {**asked, "Access-Control-Request-Method": "PUT"}
    assert refusal(httpx.options(promise.url, headers={"Origin": ORIGIN, **put}, trust_env=False))[0] == 403


def test_a_page_may_read_the_answer_also_where_it_is_a_refusal(promise: Promised) -> None:
    answer = httpx.post(
        promise.url, data=promise.fields, files={"file": b"x"}, headers={"Origin": ORIGIN}, trust_env=False
    )
    assert refusal(answer) == (400, "EntityTooSmall")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_an_upload_cannot_act_as_a_page_of_the_console(url: str) -> None:
    """Here both have one origin, unlike on AWS."""
    headers = fetched(f"{url}&{urlencode({})}".rstrip("&")).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
